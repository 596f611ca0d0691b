import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, COMPLAINT, createProject, SETTINGS, WRONG } from './types/project.ts';

const root = join(import.meta.dirname, '..');
const typescript = join(root, 'node_modules/typescript');
let project: Awaited<ReturnType<typeof createProject>>;

beforeAll(async () => {
  project = await createProject();
  await mkdir(join(project.folder, 'node_modules'));
  await symlink(root, join(project.folder, 'node_modules/oneflight'));
});

afterAll(() => project.remove());

describe('The types', () => {
  // Other compilers and the packed tarball: npm run test:types.
  it.each(SETTINGS)(
    'infer what they must, and refuse what they must, under $name',
    async (setting) => {
      expect(await compile(typescript, project.folder, setting)).toEqual([]);
    },
    60_000,
  );

  it('are checked by a test that can fail', async () => {
    const complaints = await compile(typescript, project.folder, WRONG);
    expect(complaints).toEqual(WRONG.files.map(() => expect.stringContaining(COMPLAINT)));
  }, 60_000);

  it('import nothing that a user may not have', async () => {
    for (const name of await readdir(join(root, 'dist'))) {
      if (!/\.d\.c?ts$/.test(name)) continue;
      const imports = (await readFile(join(root, 'dist', name), 'utf8')).matchAll(
        /from '([^']+)'/g,
      );
      for (const [, from] of imports) expect(from).toMatch(/^\.\//);
    }
  });
});
