// Compiled against the built declarations by test/types.test.ts: what must be inferred, and what
// must not compile.
import {
  createTokenSource,
  FlightGroup,
  RefreshFailedError,
  SessionExpiredError,
  sharedTokens,
  singleFlight,
  TokenRefreshError,
  type Connection,
  type ConnectOptions,
  type Credential,
  type Exchange,
  type FlightContext,
  type FlightGroupOptions,
  type FlightTask,
  type HeaderSetter,
  type KeyedSingleFlightOptions,
  type Landing,
  type LockGrant,
  type Prepared,
  type ReadSession,
  type RefreshContext,
  type RefreshLanding,
  type RefreshLimit,
  type RequestSummary,
  type RetryOptions,
  type SetAside,
  type SharedTokens,
  type SharedTokensOptions,
  type SingleFlight,
  type SingleFlightOptions,
  type StoredSession,
  type TokenLocks,
  type TokenRefreshErrorCode,
  type TokenSource,
  type TokenSourceOptions,
  type TokenStore,
} from 'oneflight';
import { withTokenRefresh as withAxios, type AxiosLike } from 'oneflight/axios';
import { browserTokens, type BrowserTokensOptions } from 'oneflight/browser';
import { withTokenRefresh, type FetchAdapterOptions } from 'oneflight/fetch';
import { withTokenRefresh as withKy, type KyAdapterOptions, type KyLike } from 'oneflight/ky';
import { postgresTable, postgresTokens } from 'oneflight/postgres';
import { redisTokens } from 'oneflight/redis';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(..._: Equal<A, B> extends true ? [] : ['these types differ']): void => {};

// singleFlight
const load = singleFlight(async () => 5);
same<typeof load, SingleFlight<[], number>>();
const sync = singleFlight(() => 'text');
same<ReturnType<typeof sync>, Promise<string>>();
const keyed = singleFlight(async (id: string, deep: boolean) => ({ id, deep }), {
  key: (id) => id,
});
same<Parameters<typeof keyed>, [id: string, deep: boolean]>();
same<Awaited<ReturnType<typeof keyed>>, { id: string; deep: boolean }>();
const optional = singleFlight(async (id: string, deep?: boolean) => [id, deep], {
  key: (id) => id,
});
void [optional('a'), optional('a', true)];
keyed.forget('a', true);
const landed = singleFlight(async (id: number) => id, {
  key: (id) => `${id}`,
  onLand: ({ key, status }) => [key.length, status satisfies 'fulfilled' | 'rejected'],
});
void landed(5);
// @ts-expect-error a function with parameters needs a key
singleFlight(async (id: string) => id);
// @ts-expect-error an optional parameter is one too
singleFlight(async (id?: string) => id);
// @ts-expect-error and so are rest parameters
singleFlight(async (...ids: string[]) => ids);
// @ts-expect-error the arguments are typed
void keyed(5);
// @ts-expect-error the key gets the arguments
singleFlight(async (id: string) => id, { key: (id: number) => id });
// @ts-expect-error without a key there are no arguments
void load(5);

same<ReturnType<typeof keyed.inFlight>, boolean>();
same<Parameters<typeof keyed.inFlight>, [id: string, deep: boolean]>();
// A promise of a promise is one promise, as `await` has it.
declare const thenable: PromiseLike<PromiseLike<5>>;
const flat = singleFlight(() => thenable);
same<ReturnType<typeof flat>, Promise<5>>();
const rest = singleFlight((...ids: number[]) => ids, { key: (...ids) => ids.join() });
same<typeof rest, SingleFlight<number[], number[]>>();
// Of a generic function the parameters stay what they may be at most.
const generic = singleFlight(<Id extends string>(id: Id) => ({ id }), { key: (id) => id });
same<Awaited<ReturnType<typeof generic>>, { id: string }>();
/** A wrapper of one's own, whose types are not known yet. */
const wrap = <Args extends unknown[], Value>(fn: (...args: Args) => Promise<Value>) =>
  singleFlight(fn, { key: (...args) => JSON.stringify(args) });
const wrapped = wrap(async (at: number) => new Date(at));
same<typeof wrapped, SingleFlight<[at: number], Date>>();
const onClick: (event: { type: string }) => unknown = load as () => unknown;
void onClick;
singleFlight(async () => 5, { key: undefined });
singleFlight(async () => 5, {} satisfies SingleFlightOptions<undefined>);
singleFlight(async () => 5, { onLand: ({ key }) => key satisfies undefined });
const byId: KeyedSingleFlightOptions<[id: string], symbol> = { key: Symbol.for };
same<Parameters<NonNullable<typeof byId.onLand>>, [landing: Landing<symbol>]>();
// @ts-expect-error a key is a function
singleFlight(async (id: string) => id, { key: 'id' });
// @ts-expect-error onLand hears of the key that `key` gave
singleFlight(async (id: string) => id, { key: (id) => id, onLand: ({ key }) => key.toFixed() });
// @ts-expect-error no such option
singleFlight(async () => 5, { onLanding: () => {} });
// @ts-expect-error a task is a function
singleFlight(Promise.resolve(5));
// @ts-expect-error its arguments may not be left out
void keyed('a');
// @ts-expect-error nor may those of forget
keyed.forget();

