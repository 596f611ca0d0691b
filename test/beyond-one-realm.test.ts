import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blocksOf, complaintsOf, read, root } from './markdown.ts';

const guide = read('docs/beyond-one-realm.md');

/** What an app has around the code of the guide. */
const GIVEN = `
  interface Token { access_token: string; refresh_token: string; expires_in: number }
  declare const REDIS_URL: string, POSTGRES_URL: string, TOKEN_KEY: string, id: string;
  declare const Buffer: any;
  declare function refresh(context: { token: Token | undefined; signal: AbortSignal }): Promise<Token>;
`;

describe('The code in docs/beyond-one-realm.md', () => {
  it.each(['browser', 'redis', 'postgres'])(
    'compiles for a user with strict settings: %s',
    (name) => {
      const blocks = blocksOf(guide, `ts ${name}`);
      expect(blocks).toHaveLength(1);
      expect(complaintsOf(GIVEN + blocks[0]!)).toEqual([]);
    },
    30_000,
  );

  it('compiles for a user with strict settings: encrypt', () => {
    const [code] = blocksOf(guide, 'ts encrypt');
    const client = `import { Redis } from 'ioredis'; const redis = new Redis();`;
    expect(complaintsOf(GIVEN + client + code!)).toEqual([]);
  }, 30_000);

  it('is the double that the tests use, where it is one of your own', () => {
    const [own] = blocksOf(guide, 'ts own');
    const double = read('test/shared/memory-tokens.ts');
    expect(own!.replace("'oneflight'", "'../../src/index.ts'")).toBe(double);
  });
});

describe('The links in docs/beyond-one-realm.md', () => {
  it('lead to files and to headings', () => {
    const slugs = [...guide.matchAll(/^## (.*)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    const targets = [...guide.matchAll(/\]\(\s*([^)\s]+)\)/g)].map(([, target]) => target!);
    expect(targets.length).toBeGreaterThan(15);
    for (const target of targets.filter((each) => !each.startsWith('http'))) {
      if (target.startsWith('#')) expect(slugs).toContain(target.slice(1));
      else expect(existsSync(join(root, 'docs', target)), target).toBe(true);
    }
  });
});
