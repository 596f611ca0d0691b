import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { toNodeHandler } from 'better-auth/node';
import { jwt } from 'better-auth/plugins';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { createTokenSource } from '../../src/index.ts';
import { axiosClients, fetchClient, kyClients } from '../adapters/contract/clients.ts';
import { listen } from '../loopback.ts';

/**
 * better-auth with its plugin `jwt`: a session in a cookie, from which short-lived tokens for an API
 * are minted. `/me` is that API.
 */
async function start() {
  const { server, origin, close } = await listen();
  const auth = betterAuth({
    baseURL: origin,
    secret: 'a secret of at least thirty-two characters',
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    emailAndPassword: { enabled: true },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    plugins: [jwt({ jwt: { expirationTime: '1m' } })],
  });
  const handler = toNodeHandler(auth);
  const counts = { mints: 0, refusals: 0 };
  server.on('request', (request, response) => {
    void (async () => {
      if (request.url === '/api/auth/token') counts.mints++;
      if (request.url !== '/me') return handler(request, response);
      const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
      const { payload } = await auth.api.verifyJWT({ body: { token } });
      if (!payload) counts.refusals++;
      response.writeHead(payload ? 200 : 401).end(payload?.['email']);
    })();
  });
  return { origin, counts, close };
}

let server: Awaited<ReturnType<typeof start>>;
let cookie: string;

beforeAll(async () => {
  server = await start();
});

afterAll(() => server.close());

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  const email = `${crypto.randomUUID()}@example.com`;
  const signedUp = await post('/api/auth/sign-up/email', {
    name: 'Ada',
    email,
    password: 'lovelace!',
  });
  expect(signedUp.status).toBe(200);
  const signedIn = await post('/api/auth/sign-in/email', { email, password: 'lovelace!' });
  cookie = signedIn.headers
    .getSetCookie()
    .map((each) => each.split(';')[0])
    .join('; ');
  Object.assign(server.counts, { mints: 0, refusals: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

const post = (path: string, body: object) =>
  fetch(server.origin + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: server.origin, cookie },
    body: JSON.stringify(body),
  });

/** Gets a token from the session, as a user would. */
const refresh = async ({ signal }: { signal: AbortSignal }) => {
  const response = await fetch(`${server.origin}/api/auth/token`, { headers: { cookie }, signal });
  if (!response.ok) throw new Error('refresh failed', { cause: response });
  return ((await response.json()) as { token: string }).token;
};

it.each([fetchClient, ...axiosClients, ...kyClients])(
  'better-auth, called by $name: 100 staggered requests over three expiries are three refreshes',
  async (client) => {
    const token = await refresh(new AbortController());
    server.counts.mints = 0;
    const tokens = createTokenSource<string>({ token, refresh });
    const send = client.wrap(server.origin, tokens as never);
    for (const count of [34, 33, 33]) {
      vi.setSystemTime(Date.now() + 120_000);
      const answers = await Promise.all(
        Array.from({ length: count }, async (_, n) => {
          await new Promise((resolve) => {
            setTimeout(resolve, n * 3);
          });
          return send('/me');
        }),
      );
      for (const { status, body } of answers) {
        expect([status, body]).toEqual([200, expect.stringContaining('@example.com')]);
      }
    }
    expect(server.counts.mints).toBe(3);
    expect(server.counts.refusals).toBeGreaterThanOrEqual(3);
  },
);

it('better-auth: signed out elsewhere, the session is over', async () => {
  const token = await refresh(new AbortController());
  const onSessionExpired = vi.fn();
  const tokens = createTokenSource<string>({ token, refresh, onSessionExpired });
  const send = fetchClient.wrap(server.origin, tokens as never);
  expect((await send('/me')).status).toBe(200);
  await post('/api/auth/sign-out', {});
  vi.setSystemTime(Date.now() + 120_000);
  await expect(send('/me')).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
  expect(onSessionExpired).toHaveBeenCalledTimes(1);
});