// FlightGroup
const group = new FlightGroup<string, number>();
same<Promise<number>, ReturnType<typeof group.run>>();
void group.run('a', ({ signal }) => (signal.aborted ? 1 : Promise.resolve(2)), { signal: null });
// @ts-expect-error the key is typed
void group.run(5, () => 1);
// @ts-expect-error the task gives the value
void group.run('a', () => 'text');

same<typeof group.size, number>();
const task: FlightTask<number> = (context) =>
  (context satisfies FlightContext).signal.aborted ? 1 : 2;
void group.run('a', task, { signal: undefined });
void group.run('a', task, new AbortController());
void group.run('a', task, new Request('https://example.com'));
new FlightGroup<{ id: number }, void>({
  onLand: ({ key, callers, duration, status }) =>
    [key.id, callers, duration]
      .map((n) => n.toFixed())
      .concat(status satisfies 'fulfilled' | 'rejected'),
});
new FlightGroup<string, number>({ onLand: undefined } satisfies FlightGroupOptions<string>);
// @ts-expect-error the signal is a signal
void group.run('a', task, { signal: new AbortController() });
// @ts-expect-error what onLand is told of cannot be written to
new FlightGroup<string, number>({ onLand: (landing) => (landing.callers = 5) });
// @ts-expect-error its parts are private
group.flights;

// createTokenSource: string, object, nothing
const strings = createTokenSource({ token: 'abc', refresh: ({ token }) => token.toUpperCase() });
same<typeof strings, TokenSource<string>>();
declare const saved: { access_token: string; refresh_token: string } | null;
const objects = createTokenSource({
  token: saved,
  refresh: async ({ token }) => ({ access_token: 'a', refresh_token: token?.refresh_token ?? '' }),
});
same<typeof objects, TokenSource<{ access_token: string; refresh_token: string }>>();
const none = createTokenSource<void>({ refresh: async () => {} });
void none.set();
same<Awaited<ReturnType<typeof strings.get>>, Credential<string>>();
same<Credential<string>['token'], string>();
// @ts-expect-error refresh is needed
createTokenSource({ token: 'abc' });
// @ts-expect-error a refresh gives what the token is
createTokenSource({ token: 'abc', refresh: () => 5 });
// @ts-expect-error milliseconds are a number
createTokenSource({ refresh: () => 'abc', timeout: '5s' });
// @ts-expect-error no such option
createTokenSource({ refresh: () => 'abc', timeOut: 5 });
// @ts-expect-error only a credential can be renewed
void strings.renew('abc');
// @ts-expect-error and only a string is a token here
void strings.set(5);
// @ts-expect-error without a token, it may be missing
createTokenSource<string>({ refresh: ({ token }) => token.toUpperCase() });

