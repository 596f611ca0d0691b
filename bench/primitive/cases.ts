import { getHeapStatistics } from 'node:v8';
import { settled } from '../../test/gate.ts';
import { times } from '../measure.ts';
import type { Create, Flights, Task } from './contestants.ts';

/** One thing that is measured. */
export interface Case {
  readonly title: string;
  /** What one number is, and how it is taken. */
  readonly text: string;
  readonly unit: 'ns' | 'bytes';
  /** What a contestant must have to take part. */
  readonly needs?: 'key' | 'signal';
  /** Ours must need at most so many times what is written by hand needs. */
  readonly goal?: number;
  /** Undefined when the contestant has no room for it. */
  readonly measure: (create: Create) => Promise<number | undefined>;
}

const KEY = 'a';
const JOINERS = times(10_000);
const ROUND = times(1000);

const instant: Task = async () => 1;

/**
 * Nanoseconds per call: `round` makes `calls` of them again and again and gives the milliseconds
 * they took. Bounded in time, not in number, since contestants are a hundredfold apart.
 */
async function perCall(calls: number, round: () => Promise<number>): Promise<number> {
  const spend = async (milliseconds: number) => {
    const until = performance.now() + milliseconds;
    let [spent, rounds] = [0, 0];
    do {
      spent += await round();
      rounds++;
    } while (performance.now() < until);
    return (spent / rounds / calls) * 1e6;
  };
  // What is compiled while it runs belongs to no one's figure.
  await spend(times(200));
  return spend(times(500));
}

/** The milliseconds that calls take which are awaited one by one. */
async function oneByOne(call: (number: number) => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  for (let n = 0; n < ROUND; n++) await call(n);
  return performance.now() - startedAt;
}

/** Calls that join a flight which others have started; the flight lands outside what is timed. */
async function join(
  create: Create,
  joiners: number,
  call: (flights: Flights, joiner: number) => Promise<unknown>,
): Promise<number> {
  let land: (value: number) => void;
  const landing = () =>
    new Promise((resolve) => {
      land = resolve;
    });
  const flights = create(landing, 1);
  return perCall(joiners, async () => {
    const first = flights.call(KEY);
    let last: Promise<unknown> = first;
    // Some start it later.
    await settled();
    const startedAt = performance.now();
    // To keep them all in an array would cost more than to join does.
    for (let n = 0; n < joiners; n++) last = call(flights, n);
    const milliseconds = performance.now() - startedAt;
    land(1);
    await Promise.all([first, last]);
    return milliseconds;
  });
}

/** All keys by every caller, at once, until each has heard. */
function burst(create: Create, keys: readonly string[], callers: number): Promise<number> {
  const flights = create(instant, keys.length);
  const calls = Array.from<Promise<unknown>>({ length: keys.length * callers });
  return perCall(calls.length, async () => {
    const startedAt = performance.now();
    for (let n = 0; n < calls.length; n++) calls[n] = flights.call(keys[n % keys.length]!);
    await Promise.all(calls);
    return performance.now() - startedAt;
  });
}

const keysNamed = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${name} ${n}`);

function usedHeap(): number {
  globalThis.gc!();
  return process.memoryUsage().heapUsed;
}

async function heapPerKey(create: Create): Promise<number> {
  const pending: ((value: number) => void)[] = [];
  const keys = keysNamed('key', times(50_000));
  const before = usedHeap();
  const flights = create(() => new Promise((resolve) => void pending.push(resolve)), keys.length);
  for (const key of keys) void flights.call(key);
  await settled();
  const bytes = (usedHeap() - before) / keys.length;
  for (const resolve of pending) resolve(1);
  return bytes;
}

/** How many keys are pending while others are started. */
export const PENDING = [10, 1000, 100_000, 1_000_000] as const;

/** After so many it shows how much all of them will need. */
const SAMPLE = 10_000;

async function coldBeside(create: Create, pending: number): Promise<number | undefined> {
  const keys = keysNamed('key', ROUND);
  let task: Task = () => new Promise(() => {});
  const flights = create(() => task(), pending + ROUND);
  const before = usedHeap();
  for (let n = 0; n < pending; n++) {
    void flights.call(`pending ${n}`);
    if (n === SAMPLE) {
      const needed = (usedHeap() - before) * (pending / SAMPLE);
      if (needed > getHeapStatistics().heap_size_limit * 0.7) return undefined;
    }
  }
  await settled();
  task = instant;
  return perCall(ROUND, () => oneByOne((n) => flights.call(keys[n]!)));
}

const signalsOf = (count: number): AbortSignal[] =>
  Array.from({ length: count }, () => new AbortController().signal);

/** By name; each is measured in a process of its own. */
export const cases: Readonly<Record<string, Case>> = {
  join: {
    title: 'Join',
    text: `A call for a key that is pending: ${JOINERS} of them, before it lands. All are compared with the Map.`,
    unit: 'ns',
    goal: 1.25,
    measure: (create) => join(create, JOINERS, ({ call }) => call(KEY)),
  },
  settle: {
    title: 'Join and settle',
    text: 'Each of 10 callers who ask for one key at once, until all have heard.',
    unit: 'ns',
    goal: 1,
    measure: (create) => burst(create, [KEY], 10),
  },
  cold: {
    title: 'Cold',
    text: 'One call that nobody joins, until it is heard.',
    unit: 'ns',
    goal: 0.9,
    measure(create) {
      const flights = create(instant, 1);
      return perCall(ROUND, () => oneByOne(() => flights.call(KEY)));
    },
  },
  keys: {
    title: '1000 keys × 10 callers',
    text: 'Each of 10 000 calls, until all have heard.',
    unit: 'ns',
    needs: 'key',
    goal: 1.1,
    measure: (create) => burst(create, keysNamed('key', 1000), 10),
  },
  heap: {
    title: 'Heap',
    text: 'What stays on the heap per pending key, the task’s own promise included.',
    unit: 'bytes',
    needs: 'key',
    goal: 0.9,
    measure: heapPerKey,
  },
  'join with a signal': {
    title: 'Join, with a signal',
    text: 'As above, each caller with an `AbortSignal` of its own: 1000 callers.',
    unit: 'ns',
    needs: 'signal',
    measure(create) {
      const signals = signalsOf(ROUND);
      return join(create, ROUND, (flights, n) => flights.callUntil!(KEY, signals[n]!));
    },
  },
  'cold with a signal': {
    title: 'Cold, with a signal',
    text: 'As above, with one `AbortSignal` for all calls, as a long-lived request has.',
    unit: 'ns',
    needs: 'signal',
    measure(create) {
      const flights = create(instant, 1);
      const [signal] = signalsOf(1);
      return perCall(ROUND, () => oneByOne(() => flights.callUntil!(KEY, signal!)));
    },
  },
};

/** The same by name: the cold start of a key while so many others are pending. */
export const growth: Readonly<Record<string, Case>> = Object.fromEntries(
  PENDING.map((pending) => [
    `beside ${pending}`,
    {
      title: pending.toLocaleString('en'),
      text: '',
      unit: 'ns',
      needs: 'key',
      measure: (create) => coldBeside(create, times(pending)),
    } satisfies Case,
  ]),
);
