/**
 * `npm run bench [-- --quick] [-- names…]`: measures the sections that are named, or all of them, which
 * takes the better part of an hour. Each is written into results.json as soon as it is measured, and
 * results.md and the pictures are drawn from that; `--quick` only proves that it runs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { section as adapters } from './adapters/section.ts';
import { section as burst } from './burst/section.ts';
import { section as bytes } from './bytes.ts';
import { writeSection } from '../test/section.ts';
import { environment } from './environment.ts';
import { args, quick, type Section } from './measure.ts';
import { requirePeers } from './peers.ts';
import { drawPictures } from './pictures.ts';
import { markdownOf, summaryOf, type Results } from './results.ts';
import { section as primitive } from './primitive/section.ts';

/** In the order of the results. */
const SECTIONS: Readonly<Record<string, () => Promise<Section>>> = {
  primitive,
  adapters,
  burst,
  bytes,
};

function wanted(): string[] {
  const known = Object.keys(SECTIONS);
  const named = args();
  for (const name of named) {
    if (!known.includes(name)) throw new Error(`sections are ${known.join(', ')}, got "${name}"`);
  }
  return named.length > 0 ? named : known;
}

const fileOf = (name: string) => new URL(name, import.meta.url);
const results = fileOf('results.json');

/** Replaces what was measured before of the same section. */
function write(name: string, section: Section): void {
  const before = existsSync(results) ? (JSON.parse(readFileSync(results, 'utf8')) as Results) : {};
  const all = { ...before, [name]: { ...environment(), ...section } };
  const ordered = Object.fromEntries(
    Object.keys(SECTIONS).flatMap((each) => (all[each] ? [[each, all[each]]] : [])),
  );
  writeFileSync(results, `${JSON.stringify(ordered, undefined, 2)}\n`);
  writeFileSync(fileOf('results.md'), markdownOf(ordered));
  drawPictures(ordered);
  writeSection('README.md', 'measured', summaryOf(ordered));
}

requirePeers();
for (const name of wanted()) {
  // One after the other: each has the machine to itself.
  // oxlint-disable-next-line no-await-in-loop
  const section = await SECTIONS[name]!();
  console.log(`## ${section.title}\n\n${section.text}\n`);
  if (!quick) write(name, section);
}
if (quick) console.log('Quick: only that it runs. The figures mean nothing.');
