import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);

/** A project that has installed the packed tarball. */
let project: string;
let tarball: string;

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'oneflight-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', project], {
    cwd: root,
  });
  tarball = join(project, (JSON.parse(stdout) as { filename: string }[])[0]!.filename);
  const modules = join(project, 'node_modules');
  await mkdir(join(modules, 'oneflight'), { recursive: true });
  await run('tar', ['xzf', tarball, '-C', join(modules, 'oneflight'), '--strip-components=1']);
  for (const dependency of ['p-retry', 'is-network-error']) {
    await symlink(join(root, 'node_modules', dependency), join(modules, dependency));
  }
}, 60_000);

afterAll(() => rm(project, { recursive: true, force: true }));

const JOB = `
  const runs = [];
  const load = singleFlight(() => runs.push(1));
  if (load() !== load() || runs.length !== 1) throw new Error('not one flight');
  const tokens = createTokenSource({ refresh: () => 'abc' });
  const api = withTokenRefresh(async (url, init) => new Response(init.headers.get('authorization')), tokens,
    { allowedOrigins: ['https://a.example'] });
  api('https://a.example/').then((response) => response.text()).then((text) => {
    if (!(new SessionExpiredError('', 'SIGNED_OUT') instanceof TokenRefreshError)) throw new Error('classes');
    console.log(text, new FlightGroup().size);
  });
`;
const NAMES =
  '{ singleFlight, FlightGroup, createTokenSource, SessionExpiredError, TokenRefreshError }';

describe('The packed package', () => {
  it('holds what is built, and nothing else', async () => {
    const { stdout } = await run('tar', ['tzf', tarball]);
    const files = stdout
      .trim()
      .split('\n')
      .map((name) => name.replace('package/', ''));
    const others = files.filter((name) => !/^dist\/[\w-]+\.(js|cjs|d\.ts|d\.cts)$/.test(name));
    expect(others.sort()).toEqual(['LICENSE', 'README.md', 'package.json']);
    expect(files).toContain('dist/index.cjs');
  });

  it('works with import', async () => {
    const code = `import ${NAMES} from 'oneflight'; import { withTokenRefresh } from 'oneflight/fetch'; ${JOB}`;
    await writeFile(join(project, 'job.mjs'), code);
    const { stdout, stderr } = await run(process.execPath, ['job.mjs'], { cwd: project });
    expect([stdout, stderr]).toEqual(['Bearer abc 0\n', '']);
  });

  it('works with require', async () => {
    const code = `const ${NAMES} = require('oneflight'); const { withTokenRefresh } = require('oneflight/fetch'); ${JOB}`;
    await writeFile(join(project, 'job.cjs'), code);
    const { stdout } = await run(process.execPath, ['job.cjs'], { cwd: project });
    expect(stdout).toBe('Bearer abc 0\n');
  });

  it('exports what it lists, and each entry loads', async () => {
    const entries = Object.keys(manifest.exports).filter((path) => path !== './package.json');
    expect(entries).toEqual([
      '.',
      './fetch',
      './axios',
      './ky',
      './browser',
      './redis',
      './postgres',
    ]);
    for (const entry of entries) {
      const name = entry.replace('.', 'oneflight');
      const code = `import('${name}').then((m) => console.log(Object.keys(m).length > 0 && require('${name}') !== undefined))`;
      const { stdout } = await run(process.execPath, ['-e', code], { cwd: project });
      expect([entry, stdout]).toEqual([entry, 'true\n']);
    }
  });

  it('satisfies publint, strictly', async () => {
    const { stdout } = await run(bin('publint'), ['run', tarball, '--strict']);
    expect(stdout).toContain('All good!');
  }, 30_000);

  it('satisfies attw', async () => {
    const { stdout } = await run(bin('attw'), [tarball, '--profile', 'node16', '--no-color']);
    // It exits with 1 on any problem; this is that it looked.
    expect(stdout).toMatch(/node16 \(from CJS\)/);
    expect(stdout.match(/🟢/g)?.length).toBeGreaterThanOrEqual(8);
  }, 60_000);
});

describe('package.json', () => {
  it('has p-retry for its only dependency, and no side effects', () => {
    expect(Object.keys(manifest.dependencies)).toEqual(['p-retry']);
    expect(manifest.sideEffects).toBe(false);
  });

  it('is locked without naming any registry', async () => {
    expect(await readFile(join(root, 'package-lock.json'), 'utf8')).not.toMatch(
      /"resolved"|https?:\/\/[^"]*regist/,
    );
  });
});
