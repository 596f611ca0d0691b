// Compiled against the built declarations by test/types.test.ts: what must be inferred, and what
// must not compile.
import {
  createTokenSource,
  FlightGroup,
  RefreshFailedError,
  sharedTokens,
  singleFlight,
  type Credential,
  type SharedTokens,
  type SingleFlight,
  type TokenRefreshErrorCode,
  type TokenSource,
} from 'oneflight';
import { withTokenRefresh } from 'oneflight/fetch';

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

// FlightGroup
const group = new FlightGroup<string, number>();
same<Promise<number>, ReturnType<typeof group.run>>();
void group.run('a', ({ signal }) => (signal.aborted ? 1 : Promise.resolve(2)), { signal: null });
// @ts-expect-error the key is typed
void group.run(5, () => 1);
// @ts-expect-error the task gives the value
void group.run('a', () => 'text');

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

// errors
const error = new RefreshFailedError('', 'REFRESH_FAILED');
same<typeof error.code, TokenRefreshErrorCode>();
same<typeof error.name, 'RefreshFailedError'>();

// fetch
const api = withTokenRefresh(fetch, strings, {
  authorize: (headers, token) => headers.set('x', token),
});
same<typeof api, typeof fetch>();
// @ts-expect-error the token is a string
withTokenRefresh(fetch, strings, { authorize: (_, token: number) => token });
// @ts-expect-error no such option
withTokenRefresh(fetch, strings, { allowedOrigin: [] });

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
// @ts-expect-error the tokens of another type
createTokenSource<number>({ shared, refresh: () => 5 });
// @ts-expect-error no store
sharedTokens({ name: 'session', locks: navigator.locks });
