import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh, type FetchAdapterOptions } from '../../src/adapters/fetch.ts';
import {
  createTokenSource,
  type SessionExpiredError,
  type TokenSourceOptions,
} from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenResponse,
} from '../authorization-server.ts';

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.close();
});

/** A signed-in client whose access token has just expired. */
function expiredClient(
  options: Partial<TokenSourceOptions<TokenResponse>> = {},
  adapter: FetchAdapterOptions<TokenResponse> = {},
) {
  const { session, token } = server.signIn();
  const tokens = createTokenSource<TokenResponse>({
    token,
    refresh: refreshAt(server.origin),
    retry: { retries: 0 },
    ...options,
  });
  const api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin], ...adapter });
  server.expireAccessTokens();
  const get = (path: string, init?: RequestInit) => api(server.origin + path, init);
  return { session, tokens, api, get };
}

describe('Like fetch', () => {
  it('sends what it was called with, whatever its owner changes afterwards', async () => {
    const { get, api } = expiredClient();
    const url = new URL(`${server.origin}/api/me`);
    const headers = new Headers();
    const init: RequestInit = { method: 'POST', headers };
    const sent = ['a', 'b', 'c'].map((name) => {
      url.pathname = `/api/${name}`;
      headers.set('x-name', name);
      init.body = name;
      return api(url, init);
    });
    const answers = await Promise.all(sent.map(async (each) => (await each).json()));
    expect(answers).toMatchObject(
      ['a', 'b', 'c'].map((name) => ({ path: `/api/${name}`, body: name })),
    );
    const last = server.log.find(({ path, status }) => path === '/api/a' && status === 200)!;
    expect(last.headers['x-name']).toBe('a');
    expect(headers.has('authorization')).toBe(false);
    expect((await get('/api/me')).status).toBe(200);
  });

  it('rejects as fetch does when there is no network or no such URL', async () => {
    const { api, get } = expiredClient();
    await expect(api('http://')).rejects.toThrow(TypeError);
    await expect(get('/api/me', { headers: { 'not a name': 'x' } })).rejects.toThrow(TypeError);
    await server.close();
    await expect(get('/api/me')).rejects.toThrow('fetch failed');
  });
});

