/** How everything here is measured: in fresh processes, in interleaved rounds, as ratios of medians. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { quantile } from '../test/quantile.ts';

/** Only proves that it runs: the figures mean nothing. */
export const quick = process.argv.includes('--quick');

/** Of which the median counts. */
export const ROUNDS = quick ? 1 : 5;

/** How often something is done: hardly ever when quick. */
export const times = (count: number): number => Math.ceil(count * (quick ? 0.02 : 1));

/** What one measurement gave, by what was measured; `undefined` where it could not be. */
export type Figures = Readonly<Record<string, number | undefined>>;

/** One script, which measures one case a process and ends with {@link report}. */
export interface Subject {
  /** The script that is run, with `args` as its arguments. */
  readonly script: string;
  readonly args: readonly string[];
}

/** Called last thing by a script that measures, or that finds out something else. */
export function report(result: Figures | Readonly<Record<string, string | undefined>>): void {
  console.log(JSON.stringify(result));
}

/** The arguments of a script that measures. */
export const args = (): string[] => process.argv.slice(2).filter((arg) => arg !== '--quick');

const run = promisify(execFile);

/**
 * Runs every subject once a round, in a process of its own. Gives the figures of all rounds, in the
 * order of the subjects.
 *
 * @param rounds Fewer for what takes minutes.
 */
export async function takeRounds(
  subjects: readonly Subject[],
  rounds = ROUNDS,
): Promise<Figures[][]> {
  const taken = subjects.map((): Figures[] => []);
  for (let round = 0; round < Math.min(rounds, ROUNDS); round++) {
    for (const [index, subject] of subjects.entries()) {
      // One after the other: two at once would share the caches of the machine.
      // oxlint-disable-next-line no-await-in-loop
      taken[index]!.push(await runOnce<Figures>(subject));
    }
  }
  return taken;
}

/** {@link takeRounds}, of which only the medians count. */
export async function measure(subjects: readonly Subject[], rounds?: number): Promise<Figures[]> {
  return (await takeRounds(subjects, rounds)).map(medians);
}

/** Of each figure, over all rounds. */
export function medians(rounds: readonly Figures[]): Figures {
  return Object.fromEntries(
    Object.keys(rounds[0]!).map((what) => [what, median(rounds.map((each) => each[what]))]),
  );
}

/** What the subject reports, run once in a process of its own. */
export async function runOnce<Result>({ script, args: own }: Subject): Promise<Result> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const flags = ['--expose-gc', '--import', 'tsx', file, ...own];
  const { stdout } = await run(process.execPath, quick ? [...flags, '--quick'] : flags, {
    timeout: 300_000,
    // As what is measured is used: some do more when they are developed with.
    env: { ...process.env, NODE_ENV: 'production' },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}

/** Undefined when any is: what fails once has failed. */
export function median(values: readonly (number | undefined)[]): number | undefined {
  if (values.includes(undefined)) return undefined;
  return quantile(values as number[], 0.5);
}

/** A table as Markdown, wide enough to be read in a terminal too. Numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)),
  );
  const isNumeric = head.map((_, column) =>
    rows.every((row) => /^[\d.,–≤×~ -]*( [a-zµ]+)?$/i.test(row[column]!)),
  );
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, n) => (isNumeric[n] ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!))).join(' | ')} |`;
  const rule = widths.map((width, n) => '-'.repeat(width - 1) + (isNumeric[n] ? ':' : '-'));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** A part of the results. */
export interface Section {
  readonly title: string;
  /** Markdown: what was measured and how, and its tables. */
  readonly text: string;
  /** What pictures are drawn from; any JSON. */
  readonly data: unknown;
}
