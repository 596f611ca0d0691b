import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const root = join(import.meta.dirname, '../..');
const standIns = join(import.meta.dirname, 'stand-ins');
const registry = join(root, 'test/stand-in.ts');
const installed = join(import.meta.dirname, 'node_modules');

/** A folder in which the built package is installed, as a user has it. */
export interface Project {
  folder: string;
  /** The version of p-retry that is installed with it. */
  retry: string;
}

/** Installs the built package with one major version of p-retry. */
export function install(major: 7 | 8 | 9): Project {
  const folder = join(root, `coverage/runtimes/p-retry-${major}`);
  rmSync(folder, { recursive: true, force: true });
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'oneflight'), { recursive: true });
  for (const part of ['dist', 'package.json']) {
    cpSync(join(root, part), join(modules, 'oneflight', part), { recursive: true });
  }
  cpSync(join(installed, `p-retry${major}`), join(modules, 'p-retry'), { recursive: true });
  cpSync(join(installed, 'is-network-error'), join(modules, 'is-network-error'), {
    recursive: true,
  });
  const dependencies = { oneflight: '*', 'p-retry': '*', 'is-network-error': '*' };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', dependencies }));
  const { version } = JSON.parse(readFileSync(join(modules, 'p-retry/package.json'), 'utf8')) as {
    version: string;
  };
  return { folder, retry: version };
}

/** Where the suite has a stand-in, and where it takes from the sources what a user imports by a name. */
function standingIn({ folder }: Project, isWeb: boolean): Plugin {
  const instead: Record<string, string> = {
    'test/child.ts': join(standIns, 'child.ts'),
    // Processes listen themselves.
    ...(isWeb && { 'test/loopback.ts': join(standIns, 'loopback.ts') }),
  };
  return {
    name: 'stand-ins',
    setup(bundler) {
      const resolveInstalled = (name: string) =>
        isWeb
          ? bundler.resolve(name, { kind: 'import-statement', resolveDir: folder })
          : { path: name, external: true };
      bundler.onResolve({ filter: /^vitest$/ }, () => ({ path: join(standIns, 'vitest.ts') }));
      bundler.onResolve({ filter: /^oneflight$/ }, ({ path, resolveDir }) =>
        resolveDir === folder ? undefined : resolveInstalled(path),
      );
      bundler.onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
        const file = relative(root, join(resolveDir, path));
        if (instead[file]) return { path: instead[file] };
        // The package has no side effects; its tests have.
        if (file.endsWith('.test.ts')) return { path: join(root, file), sideEffects: true };
        const [, entry] = /^src\/(?:adapters\/)?(index|fetch|axios|ky)\.ts$/.exec(file) ?? [];
        if (entry) return resolveInstalled(entry === 'index' ? 'oneflight' : `oneflight/${entry}`);
        const text = `${file} is no entry of the package, which is what is tested here`;
        return file.startsWith('src/') ? { errors: [{ text }] } : undefined;
      });
      bundler.onLoad({ filter: /\.test\.ts$/ }, ({ path }) => ({
        contents: `import { beginFile } from '${registry}';\nbeginFile();\n${readFileSync(path, 'utf8')}`,
        loader: 'ts',
      }));
      if (isWeb) {
        bundler.onResolve({ filter: /^node:/ }, () => ({ path: join(standIns, 'node.ts') }));
      }
    },
  };
}

const page = (project: Project): BuildOptions => ({
  entryPoints: [join(import.meta.dirname, 'page.ts')],
  outfile: join(project.folder, 'suite.js'),
  format: 'iife',
  platform: 'browser',
  // Asked for by the clock in a process only.
  external: ['util'],
  inject: [join(standIns, 'globals.ts')],
});

const ofProcess = (project: Project, format: 'esm' | 'cjs'): BuildOptions => ({
  entryPoints: [join(import.meta.dirname, 'process.ts')],
  outfile: join(project.folder, format === 'esm' ? 'suite.mjs' : 'suite.cjs'),
  format,
  platform: 'node',
  // Some dependencies of axios are CommonJS.
  ...(format === 'esm' && {
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  }),
});

/** How the suite gets the package: by `import`, by `require`, or as a bundler for browsers puts it in. */
export type Way = 'import' | 'require' | 'bundle';

/** The suite as one file for each way to get the package. */
export async function bundleSuite(project: Project, desk: string): Promise<Record<Way, string>> {
  const ways = {
    import: ofProcess(project, 'esm'),
    require: ofProcess(project, 'cjs'),
    bundle: page(project),
  };
  for (const options of Object.values(ways)) {
    await build({
      bundle: true,
      target: 'es2022',
      logLevel: 'error',
      define: { DESK: JSON.stringify(desk) },
      plugins: [standingIn(project, options.platform === 'browser')],
      ...options,
    });
  }
  return {
    import: ways.import.outfile!,
    require: ways.require.outfile!,
    bundle: ways.bundle.outfile!,
  };
}
