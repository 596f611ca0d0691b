/**
 * What became of the mutants of every part that has been run, as Stryker's reports tell it. Writes it
 * to docs/proof.md, and fails when a mutant has survived that is not explained, or too many have.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeProof } from '../proof.ts';
import { explanations } from './explanations.ts';

interface Position {
  readonly line: number;
  readonly column: number;
}

interface Mutant {
  readonly status: string;
  readonly replacement: string;
  readonly location: { readonly start: Position; readonly end: Position };
}

/** A source file as it was mutated. */
interface Mutated {
  readonly name: string;
  readonly source: string;
  readonly mutants: readonly Mutant[];
}

/** The primitive and the token source: there is least excuse. */
const CORE =
  /^src\/(flight|flight-group|single-flight|check|options|credential|refresh-failure|token-.*|session|connection|body)\.ts$/;

/** Percent. */
const LEAST_OF_CORE = 98;
const LEAST_OF_ALL = 95;

const root = join(import.meta.dirname, '../..');
const reports = join(root, 'coverage/mutation');

const files = readdirSync(reports)
  .filter((name) => name.endsWith('.json'))
  .flatMap((name): Mutated[] => {
    const report = JSON.parse(readFileSync(join(reports, name), 'utf8'));
    return Object.entries<any>(report.files).map(([file, mutated]) => ({ name: file, ...mutated }));
  })
  .sort((a, b) => a.name.localeCompare(b.name));

const survivorsOf = ({ mutants }: Mutated) =>
  mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage');

const inOneLine = (code: string) => code.trim().replaceAll(/\s+/g, ' ');

/** What a mutant has changed, told so that it stays true when lines are added above. */
function changeOf({ source }: Mutated, { location: { start, end }, replacement }: Mutant) {
  const lines = source.split('\n').slice(start.line - 1, end.line);
  const line = lines[0]!.trim();
  lines.push(lines.pop()!.slice(0, end.column - 1));
  lines[0] = lines[0]!.slice(start.column - 1);
  return { line, from: inOneLine(lines.join('\n')), to: inOneLine(replacement) };
}

const complaints: string[] = [];

/** A row of the table, whose score must not be less than what is asked for. */
function row(name: string, of: Mutated[], least = 0): string {
  const count = (status: string) =>
    of.flatMap(({ mutants }) => mutants).filter((mutant) => mutant.status === status).length;
  const killed = count('Killed');
  const timedOut = count('Timeout');
  const survived = of.flatMap(survivorsOf).length;
  const all = killed + timedOut + survived;
  // Rounded down: 100 % is all of them.
  const score = Math.floor(((killed + timedOut) / all) * 1000) / 10;
  if (score < least) complaints.push(`${name}: ${score} % is less than ${least} %`);
  return `| ${name} | ${all} | ${killed} | ${timedOut} | ${survived} | ${score.toFixed(1)} % |`;
}

/** What is explained in one file: each explanation must have its survivor, and each survivor one. */
function explainedIn(file: Mutated): string[] {
  const given = explanations[file.name] ?? [];
  const changes = survivorsOf(file).map((mutant) => ({ mutant, ...changeOf(file, mutant) }));
  const isSame = (a: (typeof given)[0], b: (typeof changes)[0]) =>
    a.line === b.line && a.from === b.from && a.to === b.to;
  for (const change of changes) {
    if (given.some((each) => isSame(each, change))) continue;
    const { mutant, line, from, to } = change;
    const at = `${file.name}:${mutant.location.start.line}`;
    complaints.push(`${at} survives:\n    ${line}\n    ${from}\n -> ${to}`);
  }
  for (const each of given) {
    if (changes.some((change) => isSame(each, change))) continue;
    complaints.push(`${file.name}: explained, but killed or gone: ${each.from} -> ${each.to}`);
  }
  return given.map(({ from, to, why }) => `- \`${file.name}\`: \`${from}\` → \`${to}\`: ${why}`);
}

for (const { name, source } of files) {
  const isOld = readFileSync(join(root, name), 'utf8') !== source;
  if (isOld) complaints.push(`${name} has changed since: run Stryker again`);
}
const mutated = files.filter(({ mutants }) => mutants.length > 0);
const table = [
  '| file | mutants | killed | timed out | survived | score |',
  '| --- | --: | --: | --: | --: | --: |',
  ...mutated.map((file) => row(`\`${file.name}\``, [file])),
  row(
    '**primitive and token source**',
    mutated.filter(({ name }) => CORE.test(name)),
    LEAST_OF_CORE,
  ),
  row('**all**', mutated, LEAST_OF_ALL),
];
const list = files.flatMap(explainedIn);

console.log([...table, ...complaints].join('\n'));
if (complaints.length > 0) process.exit(1);
writeProof('mutation', [...table, '', 'Those that survive, and why:', '', ...list].join('\n'));
