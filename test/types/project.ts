import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** How a user compiles, and which of the files of this folder are compiled so. */
export interface Setting {
  name: string;
  files: string[];
  options: Record<string, unknown>;
}

const nodenext = { module: 'nodenext' };

export const SETTINGS: Setting[] = [
  { name: 'node16', files: ['use.mts', 'use.cts'], options: { module: 'node16' } },
  { name: 'nodenext', files: ['use.mts', 'use.cts'], options: nodenext },
  {
    name: 'esnext, bundler',
    files: ['use.ts'],
    options: { module: 'esnext', moduleResolution: 'bundler' },
  },
  {
    name: 'nodenext, without exactOptionalPropertyTypes',
    files: ['use.mts'],
    options: { ...nodenext, exactOptionalPropertyTypes: false },
  },
  {
    name: 'nodenext, without strict',
    files: ['use-loosely.mts'],
    options: { ...nodenext, strict: false, exactOptionalPropertyTypes: false },
  },
  {
    // Of axios, ky and the others, only what this file says of them is judged.
    name: 'nodenext, beside the clients',
    files: ['use-clients.mts'],
    options: { ...nodenext, skipLibCheck: true },
  },
];

/** What must not compile: a compiler that takes it proves nothing. */
export const WRONG: Setting = {
  name: 'what is wrong',
  files: ['wrong.mts', 'wrong.cts'],
  options: nodenext,
};

/** What a compiler is to complain of there. */
export const COMPLAINT = "no exported member 'nothing'";

/**
 * A project that is to get the package. It lies in the repository's node_modules, where it finds the
 * clients, and where nothing of the repository looks for files.
 */
export async function createProject() {
  const folder = await mkdtemp(join(root, 'node_modules/.types-'));
  const uses = [...SETTINGS, WRONG].flatMap(({ files }) => files);
  for (const file of new Set(uses)) {
    if (WRONG.files.includes(file)) {
      await writeFile(join(folder, file), "import { nothing } from 'oneflight'; nothing();");
    } else {
      const source = file.replace(/\.[mc]?ts$/, '.ts');
      await copyFile(join(import.meta.dirname, source), join(folder, file));
    }
  }
  await writeFile(join(folder, 'package.json'), '{ "private": true }');
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * The complaints of a compiler, about the package's declarations too.
 *
 * @param typescript The folder of the package that it is.
 */
export async function compile(
  typescript: string,
  folder: string,
  { files, options }: Setting,
): Promise<string[]> {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022', 'dom', 'dom.iterable'],
    types: [],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    // Ours are judged; those of TypeScript itself take most of the time.
    skipLibCheck: false,
    skipDefaultLibCheck: true,
    noEmit: true,
    ...options,
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  const tsc = [join(typescript, 'bin/tsc'), '-p', '.', '--pretty', 'false'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, tsc, { cwd: folder, timeout: 120_000 }, (error, stdout) => {
      const complaints = stdout.split('\n').filter((line) => line.includes('error TS'));
      // One that has crashed, or was given up, has judged nothing.
      if (error && complaints.length === 0) reject(error);
      else resolve(complaints);
    });
  });
}
