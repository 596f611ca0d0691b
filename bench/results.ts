import type { Environment } from './environment.ts';
import type { Marks } from './primitive/correctness.ts';
import { ROUNDS, type Section } from './measure.ts';

/** What results.json holds: every section as it was measured last, by name. */
export type Results = Readonly<Record<string, Section & Environment>>;

/** Of the section `primitive`: the cases by name, each with all contestants. */
export interface PrimitiveData {
  readonly correctness: Record<string, Marks>;
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

/** Whether this contestant of the primitive is one of ours. */
export const isOurs = (contestant: string): boolean => /singleFlight|FlightGroup/.test(contestant);

/** How many checks are passed. What is missing is not. */
export const passed = (marks: Marks): number =>
  Object.values(marks).filter(({ mark }) => mark === '✓').length;

/** What README says of the results: a line for each section that has been measured. */
export function summaryOf({ primitive, adapters, burst }: Results): string {
  return [
    primitive && ofPrimitive(primitive.data as PrimitiveData),
    adapters && ofAdapters(adapters.data as AdaptersData),
    burst && ofBurst(burst.data as BurstData),
  ]
    .filter(Boolean)
    .join('\n');
}

function ofPrimitive({ correctness, figures }: PrimitiveData): string {
  const ratio = (name: string) =>
    figures[name]!.find((each) => each.name === 'FlightGroup.run')!.ratio!.toFixed(2);
  const others = Object.keys(correctness).filter((name) => !isOurs(name));
  const best = Math.max(...others.map((name) => passed(correctness[name]!)));
  return `Against a Map and \`.finally()\` by hand, a cold flight of \`FlightGroup\` takes ${ratio('cold')} of the time, a join ${ratio('join')}, and a pending key ${ratio('heap')} of the heap; it passes ${passed(correctness['FlightGroup.run']!)} of 6 checks of correctness, the best of what else there is ${best}.`;
}

function ofAdapters({ network }: AdaptersData): string {
  const gets = network.filter(({ request }) => request === 'GET');
  const ratios = listOf(gets.map(({ client, ratio }) => `${ratio.toFixed(2)} (${client})`));
  return `While no token expires, a GET on loopback takes ${ratios} times the CPU time of the bare client's.`;
}

function ofBurst({ bursts }: BurstData): string {
  const thousands = bursts.filter(({ isOurs, n }) => isOurs && n === 1000);
  const outcomes = listOf(
    thousands.map(
      ({ client, answers, refreshes, wallRatio }) =>
        `${answers} answers by ${refreshes} refresh in ${wallRatio!.toFixed(2)} times the least possible (${client.replace(/^oneflight, /, '')})`,
    ),
  );
  return `1000 requests that meet an expired token: ${outcomes}.`;
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