same<Parameters<typeof strings.set>, [token: string]>();
same<Awaited<ReturnType<typeof none.renew>>, Credential<void>>();
const numbers = createTokenSource<number>({
  refresh: ({ token, signal }) => Promise.resolve((token ?? 0) + Number(signal.aborted)),
  token: null,
  expiresAt: (token) => (token > 5 ? token : token > 3 ? null : undefined),
  refreshAhead: 5_000,
  timeout: 5_000,
  retry: { retries: 0, factor: 1, minTimeout: 0, maxTimeout: 1, maxRetryTime: 1, randomize: false },
  isFinal: (error) => error instanceof TypeError,
  refreshLimit: false,
  shared: undefined,
  onSessionExpired: async ({ code }) => code satisfies TokenRefreshErrorCode,
  onRefresh: ({ status, duration, callers, attempts }) => [status, duration + callers + attempts],
});
same<typeof numbers, TokenSource<number>>();
createTokenSource<number>({
  refresh: () => 5,
  refreshLimit: { count: 5, window: undefined } satisfies RefreshLimit,
  retry: { retries: Infinity, minTimeout: undefined } satisfies RetryOptions,
  expiresAt: undefined,
  token: undefined,
  onRefresh: undefined,
});
const withExpiry = createTokenSource({
  token: { value: 'abc', until: 5 },
  expiresAt: ({ until }) => until,
  refresh: async ({ token }) => ({ ...token, until: token.until + 1 }),
});
same<typeof withExpiry, TokenSource<{ value: string; until: number }>>();
type Union = { kind: 'cookie' } | { kind: 'bearer'; value: string };
const union = createTokenSource<Union>({ refresh: () => ({ kind: 'cookie' }) });
void union.get().then(({ token }) => (token.kind === 'bearer' ? token.value : ''));
same<RefreshContext<string | undefined>['token'], string | undefined>();
same<RefreshLanding['status'], 'fulfilled' | 'rejected'>();
const options: TokenSourceOptions<string> = { refresh: ({ token = '' }) => token };
same<ReturnType<typeof createTokenSource<string>>, TokenSource<string>>();
createTokenSource(options).refreshing satisfies boolean;
const { get, renew, set, clear, close } = strings;
void [get({ signal: null }), set('abc'), clear(), close()];
void get().then((credential) => renew(credential, { signal: AbortSignal.abort() }));
void strings.get().then(({ generation, token }) => token.padEnd(generation));
// @ts-expect-error when it expires is a number
createTokenSource({ token: 'abc', refresh: () => 'abc', expiresAt: () => new Date() });
// @ts-expect-error and so it is when nobody knows yet
createTokenSource<string>({ refresh: () => 'abc', expiresAt: async () => 5 });
// @ts-expect-error no limit is `false`
createTokenSource({ refresh: () => 'abc', refreshLimit: true });
// @ts-expect-error no such retry option
createTokenSource({ refresh: () => 'abc', retry: { forever: true } });
// @ts-expect-error whether it is final is known at once
createTokenSource({ refresh: () => 'abc', isFinal: async () => true });
// @ts-expect-error the token of a void source is nothing
createTokenSource<void>({ refresh: () => 'abc' });
// @ts-expect-error the token to replace cannot be written to
createTokenSource({ token: 'abc', refresh: (context) => (context.token = 'abc') });
// @ts-expect-error whether it refreshes is told, not set
strings.refreshing = true;
// @ts-expect-error a credential is given out, not made
void strings.renew({ generation: 1 });
// @ts-expect-error and is of its own source's kind
void numbers.get().then((credential) => strings.renew(credential));
// @ts-expect-error nothing can be changed in it
void strings.get().then((credential) => (credential.token = 'abc'));

// errors
const error = new RefreshFailedError('', 'REFRESH_FAILED');
same<typeof error.code, TokenRefreshErrorCode>();
same<typeof error.name, 'RefreshFailedError'>();

const expired: TokenRefreshError = new SessionExpiredError('', 'SIGNED_OUT', new Error(), {});
same<typeof expired.response, unknown>();
same<SessionExpiredError['name'], 'SessionExpiredError'>();
const own = error.withResponse({ status: 401 });
same<typeof own, RefreshFailedError>();
if (expired instanceof SessionExpiredError) expired.name satisfies 'SessionExpiredError';
/** All the codes, so that one more makes this fail. */
const texts: { [Code in TokenRefreshErrorCode]: string } = {
  SESSION_EXPIRED: '',
  SESSION_REPLACED: '',
  SIGNED_OUT: '',
  REFRESH_FAILED: '',
  REFRESH_TIMEOUT: '',
  REFRESH_LIMIT: '',
  STORE_FAILED: '',
};
void texts;
// @ts-expect-error no such code
new SessionExpiredError('', 'EXPIRED');
// @ts-expect-error a code is not changed
error.code = 'SIGNED_OUT';

// fetch
const api = withTokenRefresh(fetch, strings, {
  authorize: (headers, token) => headers.set('x', token),
});
same<typeof api, typeof fetch>();
// @ts-expect-error the token is a string
withTokenRefresh(fetch, strings, { authorize: (_, token: number) => token });
// @ts-expect-error no such option
withTokenRefresh(fetch, strings, { allowedOrigin: [] });

const fetchOptions: FetchAdapterOptions<string> = {
  allowedOrigins: ['https://api.example.com', new URL('https://example.com')] as const,
  authorize: undefined,
  isRefused: async (response) => response.clone().status === 401,
  skip: ({ url, method }: RequestSummary) => url.endsWith('/token') && method === 'POST',
};
withTokenRefresh(fetch, strings, fetchOptions);
withTokenRefresh(fetch, none, { authorize: () => {} });
const ownFetch = async (input: string | URL | Request, init?: RequestInit & { retries?: number }) =>
  new Response(`${String(input)}${init?.retries}`);
same<ReturnType<typeof withTokenRefresh<string, typeof ownFetch>>, typeof ownFetch>();
// @ts-expect-error whether to skip is known at once
withTokenRefresh(fetch, strings, { skip: async () => true });
// @ts-expect-error a number is no origin
withTokenRefresh(fetch, strings, { allowedOrigins: [5] });
// @ts-expect-error a token is no source of them
withTokenRefresh(fetch, 'abc');
// @ts-expect-error nor is its source a fetch
withTokenRefresh(strings, strings);

