/**
 * `npm run bench [-- --quick] [-- names…]`: measures the sections that are named, or all of them.
 * A whole run writes results.md, and results.json for those who draw; `--quick` only proves that it
 * runs.
 */
import { writeFileSync } from 'node:fs';
import { section as bytes } from './bytes.ts';
import { environment, type Environment } from './environment.ts';
import { args, quick, ROUNDS, type Section } from './measure.ts';
import { requirePeers } from './peers.ts';
import { section as primitive } from './primitive/section.ts';

/** In the order of the results. */
const SECTIONS: Readonly<Record<string, () => Promise<Section>>> = { primitive, bytes };

function wanted(): string[] {
  const known = Object.keys(SECTIONS);
  const named = args();
  for (const name of named) {
    if (!known.includes(name)) throw new Error(`sections are ${known.join(', ')}, got "${name}"`);
  }
  return named.length > 0 ? named : known;
}

const textOf = ({ title, text }: Section): string => `## ${title}\n\n${text}\n`;

function heading({ machine, node, date, versions }: Environment): string {
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    '# What oneflight costs, beside what else there is',
    'Written by `npm run bench`; do not edit.',
    `${machine}. Node ${node}, ${date}.`,
    `Measured: ${list.join(', ')}.`,
    `What is timed or weighed is so in a process of its own, in ${ROUNDS} rounds in which all take turns, unless said otherwise. The medians count.`,
  ].join('\n\n');
}

function write(sections: Readonly<Record<string, Section>>): void {
  const about = environment();
  const texts = Object.values(sections).map(textOf);
  const data = Object.entries(sections).map(([name, each]) => [name, each.data]);
  const results = { ...about, sections: Object.fromEntries(data) };
  const file = (name: string) => new URL(name, import.meta.url);
  writeFileSync(file('results.md'), [`${heading(about)}\n`, ...texts].join('\n'));
  writeFileSync(file('results.json'), `${JSON.stringify(results, undefined, 2)}\n`);
}

requirePeers();
const sections: Record<string, Section> = {};
for (const name of wanted()) {
  sections[name] = await SECTIONS[name]!();
  console.log(textOf(sections[name]));
}
if (quick) console.log('Quick: only that it runs. The figures mean nothing.');
else if (args().length === 0) write(sections);
