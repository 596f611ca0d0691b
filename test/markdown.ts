import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { onTestFinished } from 'vitest';

export const root = join(import.meta.dirname, '..');
export const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** The code blocks of a language, as they stand; `ts before` and the like are languages of their own. */
export function blocksOf(markdown: string, language: string): string[] {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, code]) => code!,
  );
}

let written = 0;

/** Writes a module beside the tests, where packages are found, for the time of one test. */
export function writeModule(code: string, extension: 'ts' | 'mts' = 'ts'): string {
  const file = join(root, `test/.pasted-${process.pid}-${written++}.${extension}`);
  onTestFinished(() => rmSync(file, { force: true }));
  writeFileSync(file, code);
  return file;
}

/** What the compiler says to a user with strict settings. */
export function complaintsOf(code: string): string[] {
  const given = `declare function signIn(): Promise<{ access_token: string; refresh_token: string; expires_in: number }>;
    interface User { name: string }`;
  const file = writeModule(`${given}\n${code}`, 'mts');
  const program = ts.createProgram([file], {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    types: [],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}
