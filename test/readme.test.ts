import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { startAuthorizationServer } from './authorization-server.ts';
import { sizeTable } from './sizes.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');

/** The code blocks of a language, as they stand. */
function blocksOf(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code!,
  );
}

const written: string[] = [];

afterEach(() => {
  vi.unstubAllGlobals();
  for (const file of written.splice(0)) rmSync(file, { force: true });
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
    const file = join(root, `test/.readme-${process.pid}.ts`);
    written.push(file);
    writeFileSync(file, `${blocksOf('ts').join('\n')}\nexport { me, tokens, first, second };\n`);
    const pasted = (await import(file)) as Record<string, unknown>;

    expect((pasted['me'] as Response).status).toBe(200);
    expect(pasted['first']).toBe(pasted['second']);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
    expect(server.paths()).toEqual(['/api/me', '/api/me', '/api/users/ada', '/api/users/bob']);
    await server.close();
  });

  it('compiles for a user with strict settings', async () => {
    const { default: ts } = await import('typescript');
    const file = join(root, `test/.readme-types-${process.pid}.mts`);
    written.push(file);
    const given = `declare function signIn(): Promise<{ access_token: string; refresh_token: string; expires_in: number }>;
      interface User { name: string }`;
    writeFileSync(file, `${given}\n${blocksOf('ts').join('\n')}`);
    const program = ts.createProgram([file], {
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
      types: [],
      strict: true,
      noEmit: true,
    });
    const complaints = ts.getPreEmitDiagnostics(program).map(({ messageText }) => messageText);
    expect(complaints).toEqual([]);
  }, 30_000);

  it('comes early, and is short', () => {
    const lines = readme.split('\n');
    expect(lines.indexOf('```ts')).toBeLessThan(6);
    expect(blocksOf('ts')[0]!.trim().split('\n').filter(Boolean).length).toBeLessThanOrEqual(16);
    expect(lines.findIndex((line) => line.startsWith('npm install'))).toBeLessThan(30);
  });

  it('names commands that exist', () => {
    const commands = [...readme.matchAll(/npm run (\w+)/g)].map(([, name]) => name!);
    expect(commands).toContain('demo');
    for (const name of commands) expect(Object.keys(manifest.scripts)).toContain(name);
  });
});

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

  it('and the error codes are those of the source', () => {
    const codes = read('src/token-refresh-error.ts').matchAll(/^ {2}\| '(\w+)'/gm);
    const named = [...codes].map(([, code]) => code!);
    expect(named).toHaveLength(6);
    for (const code of named) expect(readme).toContain(`\`${code}\``);
  });

  it('and the options are those of the source', () => {
    for (const file of ['src/token-source-options.ts', 'src/adapter-options.ts']) {
      const source = read(file).match(/export interface (TokenSource|Adapter)Options.*?\n}/s)![0];
      const names = [...source.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name!);
      expect(names.length).toBeGreaterThan(3);
      for (const name of names) expect(readme).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
    }
  });
});
