import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

/**
 * The layer picture of CONTRIBUTING.md: what each file may import, `type` meaning types only. A new
 * file needs a place here, as low as it can be.
 */
const MAY_IMPORT: Record<string, string[]> = {
  'check.ts': [],
  'flight.ts': [],
  'flight-group.ts': ['check.ts', 'flight.ts'],
  'single-flight.ts': ['check.ts', 'flight-group.ts'],

  'token-refresh-error.ts': [],
  'refresh-failure.ts': [],
  'token-response.ts': [],
  'credential.ts': [],
  'options.ts': ['check.ts'],
  'token-source-options.ts': [
    'check.ts',
    'options.ts',
    'refresh-failure.ts',
    'token-response.ts',
    'type shared-tokens.ts',
    'type token-refresh-error.ts',
  ],
  'session.ts': [
    'check.ts',
    'flight.ts',
    'p-retry',
    'refresh-failure.ts',
    'token-refresh-error.ts',
    'token-response.ts',
    'type credential.ts',
    'type shared-tokens.ts',
    'type token-source-options.ts',
  ],
  'connection.ts': [
    'body.ts',
    'check.ts',
    'flight.ts',
    'options.ts',
    'token-refresh-error.ts',
    'type credential.ts',
    'type session.ts',
    'type token-source.ts',
  ],
  'token-source.ts': [
    'connection.ts',
    'session.ts',
    'token-source-options.ts',
    'type credential.ts',
  ],

  'shared-session.ts': ['p-retry', 'token-refresh-error.ts', 'type shared-tokens.ts'],
  'shared-refresh.ts': [
    'p-retry',
    'shared-session.ts',
    'token-refresh-error.ts',
    'type shared-tokens.ts',
  ],
  'shared-tokens.ts': ['check.ts', 'shared-refresh.ts', 'shared-session.ts'],
  'realms/lease.ts': ['check.ts', 'type shared-tokens.ts'],
  'realms/redis.ts': ['check.ts', 'realms/lease.ts', 'shared-tokens.ts'],
  'realms/postgres.ts': ['check.ts', 'realms/lease.ts', 'shared-tokens.ts'],

  'body.ts': [],
  'adapters/fetch.ts': ['body.ts', 'check.ts', 'type connection.ts', 'type token-source.ts'],
  'adapters/axios.ts': ['body.ts', 'check.ts', 'type connection.ts', 'type token-source.ts'],
  'adapters/ky.ts': ['adapters/fetch.ts', 'check.ts', 'type connection.ts', 'type token-source.ts'],

  'realms/browser.ts': ['check.ts', 'shared-tokens.ts'],

  'index.ts': [
    'connection.ts',
    'credential.ts',
    'flight.ts',
    'flight-group.ts',
    'shared-tokens.ts',
    'single-flight.ts',
    'token-refresh-error.ts',
    'token-source-options.ts',
    'token-source.ts',
  ],
};

const src = join(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'))
  .sort();

/** What a file imports or re-exports, by its path in src or the name of a package. */
function importsOf(file: string): { what: string; onlyTypes: boolean }[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(src, file), 'utf8'),
    ts.ScriptTarget.Latest,
  );
  const found: { what: string; onlyTypes: boolean }[] = [];
  const add = (specifier: string, onlyTypes: boolean) => {
    const path = relative(src, join(src, dirname(file), specifier)).replaceAll('\\', '/');
    found.push({ what: specifier.startsWith('.') ? path : specifier, onlyTypes });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.importClause;
      const names = clause?.namedBindings;
      const eachIsType =
        !clause?.name &&
        names !== undefined &&
        ts.isNamedImports(names) &&
        names.elements.every(({ isTypeOnly }) => isTypeOnly);
      const isType = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      add(node.moduleSpecifier.text, isType || eachIsType);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add((node.moduleSpecifier as ts.StringLiteral).text, node.isTypeOnly);
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add((node.arguments[0] as ts.StringLiteral).text, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('The layers', () => {
  it('have a place for every file', () => {
    expect(files, 'give the new file a place in MAY_IMPORT').toEqual(
      Object.keys(MAY_IMPORT).sort(),
    );
  });

  it.each(files)('let %s import only what is below it', (file) => {
    for (const { what, onlyTypes } of importsOf(file)) {
      const allowed = MAY_IMPORT[file]!;
      const fits = allowed.includes(what) || (onlyTypes && allowed.includes(`type ${what}`));
      expect(fits, `${file} must not import ${what}${onlyTypes ? '' : ' (other than types)'}`).toBe(
        true,
      );
    }
  });

  it('have no place for an import that is not made', () => {
    for (const file of files) {
      const made = importsOf(file).map(({ what }) => what);
      const places = MAY_IMPORT[file]!.map((place) => place.replace('type ', ''));
      expect([...new Set(made)].sort(), file).toEqual(places.sort());
    }
  });

  it('are read by a test that sees every kind of import', () => {
    const seen = files.flatMap((file) => importsOf(file).map(({ what }) => what));
    expect(seen).toContain('p-retry');
    const imported = files.map(
      (file) => readFileSync(join(src, file), 'utf8').match(/\bfrom '/g)?.length ?? 0,
    );
    expect(seen).toHaveLength(imported.reduce((sum, count) => sum + count));
  });
});
