import type { Environment } from './environment.ts';
import { ROUNDS, type Section } from './measure.ts';

/** What results.json holds: every section as it was measured last, by name. */
export type Results = Readonly<Record<string, Section & Environment>>;

/** Of the section `primitive`: the cases by name, each with all contestants. */
export interface PrimitiveData {
  readonly correctness: Record<string, Record<string, { readonly mark: '✓' | '✗' | '–' }>>;
  readonly figures: Record<
    string,
    readonly { readonly name: string; readonly figure?: number; readonly ratio?: number }[]
  >;
}

/** Of the section `adapters`. */
export interface AdaptersData {
  readonly network: readonly {
    readonly client: string;
    readonly request: string;
    readonly ratio: number;
  }[];
}

/** Of the section `burst`: a client and a number of requests, and what became of them. */
export interface BurstData {
  readonly bursts: readonly {
    readonly client: string;
    readonly isOurs: boolean;
    readonly n: number;
    /** In milliseconds, over which the refusals come. */
    readonly spread: number;
    readonly wallRatio?: number;
    readonly answers?: number;
    readonly refreshes?: number;
    readonly hanging?: number;
    readonly isAlive?: number;
  }[];
}

/** What README says of the results. */
export function summaryOf(results: Results): string {
  const { correctness, figures } = results['primitive']!.data as PrimitiveData;
  const ratio = (name: string) =>
    figures[name]!.find((each) => each.name === 'FlightGroup.run')!.ratio!.toFixed(2);
  const passed = (name: string) =>
    Object.values(correctness[name]!).filter(({ mark }) => mark === '✓').length;
  const others = Object.keys(correctness).filter((name) => !/singleFlight|FlightGroup/.test(name));

  const { network } = results['adapters']!.data as AdaptersData;
  const gets = network.filter(({ request }) => request === 'GET');
  const { bursts } = results['burst']!.data as BurstData;
  const thousands = bursts.filter(({ isOurs, n }) => isOurs && n === 1000);
  return [
    `Against a Map and \`.finally()\` by hand, a cold flight takes ${ratio('cold')} times as long, a join ${ratio('join')}, and a pending key ${ratio('heap')} of the heap; \`FlightGroup\` passes ${passed('FlightGroup.run')} of 6 checks of correctness, the best of what else there is ${Math.max(...others.map(passed))}.`,
    `While no token expires, a request takes ${listOf(gets.map((each) => `${each.ratio.toFixed(2)} (${each.client})`))} times the CPU time of the bare client's.`,
    `1000 requests that meet an expired token: ${listOf(thousands.map((each) => `${each.answers} answers by ${each.refreshes} refresh in ${each.wallRatio!.toFixed(2)} times the least possible (${each.client.replace(/^oneflight, /, '')})`))}.`,
  ].join('\n');
}

const listOf = (all: readonly string[]): string => all.join(', ');

/** The whole as a document. */
export function markdownOf(results: Results): string {
  const versions = Object.assign({}, ...Object.values(results).map((each) => each.versions));
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    '# What oneflight costs, beside what else there is',
    'Written by `npm run bench`; do not edit.',
    `Measured: ${list.join(', ')}.`,
    `What is timed or weighed is so in a process of its own, in ${ROUNDS} rounds in which all take turns, unless said otherwise. The medians count.`,
    ...Object.values(results).flatMap(({ title, text, machine, node, date }) => [
      `## ${title}`,
      `${machine}. Node ${node}, ${date}.`,
      text,
    ]),
  ]
    .join('\n\n')
    .concat('\n');
}
