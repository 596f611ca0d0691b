// Compiled without `strict` by test/types.test.ts: what such a project may rely on.
import {
  createTokenSource,
  FlightGroup,
  singleFlight,
  type SingleFlight,
  type TokenSource,
} from 'oneflight';
import { withTokenRefresh } from 'oneflight/fetch';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(..._: Equal<A, B> extends true ? [] : ['these types differ']): void => {};

const load = singleFlight(async () => 5);
same<typeof load, SingleFlight<[], number>>();
const keyed = singleFlight(async (id: string) => ({ id }), { key: (id) => id });
same<typeof keyed, SingleFlight<[id: string], { id: string }>>();
void new FlightGroup<string, number>().run('a', ({ signal }) => (signal.aborted ? 1 : 2), null);

const strings = createTokenSource({ token: 'abc', refresh: ({ token }) => token.toUpperCase() });
same<typeof strings, TokenSource<string>>();
const objects = createTokenSource({
  token: null as { access_token: string },
  refresh: async ({ token, signal }) => ({ access_token: token.access_token + signal.aborted }),
});
same<typeof objects, TokenSource<{ access_token: string }>>();
const api = withTokenRefresh(fetch, strings, { skip: ({ url }) => url.endsWith('/login') });
same<typeof api, typeof fetch>();

// @ts-expect-error a function with parameters needs a key
singleFlight(async (id: string) => id);
// @ts-expect-error no such option
createTokenSource({ refresh: () => 'abc', timeOut: 5 });
// @ts-expect-error a refresh gives what the token is
createTokenSource({ token: 'abc', refresh: () => 5 });