// axios and ky, as far as they are used: a client of one's own will do
declare const axiosLike: AxiosLike & { own: true };
same<ReturnType<typeof withAxios<string, typeof axiosLike>>, typeof axiosLike>();
withAxios(axiosLike, strings, {
  authorize(headers, token) {
    if (headers.has('Authorization')) headers.delete('Authorization');
    headers.set('X-Token', `${token.trim()}${headers.get('X-Own')}`);
  },
  isRefused: ({ status, headers, data, config }) => status === 401 && !!(headers ?? data ?? config),
});
// @ts-expect-error it has no interceptors
withAxios({ defaults: {}, getUri: () => '', request: async () => {} }, strings);
declare const kyLike: KyLike & { own: true };
same<ReturnType<typeof withKy<string, typeof kyLike>>, typeof kyLike>();
withKy(kyLike, strings, { skip: () => true } satisfies KyAdapterOptions<string>);
// @ts-expect-error what cannot be extended is no ky
withKy({}, strings);

// connect: an adapter of one's own
const connection: Connection<Headers, Response> = strings.connect<Headers, Response>(
  { authorize: (headers: HeaderSetter, token) => headers.set('X-Token', token.trim()) },
  new URL('https://api.example.com'),
);
declare const exchange: Exchange<Headers, Response>;
void connection(exchange).then(({ status }) => status);
void connection({
  ...exchange,
  prepare: (): Prepared<Headers, Response> => ({ headers: new Headers(), send: () => fetch('') }),
  setAside: (response): SetAside<Response> => ({ response, release: () => {} }),
});
same<
  ConnectOptions<string, Headers, Response>['skip'],
  ((request: RequestSummary) => boolean) | undefined
>();
// @ts-expect-error all of an exchange is needed
void connection({ url: '' });
// @ts-expect-error an answer has a status
strings.connect<Headers, { code: number }>({});

// sharedTokens
declare const navigator: { locks: { request(...args: any[]): Promise<any> } };
const store = {
  read: async () => undefined,
  write: async () => true,
};
const shared = sharedTokens<string>({ name: 'session', locks: navigator.locks, store });
same<typeof shared, SharedTokens<string>>();
createTokenSource<string>({ shared, refresh: () => 'abc' }).coordination satisfies
  'shared' | 'none';
// What the source's own options say is what its token is; what is shared follows.
const sharing = createTokenSource({ token: 'abc', refresh: () => 'abc', shared });
same<typeof sharing, TokenSource<string>>();
const encoded = sharedTokens({
  name: 'session',
  locks: { request: async (_, { signal }, callback) => callback(signal.aborted ? null : {}) },
  store: {
    read: async (): Promise<ReadSession<Uint8Array> | undefined> => undefined,
    write: async (stored: StoredSession<Uint8Array>, { expected }) => stored.version > expected,
    subscribe: (listener) => listener,
  } satisfies TokenStore<Uint8Array>,
  encode: async (token: { id: number }) => Uint8Array.of(token.id),
  decode: (bytes) => ({ id: bytes[0] ?? 0 }),
  lease: 5_000,
} satisfies SharedTokensOptions<{ id: number }, Uint8Array>);
same<typeof encoded, SharedTokens<{ id: number }>>();
same<typeof encoded.coordination, 'shared' | 'none'>();
declare const locks: TokenLocks;
const held = async (grant: LockGrant | null) => grant?.fence;
same<Promise<number | undefined>, ReturnType<typeof held>>();
void locks.request('a', new AbortController(), held).then((fence) => fence?.toFixed());
createTokenSource<string>({ shared: browserTokens({ name: 'session' }), refresh: () => 'abc' });
browserTokens<{ id: number }, string>({
  name: 'session',
  locks,
  encode: ({ id }) => id.toFixed(),
  decode: async (text) => ({ id: Number(text) }),
} satisfies BrowserTokensOptions<{ id: number }, string>);
same<ReturnType<typeof postgresTable>, string>();
// @ts-expect-error what is encoded must be decoded to the same
browserTokens<number, string>({ name: 'session', decode: (text) => text });
// @ts-expect-error text is no Redis client
redisTokens('redis://localhost', { name: 'session' });
// @ts-expect-error nor one of PostgreSQL
postgresTokens('postgres://localhost', { name: 'session' });
// @ts-expect-error the tokens of another type
createTokenSource<number>({ shared, refresh: () => 5 });
// @ts-expect-error also where the type is inferred
createTokenSource({ token: 5, shared, refresh: () => 5 });
// @ts-expect-error no store
sharedTokens({ name: 'session', locks: navigator.locks });
