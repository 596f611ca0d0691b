import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build, type BuildResult, type Metafile, type Plugin } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * What a user's bundler makes of an import of the built package.
 *
 * @param resolveDir Where packages are looked for, such as those that are measured beside ours.
 */
export async function bundle(code: string, external: string[] = [], resolveDir = root) {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    stdin: { contents: code, resolveDir },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    plugins: [leaveOut(external)],
    logLevel: 'error',
  });
  const { text, contents } = result.outputFiles[0]!;
  const [output] = Object.values(result.metafile.outputs) as [Metafile['outputs'][string]];
  /** The files of which anything is left. */
  const inputs = Object.entries(output.inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([name]) => name);
  return { text, inputs, bytes: brotliCompressSync(contents).byteLength };
}

/** Unlike esbuild's own `external`, an import that nothing is used of is gone, as it is from an app. */
const leaveOut = (packages: string[]): Plugin => ({
  name: 'leave out',
  setup(bundler) {
    bundler.onResolve({ filter: /^[^./]/ }, ({ path }) =>
      packages.some((name) => path === name || path.startsWith(`${name}/`))
        ? { path, external: true, sideEffects: false }
        : undefined,
    );
  },
});

const SOURCE = "export { createTokenSource } from 'oneflight';";
const SHARED = "export { sharedTokens } from 'oneflight';";
const FETCH = "export { withTokenRefresh } from 'oneflight/fetch';";

/** Everything of README's table: [import, from, code, what is there already]. p-retry is counted apart. */
const ENTRIES = [
  ['singleFlight', 'oneflight', "export { singleFlight } from 'oneflight'"],
  ['FlightGroup', 'oneflight', "export { FlightGroup } from 'oneflight'"],
  [
    'singleFlight, FlightGroup',
    'oneflight',
    "export { singleFlight, FlightGroup } from 'oneflight'",
  ],
  ['createTokenSource', 'oneflight', SOURCE],
  ['withTokenRefresh', 'oneflight/fetch', FETCH],
  ['withTokenRefresh', 'oneflight/axios', "export { withTokenRefresh } from 'oneflight/axios'"],
  ['withTokenRefresh', 'oneflight/ky', "export { withTokenRefresh } from 'oneflight/ky'"],
  ['createTokenSource, withTokenRefresh', 'both', SOURCE + FETCH],
  ['sharedTokens', 'oneflight', SOURCE + SHARED, SOURCE],
  ...['browser', 'redis', 'postgres'].map((engine) => [
    `${engine}Tokens`,
    `oneflight/${engine}`,
    `${SOURCE}${SHARED}export { ${engine}Tokens } from 'oneflight/${engine}'`,
    SOURCE + SHARED,
  ]),
] as [names: string, from: string, code: string, beside?: string][];

/** Minified and brotli-compressed, in bytes: what is added to what is there already. */
export async function sizes(): Promise<{ names: string; from: string; bytes: number }[]> {
  return Promise.all(
    ENTRIES.map(async ([names, from, code, beside]) => ({
      names,
      from,
      bytes: (await bytesOf(code)) - (beside ? await bytesOf(beside) : 0),
    })),
  );
}

async function bytesOf(code: string): Promise<number> {
  return (await bundle(code, ['p-retry'])).bytes;
}

/** The same as README's table. */
export async function sizeTable(): Promise<string> {
  const rows = (await sizes()).map(({ names, from, bytes }) => {
    const quoted = names.split(', ').map((name) => `\`${name}\``);
    return `| ${quoted.join(' and ')} | ${from === 'both' ? 'both' : `\`${from}\``} | ${bytes} |`;
  });
  return ['| import | from | bytes |', '|---|---|---|', ...rows].join('\n');
}
