import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
} from './authorization-server.ts';
import { blocksOf, complaintsOf, read, writeModule } from './markdown.ts';

const guide = read('docs/migrating.md');
const [helper, source] = blocksOf(guide, 'ts prelude') as [string, string];
const [before, after] = [blocksOf(guide, 'ts before'), blocksOf(guide, 'ts after')];

let server: AuthorizationServer;
let session: ServerSession;

beforeEach(async () => {
  server = await startAuthorizationServer({ staggered: (n) => (n % 20) * 8 });
  const signedIn = server.signIn();
  session = signedIn.session;
  vi.stubGlobal('signIn', async () => signedIn.token);
  vi.stubGlobal('location', { assign: () => expect.unreachable('signed out') });
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

/** Runs a block as it is pasted, but for the hosts, which are the server. */
async function paste(code: string) {
  const here = code
    .replaceAll(
      "allowedOrigins: ['https://api.example.com']",
      `allowedOrigins: ['${server.origin}']`,
    )
    .replaceAll('https://api.example.com', `${server.origin}/api`)
    .replaceAll('https://auth.example.com', server.origin);
  const pasted = (await import(writeModule(here))) as {
    getUser: (name: string) => Promise<{ path: string }>;
  };
  server.expireAccessTokens();
  return pasted.getUser;
}

it('has a before and an after for each', () => {
  expect(before).toHaveLength(8);
  expect(after).toHaveLength(7);
});

describe.each(before)('before %#', (code) => {
  it('compiles', { timeout: 30_000 }, () => {
    expect(complaintsOf(helper + code)).toEqual([]);
  });

  it('meets a 401 by a refresh, when it is the only one', async () => {
    const getUser = await paste(helper + code);
    expect((await getUser('ada')).path).toBe('/api/users/ada');
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
  });
});

describe.each(after)('after %#', (code) => {
  it('compiles', { timeout: 30_000 }, () => {
    expect(complaintsOf(helper + source + code)).toEqual([]);
  });

  it('answers 20 requests, whose 401s come staggered, with one refresh', async () => {
    const getUser = await paste(helper + source + code);
    const names = Array.from({ length: 20 }, (_, n) => `user-${n}`);
    const users = await Promise.all(names.map((name) => getUser(name)));
    expect(users.map(({ path }) => path)).toEqual(names.map((name) => `/api/users/${name}`));
    expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 20 });
  });
});
