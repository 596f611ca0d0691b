import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const pathOf = (file: string) => join(import.meta.dirname, '..', file);

/** What stands between the marks of a section: `<!-- name -->` and `<!-- /name -->`. */
const section = (name: string) => new RegExp(`(<!-- ${name} -->\n)(.*?)(<!-- /${name} -->)`, 's');

/**
 * What a command has written into a document under its name.
 *
 * @param file From the root of the repository.
 */
export function readSection(file: string, name: string): string {
  const found = section(name).exec(readFileSync(pathOf(file), 'utf8'));
  if (!found) throw new Error(`${file} has no section "${name}"`);
  return found[2]!;
}

/** Writes it, so that none of it is written by hand. */
export function writeSection(file: string, name: string, markdown: string): void {
  const old = readSection(file, name);
  const text = readFileSync(pathOf(file), 'utf8').replace(
    section(name),
    (_, from: string, __, to: string) => `${from}\n${markdown.trim()}\n\n${to}`,
  );
  if (old.trim() !== markdown.trim()) writeFileSync(pathOf(file), text);
}
