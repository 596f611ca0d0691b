/** What an import adds to a bundle, ours and those of the peers. */
import { bundle, sizes } from '../test/sizes.ts';
import { table, type Section } from './measure.ts';

/** An import of a peer. */
interface Import {
  readonly names: string;
  readonly from: string;
  readonly code: string;
  /** What the app has anyway: the client that is given its tokens. */
  readonly external?: readonly string[];
}

interface Size {
  readonly names: string;
  readonly from: string;
  readonly bytes: number;
  readonly external?: readonly string[] | undefined;
  readonly isOurs?: true;
}

const named = (names: string, from: string, external?: readonly string[]): Import => ({
  names,
  from,
  code: `export { ${names} } from '${from}'`,
  ...(external && { external }),
});

const PRIMITIVES: readonly Import[] = [
  { ...named('default', 'p-memoize'), names: 'pMemoize' },
  named('createCache', 'async-cache-dedupe'),
  named('coalesceAsync', 'promise-coalesce'),
  { ...named('default', 'dataloader'), names: 'DataLoader' },
  named('LRUCache', 'lru-cache'),
  named('Singleflight', '@zcong/singleflight'),
  { ...named('default', 'p-debounce'), names: 'pDebounce' },
  named('QueryClient', '@tanstack/query-core'),
];

/** By its file: alova itself, which is external, is the package that this is a part of. */
const alova = (names: string): Import => ({
  ...named(names, './node_modules/alova/dist/clienthook/index.esm.js'),
  from: 'alova/client',
  external: ['alova', '@alova/shared'],
});

const REFRESHES: readonly Import[] = [
  named('createAuthRefresh', 'axios-auth-refresh', ['axios']),
  named('applyAuthTokenInterceptor', 'axios-auth-refresh-queue', ['axios']),
  alova('createClientTokenAuthentication'),
  alova('createServerTokenAuthentication'),
  named('authExchange', '@urql/exchange-auth', ['@urql/core', 'graphql', 'wonka']),
];

const SOURCE = "export { createTokenSource } from 'oneflight';";

/** README counts p-retry apart, since others bring it too; here each pays for what it brings. */
const WITH_RETRY: readonly Import[] = ['fetch', 'axios', 'ky'].map((client) => ({
  names: 'createTokenSource, withTokenRefresh',
  from: `oneflight, oneflight/${client}`,
  code: `${SOURCE}export { withTokenRefresh } from 'oneflight/${client}'`,
}));

async function sizeOf({ names, from, code, external }: Import, root?: string): Promise<Size> {
  const { bytes } = await bundle(code, [...(external ?? [])], root);
  return { names, from, bytes, external };
}

const ours = (sized: readonly Omit<Size, 'isOurs'>[]): Size[] =>
  sized.map((size) => ({ ...size, isOurs: true }));

const peers = (imports: readonly Import[]): Promise<Size[]> =>
  Promise.all(imports.map((each) => sizeOf(each, import.meta.dirname)));

function sizeRows(sized: readonly Size[]): string {
  const rows = [...sized]
    .sort((a, b) => a.bytes - b.bytes)
    .map(({ names, from, bytes, external, isOurs }) => [
      isOurs ? `**${names}**` : names,
      from,
      String(bytes),
      external?.join(', ') ?? '',
    ]);
  return table(['import', 'from', 'bytes', 'without'], rows);
}

/** Minified and brotli-compressed bytes per import, beside those of every peer. */
export async function section(): Promise<Section> {
  const all = await sizes();
  const isPrimitive = ({ names }: { names: string }) => /singleFlight|FlightGroup/.test(names);
  const primitives = [...ours(all.filter(isPrimitive)), ...(await peers(PRIMITIVES))];
  const withRetry = await Promise.all(WITH_RETRY.map((each) => sizeOf(each)));
  const refreshes = [...ours(withRetry), ...(await peers(REFRESHES))];
  const parts = ours(all.filter((each) => !isPrimitive(each)));
  const text = [
    'Bundled for browsers by esbuild, minified, compressed by brotli.',
    '### The primitive',
    sizeRows(primitives),
    '### Token refresh',
    'With all that the import brings, p-retry too, but without the client that the app has anyway.',
    sizeRows(refreshes),
    '### The parts of ours',
    'As README counts them: without p-retry, and what comes on top of the token source as that much more.',
    sizeRows(parts),
  ].join('\n\n');
  return { title: 'Bytes', text, data: { primitives, refreshes, parts } };
}