describe('§5 The options', () => {
  it('asks `isRefused`, which may be async and read a clone', async () => {
    const { session, get } = expiredClient(
      {},
      {
        isRefused: async (response) => {
          const answer = (await response.clone().json()) as { error?: string };
          return answer.error === 'invalid_token';
        },
      },
    );
    const response = await get('/api/me');
    expect(await response.json()).toMatchObject({ path: '/api/me' });
    expect(session.refreshes).toBe(1);
    const never = expiredClient({}, { isRefused: () => false });
    expect((await never.get('/api/me')).status).toBe(401);
    expect(never.session.refreshes).toBe(0);
  });

  it('replays even when `isRefused` has used up the answer', async () => {
    const isRefused = async (response: Response) => 'error' in ((await response.json()) as object);
    const { tokens, get } = expiredClient({}, { isRefused });
    await expect(get('/api/me')).resolves.toMatchObject({ status: 200 });
    server.expireAccessTokens();
    server.scriptRefreshes(503);
    await expect(get('/api/me')).rejects.toMatchObject({ response: { status: 401 } });
    expect(tokens.refreshing).toBe(false);
  });

  it.each([
    ['a string', 'abc'],
    ['accessToken', { accessToken: 'abc' }],
    ['access_token', { access_token: 'abc' }],
  ])('sends a Bearer token from %s', async (_, token) => {
    const tokens = createTokenSource<unknown>({ token, refresh: () => expect.unreachable() });
    const api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    await api(`${server.origin}/redirect?to=/x&status=200`);
    expect(server.log[0]!.headers.authorization).toBe('Bearer abc');
  });

  it.each([
    [undefined],
    [5],
    [{ token: 'abc' }],
    [{ accessToken: 5 }],
    [''],
    ['secret\nX-Injected: 1'],
    ['secret\r'],
    ['secrét'],
    ['sëcret✓'],
  ])('sends nothing and throws a TypeError for a token such as %j', async (token) => {
    const tokens = createTokenSource<unknown>({ refresh: () => token });
    const api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    const outcome = await api(`${server.origin}/api/me`).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(TypeError);
    expect(String(outcome)).toContain('a token must be visible ASCII');
    expect(String(outcome)).not.toMatch(/s[eë]cr/);
    expect(server.log).toEqual([]);
  });

  it('takes cookies: no token at all, and an `authorize` that does nothing', async () => {
    const refresh = vi.fn(async () => {});
    const tokens = createTokenSource<void>({ refresh });
    const authorize = () => {};
    const api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin], authorize });
    expect((await api(`${server.origin}/api/me`)).status).toBe(401);
    expect(refresh).toHaveBeenCalledTimes(2);
    expect(server.log.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  const url = 'https://api.example.com';
  it.each([
    [['fetch', null, {}], '"fetch" must be a function, got "fetch" (string)'],
    [
      [fetch, null, { allowedOrigins: [url] }],
      /^"tokens.connect" must be a function, got undefined/,
    ],
    [
      [fetch, { get: 1 }, { allowedOrigins: [url] }],
      /^"tokens.connect" must be a function, got undefined/,
    ],
    [[fetch, 'eyJ.secret', { allowedOrigins: [url] }], /^"tokens.connect" must be (?!.*secret)/],
    [[fetch, 'tokens', null], '"options" must be an object, got null (object)'],
    [
      [fetch, 'tokens', {}],
      /^"allowedOrigins" must be an array of origins.*, got undefined \(undefined\)$/,
    ],
    [[fetch, 'tokens', { allowedOrigins: [] }], /^"allowedOrigins" must be an array of origins/],
    [[fetch, 'tokens', { allowedOrigins: url }], /^"allowedOrigins" must be an array of origins/],
    [
      [fetch, 'tokens', { allowedOrigins: [url, `${url}/v1`] }],
      /^"allowedOrigins" must be an array of origins/,
    ],
    [
      [fetch, 'tokens', { allowedOrigins: ['api.example.com'] }],
      /^"allowedOrigins" must be an array of origins/,
    ],
    [
      [fetch, 'tokens', { allowedOrigins: ['data:x'] }],
      /^"allowedOrigins" must be an array of origins/,
    ],
    [
      [fetch, 'tokens', { allowedOrigins: [null] }],
      /^"allowedOrigins" must be an array of origins/,
    ],
    [
      [fetch, 'tokens', { allowedOrigins: [url], authorize: 1 }],
      '"authorize" must be a function, got 1 (number)',
    ],
    [
      [fetch, 'tokens', { allowedOrigins: [url], isRefused: 1 }],
      '"isRefused" must be a function, got 1 (number)',
    ],
    [
      [fetch, 'tokens', { allowedOrigins: [url], skip: 1 }],
      '"skip" must be a function, got 1 (number)',
    ],
    [[fetch, 'tokens', { allowedOrigin: [url] }], /^"option" must be known, got "allowedOrigin"/],
  ])('throws a TypeError at construction for %j', ([client, source, options], message) => {
    const tokens = source === 'tokens' ? createTokenSource({ refresh: () => 'x' }) : source;
    const wrap = withTokenRefresh as (...args: unknown[]) => unknown;
    expect(() => wrap(client, tokens, options)).toThrow(TypeError);
    expect(() => wrap(client, tokens, options)).toThrow(message);
  });

  it('takes origins as URLs and with a slash', () => {
    const tokens = createTokenSource({ refresh: () => 'x' });
    const allowedOrigins = [new URL(url), `${url}/`, 'HTTPS://API.example.com:443'];
    expect(() => withTokenRefresh(fetch, tokens, { allowedOrigins })).not.toThrow();
  });
});

it('§5.7 The refused answer in an error can be read', async () => {
  const { get } = expiredClient();
  server.scriptRefreshes(400);
  const error = await get('/api/me').catch((reason: unknown) => reason as SessionExpiredError);
  const response = (error as SessionExpiredError).response as Response;
  expect(response.url).toBe(`${server.origin}/api/me`);
  expect(await response.json()).toEqual({ error: 'invalid_token' });
});
