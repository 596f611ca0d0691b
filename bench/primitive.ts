/**
 * `npm run bench [-- --quick]`: the primitive beside what people write by hand. Every measurement
 * is taken in a process of its own, rounds are interleaved, and what counts are ratios of medians.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { contestants, setTask } from './contestants.ts';

const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 1 : 7;
const SCALE = quick ? 0.02 : 1;

type Measure = (call: (key: string) => Promise<unknown>) => number | Promise<number>;

const times = (count: number) => Math.ceil(count * SCALE);
const never = new Promise<never>(() => {});

/** Each gives nanoseconds per call, or bytes per key. */
const measures: Record<string, Measure> = {
  async cold(call) {
    const run = async (count: number) => {
      const startedAt = performance.now();
      for (let n = 0; n < count; n++) await call('a');
      return ((performance.now() - startedAt) / count) * 1e6;
    };
    await run(times(50_000));
    return run(times(500_000));
  },
  join(call) {
    setTask(() => never);
    const run = (count: number) => {
      const startedAt = performance.now();
      for (let n = 0; n < count; n++) void call('a');
      return ((performance.now() - startedAt) / count) * 1e6;
    };
    run(times(200_000));
    return run(times(5_000_000));
  },
  async 'join and settle, 10 callers'(call) {
    const run = async (count: number) => {
      const startedAt = performance.now();
      for (let n = 0; n < count; n++) {
        await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(() => call('a')));
      }
      return ((performance.now() - startedAt) / count / 10) * 1e6;
    };
    await run(times(5_000));
    return run(times(50_000));
  },
  async '1000 keys × 10 callers'(call) {
    const keys = Array.from({ length: 1000 }, (_, n) => `key ${n}`);
    const run = async (count: number) => {
      const startedAt = performance.now();
      for (let n = 0; n < count; n++) {
        const calls: Promise<unknown>[] = [];
        for (let caller = 0; caller < 10; caller++) for (const key of keys) calls.push(call(key));
        await Promise.all(calls);
      }
      return ((performance.now() - startedAt) / count / 10_000) * 1e6;
    };
    await run(times(20));
    return run(times(200));
  },
  async 'heap per pending key, bytes'(call) {
    const pending: (() => void)[] = [];
    setTask(
      () =>
        new Promise<void>((resolve) => {
          pending.push(resolve);
        }),
    );
    const keys = Array.from({ length: times(50_000) }, (_, n) => `key ${n}`);
    const heap = () => {
      globalThis.gc!();
      return process.memoryUsage().heapUsed;
    };
    const before = heap();
    for (const key of keys) void call(key);
    const bytes = (heap() - before) / keys.length;
    for (const resolve of pending) resolve();
    return bytes;
  },
};

/** [measure, ours, by hand, the goal for ours ÷ by hand] */
const table = [
  ['cold', 'singleFlight', 'closure by hand', 0.9],
  ['cold', 'FlightGroup.run', 'Map by hand', 0.9],
  ['cold', 'singleFlight with key', 'Map by hand', 0.9],
  ['join', 'singleFlight', 'Map by hand', 1.25],
  ['join', 'FlightGroup.run', 'Map by hand', 1.25],
  ['join', 'singleFlight with key', 'Map by hand', 1.25],
  ['join and settle, 10 callers', 'FlightGroup.run', 'Map by hand', 1],
  ['1000 keys × 10 callers', 'FlightGroup.run', 'Map by hand', 1.1],
  ['heap per pending key, bytes', 'FlightGroup.run', 'Map by hand', 0.9],
] as const;

function measureInChild(measure: string, contestant: string): number {
  const script = fileURLToPath(import.meta.url);
  const flags = ['--expose-gc', '--import', 'tsx', script, '--one', measure, contestant];
  const output = execFileSync(process.execPath, quick ? [...flags, '--quick'] : flags);
  return Number(output.toString());
}

async function main(): Promise<void> {
  const one = process.argv.indexOf('--one');
  if (one > 0) {
    const [measure, contestant] = process.argv.slice(one + 1, one + 3);
    console.log(await measures[measure!]!(contestants[contestant!]!()));
    return;
  }

  const wanted = new Set(
    table.flatMap(([measure, ours, hand]) => [`${measure}|${ours}`, `${measure}|${hand}`]),
  );
  const taken = new Map<string, number[]>([...wanted].map((each) => [each, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [each, values] of taken) {
      const [measure, contestant] = each.split('|');
      values.push(measureInChild(measure!, contestant!));
    }
  }
  const median = (each: string) => {
    const values = taken.get(each)!.sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)]!;
  };
  const rows = table.map(([measure, ours, hand, goal]) => {
    const [our, their] = [median(`${measure}|${ours}`), median(`${measure}|${hand}`)];
    return [
      measure,
      ours,
      our.toFixed(1),
      hand,
      their.toFixed(1),
      (our / their).toFixed(2),
      `≤ ${goal}`,
    ];
  });
  const all = [['', 'ours', 'ns', 'by hand', 'ns', 'ratio', 'goal'], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  console.log(
    `Node ${process.version}, ${ROUNDS} rounds, medians${quick ? ' (quick: only that it runs)' : ''}\n`,
  );
  for (const row of all) console.log(row.map((cell, n) => cell.padEnd(widths[n]!)).join('  '));
}

await main();
