import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh, type FetchAdapterOptions } from '../../src/adapters/fetch.ts';
import {
  createTokenSource,
  RefreshFailedError,
  SessionExpiredError,
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

describe('§5.1 Attach, send, renew, send once more', () => {
  it('sends the token, and answers as fetch does', async () => {
    const { tokens, get } = expiredClient();
    await tokens.renew(await tokens.get());
    const response = await get('/api/me');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ method: 'GET', path: '/api/me' });
    expect(server.paths()).toEqual(['/api/me']);
  });

  it('meets a 401 by one refresh and one replay', async () => {
    const { session, get } = expiredClient();
    const response = await get('/api/me', { headers: { 'x-own': 'kept' } });
    expect(response.status).toBe(200);
    expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 1 });
    const sent = server.log.filter(({ path }) => path === '/api/me');
    expect(sent.map(({ headers }) => headers['x-own'])).toEqual(['kept', 'kept']);
    expect(sent[0]!.headers.authorization).not.toBe(sent[1]!.headers.authorization);
  });

  it('gives a second 401 to the caller, and never sends a third time', async () => {
    const { token } = server.signIn();
    const refresh = vi.fn(async () => token);
    const { get } = expiredClient({ refresh });
    server.expireAccessTokens();
    const response = await get('/api/me');
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: 'invalid_token' });
    expect(server.paths()).toEqual(['/api/me', '/api/me']);
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it('answers a burst of 100 with one refresh', async () => {
    const { session, get } = expiredClient();
    const responses = await Promise.all(Array.from({ length: 100 }, (_, n) => get(`/api/${n}`)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
  });

  it('answers 401s that arrive after the refresh has settled without another', async () => {
    const { session, get } = expiredClient();
    const late = get('/api/late?delay=150');
    expect((await get('/api/early')).status).toBe(200);
    expect(session.refreshes).toBe(1);
    expect((await late).status).toBe(200);
    expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 2 });
  });

  it('holds a request that begins during the refresh: it is sent once', async () => {
    const { get } = expiredClient();
    const release = server.holdRefreshes();
    const refused = get('/api/refused');
    await server.arrival('refresh');
    const held = get('/api/held');
    release();
    expect([(await refused).status, (await held).status]).toEqual([200, 200]);
    expect(server.paths()).toEqual(['/api/refused', '/api/refused', '/api/held']);
  });

  it('lets any number of clients share one source', async () => {
    const { session, tokens, get } = expiredClient();
    const other = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    const responses = await Promise.all([get('/api/a'), other(`${server.origin}/api/b`)]);
    expect(responses.map(({ status }) => status)).toEqual([200, 200]);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
  });

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

  it('lets `authorize` set any header, and waits for it', async () => {
    const authorize = async (headers: Headers, token: TokenResponse) => {
      headers.set('x-token', token.access_token);
    };
    const { get } = expiredClient({}, { authorize });
    await get('/api/me');
    const [first, second] = server.log.filter(({ kind }) => kind === 'request');
    expect(first!.headers['x-token']).toMatch(/^at-/);
    expect(second!.headers['x-token']).toMatch(/^at-/);
    expect(first!.headers.authorization).toBe(undefined);
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
    [[fetch, null, { allowedOrigins: [url] }], /^"tokens" must be a token source/],
    [[fetch, { get: 1 }, { allowedOrigins: [url] }], /^"tokens" must be a token source/],
    [[fetch, 'eyJ.secret', { allowedOrigins: [url] }], /^"tokens" must be (?!.*secret)/],
    [[fetch, 'tokens', null], '"options" must be an object, got null (object)'],
    [
      [fetch, 'tokens', {}],
      /^"allowedOrigins" must be an array of origins.*, got undefined \(undefined\)$/,
    ],
    [[fetch, 'tokens', { allowedOrigins: [] }], /^"allowedOrigins" must be an array of origins/],
    [[fetch, 'tokens', { allowedOrigins: url }], /^"allowedOrigins" must be an array of origins/],
    [
      [fetch, 'tokens', { allowedOrigins: [url, `${url}/v1`] }],
      /^"allowedOrigins\[1\]" must be an origin/,
    ],
    [
      [fetch, 'tokens', { allowedOrigins: ['api.example.com'] }],
      /^"allowedOrigins\[0\]" must be an origin/,
    ],
    [[fetch, 'tokens', { allowedOrigins: ['data:x'] }], /^"allowedOrigins\[0\]" must be an origin/],
    [[fetch, 'tokens', { allowedOrigins: [null] }], /^"allowedOrigins\[0\]" must be an origin/],
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
    [[fetch, 'tokens', { allowedOrigin: [url] }], '"allowedOrigin" is not one of the options'],
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

describe('§5.6 A request that carries the signal of the refresh is the refresh', () => {
  const through = (pass: boolean, wait: () => unknown = () => {}) => {
    const { session, token } = server.signIn();
    let api!: typeof fetch;
    const tokens = createTokenSource<TokenResponse>({
      token,
      timeout: 100,
      refresh: async (context) => {
        await wait();
        const body = new URLSearchParams({ refresh_token: context.token.refresh_token });
        const signal = pass ? context.signal : null;
        const response = await api(`${server.origin}/token`, { method: 'POST', body, signal });
        if (!response.ok) throw new Error('refresh failed', { cause: response });
        return (await response.json()) as TokenResponse;
      },
    });
    api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    server.expireAccessTokens();
    return { session, request: api(`${server.origin}/api/me`) };
  };

  it('passes straight through, and carries no token', async () => {
    const { session, request } = through(true);
    expect((await request).status).toBe(200);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
    const refresh = server.log.find(({ kind }) => kind === 'refresh');
    expect(refresh!.headers.authorization).toBe(undefined);
  });

  it.each([
    ['at once', () => {}],
    ['after a wait', () => Promise.resolve()],
  ])('fails with a message that says why when it is sent without it, %s', async (_, wait) => {
    const { request } = through(false, wait);
    const error = await request.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RefreshFailedError);
    expect(String(error)).toContain('sent through the wrapped client waits for itself');
    expect(server.log.filter(({ kind }) => kind === 'refresh')).toEqual([]);
  });

  it('is not needed when `skip` names the endpoint', async () => {
    const { session, token } = server.signIn();
    const skip = vi.fn(({ url }: { url: string }) => url.endsWith('/token'));
    let api!: typeof fetch;
    const tokens = createTokenSource<TokenResponse>({
      token,
      refresh: async (context) => {
        const body = new URLSearchParams({ refresh_token: context.token.refresh_token });
        return (await (
          await api(`${server.origin}/token`, { method: 'post', body })
        ).json()) as TokenResponse;
      },
    });
    api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin], skip });
    server.expireAccessTokens();
    expect((await api(`${server.origin}/api/me`)).status).toBe(200);
    expect(session.refreshes).toBe(1);
    expect(skip.mock.calls).toEqual([
      [{ url: `${server.origin}/api/me`, method: 'GET' }],
      [{ url: `${server.origin}/token`, method: 'POST' }],
    ]);
  });
});

