import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build, type BuildResult, type Metafile } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a user's bundler makes of an import of the built package. */
export async function bundle(code: string, external: string[] = []) {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    stdin: { contents: code, resolveDir: root },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external,
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

/** Everything of README's table: [import, from, code]. p-retry is counted apart. */
const ENTRIES = [
  ['singleFlight', 'oneflight', "export { singleFlight } from 'oneflight'"],
  ['FlightGroup', 'oneflight', "export { FlightGroup } from 'oneflight'"],
  [
    'singleFlight, FlightGroup',
    'oneflight',
    "export { singleFlight, FlightGroup } from 'oneflight'",
  ],
  ['createTokenSource', 'oneflight', "export { createTokenSource } from 'oneflight'"],
  ['withTokenRefresh', 'oneflight/fetch', "export { withTokenRefresh } from 'oneflight/fetch'"],
  ['withTokenRefresh', 'oneflight/axios', "export { withTokenRefresh } from 'oneflight/axios'"],
  ['withTokenRefresh', 'oneflight/ky', "export { withTokenRefresh } from 'oneflight/ky'"],
  ['redisTokens', 'oneflight/redis', "export { redisTokens } from 'oneflight/redis'"],
  ['postgresTokens', 'oneflight/postgres', "export { postgresTokens } from 'oneflight/postgres'"],
  [
    'createTokenSource, withTokenRefresh',
    'both',
    "export { createTokenSource } from 'oneflight'; export { withTokenRefresh } from 'oneflight/fetch'",
  ],
] as const;

/** Minified and brotli-compressed, in bytes. */
export async function sizes(): Promise<{ names: string; from: string; bytes: number }[]> {
  return Promise.all(
    ENTRIES.map(async ([names, from, code]) => ({
      names,
      from,
      // Only where it is needed: what is external leaves its import behind even when unused.
      bytes: (await bundle(code, /Source|Tokens/.test(code) ? ['p-retry'] : [])).bytes,
    })),
  );
}

/** The same as the rows of README's table. */
export async function sizeTable(): Promise<string> {
  const rows = (await sizes()).map(({ names, from, bytes }) => {
    const quoted = names.split(', ').map((name) => `\`${name}\``);
    return `| ${quoted.join(' and ')} | ${from === 'both' ? 'both' : `\`${from}\``} | ${bytes} |`;
  });
  return rows.join('\n');
}
