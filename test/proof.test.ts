import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { read, root } from './markdown.ts';
import { readProof } from './proof.ts';

const proof = read('docs/proof.md');

describe('docs/proof.md', () => {
  it('has a row for every promise that README lists', () => {
    const [, ...lists] = read('README.md')
      .split('## What it promises')[1]!
      .split('## Entries')[0]!
      .split(/^\*\*/m);
    const promises = lists.flatMap((list, index) =>
      [...list.matchAll(/^(\d+)\. /gm)].map(([, number]) => `§${index + 3}.${number}`),
    );
    expect(promises.length).toBeGreaterThan(25);
    const rows = [...proof.matchAll(/^\| (§\d+\.\d+) /gm)].map(([, number]) => number);
    expect(rows).toEqual(promises);
  });

  it.each(['exploration', 'mutation', 'coverage', 'runtimes', 'soak', 'types'])(
    'has what a command has measured: %s',
    (name) => {
      expect(readProof(name)).toMatch(/\d/);
      const before = proof.split(`<!-- ${name} -->`)[0]!;
      const command = [...before.matchAll(/^`npm run (\S+)`$/gm)].at(-1)![1]!;
      expect(Object.keys(manifest.scripts)).toContain(command);
    },
  );

  it('has links that lead to files', () => {
    const links = [...proof.matchAll(/\]\(([^)#\s]+)/g)].map(([, target]) => target!);
    const local = links.filter((target) => !target.startsWith('http'));
    expect(local.length).toBeGreaterThan(20);
    for (const target of local) expect(existsSync(join(root, 'docs', target)), target).toBe(true);
  });
});
