import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { summaryOf, type Results } from '../bench/results.ts';
import { startAuthorizationServer } from './authorization-server.ts';
import { blocksOf, complaintsOf, read, root, writeModule } from './markdown.ts';
import { sizeTable } from './sizes.ts';

const readme = read('README.md');
const blocks = blocksOf(readme, 'ts');

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('The code in README', () => {
  it('runs as it is pasted, against a real server', async () => {
    const server = await startAuthorizationServer();
    const { session, token } = server.signIn();
    const bare = fetch;
    // The hosts of the examples are the server; what is public there needs no token.
    const hosts = /^https:\/\/(api|auth)\.example\.com/;
    vi.stubGlobal('fetch', (input: string, init?: RequestInit) =>
      input.includes('/public/')
        ? Promise.resolve(new Response('{}'))
        : bare(
            input.replace('api.example.com/', 'api.example.com/api/').replace(hosts, server.origin),
            init,
          ),
    );
    vi.stubGlobal('signIn', async () => token);
    vi.stubGlobal('location', { assign: vi.fn(), href: 'about:blank' });
    server.expireAccessTokens();

    // One module, as a reader who pastes block after block has it.
    const file = writeModule(`${blocks.join('\n')}\nexport { me, tokens, first, second };\n`);
    const pasted = (await import(file)) as Record<string, unknown>;

    expect((pasted['me'] as Response).status).toBe(200);
    expect(pasted['first']).toBe(pasted['second']);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
    expect(server.paths()).toEqual(['/api/me', '/api/me', '/api/users/ada', '/api/users/bob']);
    await server.close();
  });

  it('compiles for a user with strict settings', () => {
    expect(complaintsOf(blocks.join('\n'))).toEqual([]);
  }, 30_000);

  it.each(blocksOf(readme, 'diff'))(
    'and so it does with another client: diff %#',
    async (diff) => {
      const server = await startAuthorizationServer();
      onTestFinished(() => server.close());
      const { session, token } = server.signIn();
      vi.stubGlobal('signIn', async () => token);
      vi.stubGlobal('location', { assign: () => expect.unreachable(), href: 'about:blank' });
      server.expireAccessTokens();

      const patched = applyDiff(blocks[0]!, diff);
      expect(complaintsOf(patched)).toEqual([]);
      const here = patched
        .replace(
          "allowedOrigins: ['https://api.example.com']",
          `allowedOrigins: ['${server.origin}']`,
        )
        .replaceAll('https://api.example.com', `${server.origin}/api`)
        .replaceAll('https://auth.example.com', server.origin);
      const { me } = (await import(writeModule(`${here}\nexport { me };`))) as { me: unknown };
      expect(me instanceof Response ? await me.json() : me).toMatchObject({ path: '/api/me' });
      expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 1 });
    },
    30_000,
  );

  it('comes early, and is short', () => {
    const lines = readme.split('\n');
    expect(lines.indexOf('```ts')).toBeLessThan(6);
    expect(blocks[0]!.trim().split('\n').filter(Boolean).length).toBeLessThanOrEqual(16);
    expect(lines.findIndex((line) => line.startsWith('npm install'))).toBeLessThan(30);
  });

  it('names commands that exist', () => {
    const commands = [...readme.matchAll(/npm run (\w+)/g)].map(([, name]) => name!);
    expect(commands).toContain('demo');
    for (const name of commands) expect(Object.keys(manifest.scripts)).toContain(name);
  });
});

/** The lines with a minus must be there, and the ones with a plus take their place. */
function applyDiff(code: string, diff: string): string {
  let patched = code;
  let at = 0;
  for (const line of diff.trimEnd().split('\n')) {
    const [sign, text] = [line[0], line.slice(1)];
    if (sign === '+') {
      patched = `${patched.slice(0, at)}${text}\n${patched.slice(at)}`;
      at += text.length + 1;
    } else {
      at = patched.indexOf(`${text}\n`);
      expect(at, `README's example has no line ${text}`).toBeGreaterThanOrEqual(0);
      if (sign === '-') patched = patched.slice(0, at) + patched.slice(at + text.length + 1);
      else at += text.length + 1;
    }
  }
  return patched;
}

describe('The links in README and CONTRIBUTING', () => {
  it('lead to files, and those of the promises to the tests they name', () => {
    const links = [
      ...(readme + read('CONTRIBUTING.md')).matchAll(/\]\(([^)\s]+)(?: (['"])(.*?)\2)?\)/g),
    ];
    const local = links.filter(([, target]) => !target!.startsWith('http'));
    expect(local.length).toBeGreaterThan(25);
    for (const [, target, , title] of local) {
      expect(existsSync(join(root, target!)), target).toBe(true);
      if (title) expect(read(target!), `${target} has no ${title}`).toContain(title);
    }
  });
});

describe('The numbers in README', () => {
  it('are those of the built package', async () => {
    expect(readme, '`npm run sizes` writes them').toContain(await sizeTable());
  });

  it('are those of the last benchmark', () => {
    const results = JSON.parse(read('bench/results.json')) as Results;
    expect(readme, '`npm run bench` writes them').toContain(summaryOf(results));
  });

  it('and the error codes are those of the source', () => {
    const codes = read('src/token-refresh-error.ts').matchAll(/^ {2}\| '(\w+)'/gm);
    const named = [...codes].map(([, code]) => code!);
    expect(named).toHaveLength(7);
    for (const code of named) expect(readme).toContain(`\`${code}\``);
  });

  it('and the options are those of the source', () => {
    for (const file of ['src/token-source-options.ts', 'src/connection.ts']) {
      const source = read(file).match(
        /export interface (TokenSourceOptions|ConnectOptions).*?\n}/s,
      )![0];
      const names = [...source.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name!);
      expect(names.length).toBeGreaterThan(3);
      for (const name of names) expect(readme).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
    }
  });
});
