/** What results depend on. */
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

const manifestOf = (path: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, path, 'package.json'), 'utf8')) as {
    version: string;
    devDependencies: Record<string, string>;
  };

export interface Environment {
  readonly machine: string;
  readonly node: string;
  readonly date: string;
  /** By package, as installed: ours and all that are measured beside it. */
  readonly versions: Readonly<Record<string, string>>;
}

export function environment(): Environment {
  const { model } = cpus()[0]!;
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const peers = Object.keys(manifestOf('.').devDependencies);
  return {
    machine: `${model.trim()}, ${cpus().length} cores, ${gibibytes} GiB`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    versions: Object.fromEntries([
      ['oneflight', manifestOf('..').version],
      ...peers.map((name) => [name, manifestOf(`node_modules/${name}`).version]),
    ]),
  };
}
