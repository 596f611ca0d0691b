import type { Environment } from './environment.ts';
import { ROUNDS, type Section } from './measure.ts';

/** What results.json holds: every section as it was measured last, by name. */
export type Results = Readonly<Record<string, Section & Environment>>;

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
