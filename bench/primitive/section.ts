import { measure, table, type Section } from '../measure.ts';
import { cases, growth, PENDING, type Case } from './cases.ts';
import * as by from './contestants.ts';
import { correctness, correctnessText, score, type Marks } from './correctness.ts';

const { contestants } = by;

/** One contestant in one case. */
interface Row {
  readonly name: string;
  readonly figure: number | undefined;
  /** To what is written by hand for the same job. */
  readonly ratio: number | undefined;
}

/** A million keys take some of them half a minute. */
const GROWTH_ROUNDS = 3;

type Figured = Readonly<Record<string, readonly Row[]>>;

/** The primitive beside what people write by hand and what they install. */
export async function section(): Promise<Section> {
  const marked = await correctness();
  const figures = {
    ...(await measureAll(cases, marked)),
    ...(await measureAll(growth, marked, GROWTH_ROUNDS)),
  };
  const setups = Object.entries(contestants).map(([name, { setup }]) => `- ${name}: ${setup}.`);
  const text = [
    'Each does the same job: concurrent calls share one run, and the call after that runs again.',
    setups.join('\n'),
    '`× by hand` is the ratio to the Map by hand, or to the closure for those without keys; `passed` is how many checks a contestant has passed.',
    '### Correct',
    correctnessText(marked),
    ...Object.entries(cases).map(([name, each]) => caseText(each, figures[name]!, marked)),
    growthText(figures),
    MISSED,
  ].join('\n\n');
  return {
    title: 'The primitive',
    text,
    data: { correctness: Object.fromEntries(marked), figures },
  };
}

/** By a profile, and by the difference to `FlightGroup.run`. */
const MISSED = `### What it costs where a goal is missed

\`singleFlight\` with a key gathers the arguments of every call, asks \`key\`, and makes the closure that would
run the task. By hand the Map is called with a key and a task that are there already; so is
\`FlightGroup.run\`, and the difference between the two is what this costs: about 8 ns a call. In a join, which
takes as long, it shows; it is lost in a task. Who calls a million times joins with \`FlightGroup.run\`.

\`singleFlight\` without a key asks a Map for its only flight, 5 ns a call, where a closure has a variable.
It is the same code as with keys, and so has their re-entry, throws and \`forget\`.`;

async function measureAll(
  measured: Readonly<Record<string, Case>>,
  marked: ReadonlyMap<string, Marks>,
  rounds?: number,
): Promise<Figured> {
  const pairs = Object.entries(measured).flatMap(([name, { needs }]) =>
    Object.keys(contestants)
      .filter((contestant) => takesPart(contestant, needs, marked.get(contestant)!))
      .map((contestant) => [name, contestant]),
  );
  const script = './primitive/run-case.ts';
  const taken = await measure(
    pairs.map((args) => ({ script, args })),
    rounds,
  );
  const figureOf = (name: string, contestant: string) =>
    taken[pairs.findIndex((pair) => pair[0] === name && pair[1] === contestant)]?.['figure'];

  const rowsOf = (name: string): Row[] =>
    pairs
      .filter(([measured]) => measured === name)
      .map(([, contestant]) => {
        const figure = figureOf(name, contestant!);
        const byHand = figureOf(name, siblingByHand(name, contestant!));
        return { name: contestant!, figure, ratio: figure && byHand && figure / byHand };
      })
      .sort((a, b) => (a.figure ?? Infinity) - (b.figure ?? Infinity));
  return Object.fromEntries(Object.keys(measured).map((name) => [name, rowsOf(name)]));
}

/** A signal that is not the caller's alone is another job. */
function takesPart(contestant: string, needs: Case['needs'], marks: Marks): boolean {
  const { isKeyless, isOnlyForSignals } = contestants[contestant]!;
  if (needs === 'signal') return marks['abort']!.mark === '✓';
  return !isOnlyForSignals && !(needs === 'key' && isKeyless);
}

/** What a contestant is compared with. */
function siblingByHand(name: string, contestant: string): string {
  const { isKeyless } = contestants[contestant]!;
  if (cases[name]?.needs === 'signal') {
    return isKeyless ? by.CLOSURE_WITH_SIGNAL : by.MAP_WITH_SIGNAL;
  }
  // A closure has nothing to look up, and ours looks up even its only flight: the goal allows for it.
  return isKeyless && name !== 'join' ? by.CLOSURE : by.MAP;
}

function caseText(
  { title, text, unit, goal }: Case,
  rows: readonly Row[],
  marked: ReadonlyMap<string, Marks>,
): string {
  const head = ['', unit, '× by hand', 'passed', ...(goal ? ['goal'] : [])];
  const lines = rows.map(({ name, figure, ratio }) => [
    nameOf(name),
    rounded(figure),
    ratio?.toFixed(2) ?? '–',
    score(marked.get(name)!),
    ...(goal ? [goalText(name, ratio, goal)] : []),
  ]);
  return [`### ${title}`, text, table(head, lines)].join('\n\n');
}

const nameOf = (name: string): string => (contestants[name]!.isOurs ? `**${name}**` : name);

function rounded(figure: number | undefined): string {
  return figure?.toFixed(figure < 100 ? 1 : 0) ?? '–';
}

function goalText(name: string, ratio: number | undefined, goal: number): string {
  if (!contestants[name]!.isOurs) return '';
  return `≤ ${goal} ${ratio !== undefined && ratio <= goal ? '✓' : '✗'}`;
}

function growthText(figures: Figured): string {
  const columns = Object.keys(growth).map((name) => figures[name]!);
  const lines = columns[0]!.map(({ name }) => [
    nameOf(name),
    ...columns.map((rows) => rounded(rows.find((row) => row.name === name)?.figure)),
  ]);
  const head = PENDING.map((pending) => pending.toLocaleString('en'));
  return [
    '### Growth',
    `Nanoseconds for a cold call while so many other keys are pending, in ${GROWTH_ROUNDS} rounds (–: the heap has no room for them).`,
    table(['pending', ...head], lines),
  ].join('\n\n');
}