describe('§5.7 When no token can be had', () => {
  it("rejects with an error of each request's own, which has its own 401", async () => {
    const { get } = expiredClient();
    server.scriptRefreshes(400);
    const errors = await Promise.all(
      ['/api/a', '/api/b'].map((path) =>
        get(path).catch((error: unknown) => error as SessionExpiredError),
      ),
    );
    const [first, second] = errors as [SessionExpiredError, SessionExpiredError];
    expect(first).not.toBe(second);
    for (const error of [first, second]) {
      expect(error).toBeInstanceOf(SessionExpiredError);
      expect(error).toMatchObject({
        code: 'SESSION_EXPIRED',
        message: expect.stringContaining('400'),
      });
      expect(Object.keys(error)).toEqual(['name', 'code']);
    }
    expect(first.cause).toBe(second.cause);
    const responses = [first, second].map(({ response }) => response as Response);
    expect(responses.map(({ url, status }) => [new URL(url).pathname, status])).toEqual([
      ['/api/a', 401],
      ['/api/b', 401],
    ]);
    expect(await responses[0]!.json()).toEqual({ error: 'invalid_token' });

    const later = (await get('/api/c').catch((error: unknown) => error)) as SessionExpiredError;
    expect(later).toMatchObject({ code: 'SESSION_EXPIRED', response: undefined });
    expect(server.paths()).toEqual(['/api/a', '/api/b']);
  });

  it('rejects with RefreshFailedError after a 503, and the next request tries again', async () => {
    const { session, get } = expiredClient();
    server.scriptRefreshes(503);
    await expect(get('/api/me')).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    expect((await get('/api/me')).status).toBe(200);
    expect(session.alive).toBe(true);
  });

  it.each([
    ['set', 'SESSION_REPLACED'],
    ['clear', 'SIGNED_OUT'],
  ] as const)('sends no request of the old session after `%s`', async (method, code) => {
    const { tokens, get } = expiredClient();
    server.holdRefreshes();
    const refused = get('/api/transfer', { method: 'POST', body: 'money' });
    await server.arrival('refresh');
    const held = get('/api/held');
    await tokens[method](server.signIn().token);
    await expect(refused).rejects.toMatchObject({ code, response: { status: 401 } });
    await expect(held).rejects.toMatchObject({ code, response: undefined });
    expect(server.paths()).toEqual(['/api/transfer']);
  });

  it("does not send a request again with another user's token when its 401 comes late", async () => {
    const { tokens, get } = expiredClient();
    const late = get('/api/late?delay=50');
    await server.arrival('request');
    await tokens.set(server.signIn().token);
    await expect(late).rejects.toMatchObject({
      code: 'SESSION_REPLACED',
      response: { status: 401 },
    });
    expect(server.paths()).toEqual(['/api/late']);
  });
});
