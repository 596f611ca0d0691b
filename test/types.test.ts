import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
let folder: string;

beforeAll(async () => {
  // Within the repository's node_modules, so that @types/node is found from there.
  folder = await mkdtemp(join(root, 'node_modules/.types-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/oneflight'));
  for (const name of ['use.mts', 'use.cts']) {
    await copyFile(join(import.meta.dirname, 'types/use.ts'), join(folder, name));
  }
  const clients = join(import.meta.dirname, 'types/use-clients.ts');
  await copyFile(clients, join(folder, 'use-clients.mts'));
  await writeFile(join(folder, 'package.json'), '{}');
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The complaints of the compiler, about our declarations too. */
function compile(file: string, module: ts.ModuleKind, skipLibCheck = false): string[] {
  const program = ts.createProgram([join(folder, file)], {
    module,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck,
    noEmit: true,
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file: where, start }) => {
    const line = where?.getLineAndCharacterOfPosition(start ?? 0).line ?? -1;
    return `${where?.fileName}:${line + 1} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

describe('The types', () => {
  it.each([
    ['use.mts', 'Node16'],
    ['use.cts', 'Node16'],
    ['use.mts', 'NodeNext'],
    ['use.cts', 'NodeNext'],
  ] as const)(
    'infer what they must, and refuse what they must, in %s under %s',
    (file, module) => {
      expect(compile(file, ts.ModuleKind[module])).toEqual([]);
    },
    30_000,
  );

  it('give back the very type of the client that is wrapped', () => {
    // Of axios and ky, only what this file says of them is judged.
    expect(compile('use-clients.mts', ts.ModuleKind.NodeNext, true)).toEqual([]);
  }, 30_000);

  it('are checked by a test that can fail', async () => {
    await writeFile(join(folder, 'wrong.mts'), "import { nothing } from 'oneflight'; nothing();");
    expect(compile('wrong.mts', ts.ModuleKind.NodeNext).join()).toContain(
      "no exported member 'nothing'",
    );
  }, 30_000);

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
