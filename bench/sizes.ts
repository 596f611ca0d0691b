/** `npm run sizes`: measures the built package and writes README's table of sizes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { sizeTable } from '../test/sizes.ts';

const file = new URL('../README.md', import.meta.url);
const readme = readFileSync(file, 'utf8');
const table = /(\| import \| from \| bytes \|\n\|[-|]+\|\n)(?:\|.*\n)+/;
if (!table.test(readme)) throw new Error('README has no table of sizes');
writeFileSync(file, readme.replace(table, `$1${await sizeTable()}\n`));
