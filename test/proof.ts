import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../docs/proof.md');

/** What stands between the marks of a section: `<!-- name -->` and `<!-- /name -->`. */
const section = (name: string) => new RegExp(`(<!-- ${name} -->\n)(.*?)(<!-- /${name} -->)`, 's');

/** What a command has written into docs/proof.md under its name. */
export function readProof(name: string): string {
  const found = section(name).exec(readFileSync(file, 'utf8'));
  if (!found) throw new Error(`docs/proof.md has no section "${name}"`);
  return found[2]!;
}

/**
 * Writes the numbers of a command into its section of docs/proof.md, so that none is written by hand.
 * Not in CI, whose checkout is nobody's.
 */
export function writeProof(name: string, markdown: string): void {
  const old = readProof(name);
  if (process.env['CI']) return;
  const text = readFileSync(file, 'utf8').replace(
    section(name),
    (_, from: string, __, to: string) => `${from}\n${markdown.trim()}\n\n${to}`,
  );
  if (old.trim() !== markdown.trim()) writeFileSync(file, text);
}
