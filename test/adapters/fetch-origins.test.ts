import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource, type TokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
  type TokenResponse,
} from '../authorization-server.ts';

let server: AuthorizationServer;
let foreign: AuthorizationServer;
let session: ServerSession;
let tokens: TokenSource<TokenResponse>;
let api: typeof fetch;

beforeEach(async () => {
  [server, foreign] = await Promise.all([startAuthorizationServer(), startAuthorizationServer()]);
  const signedIn = server.signIn();
  session = signedIn.session;
  tokens = createTokenSource({ token: signedIn.token, refresh: refreshAt(server.origin) });
  api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all([server.close(), foreign.close()]);
});

const tokensAt = ({ log }: AuthorizationServer) => log.map(({ headers }) => headers.authorization);

describe('§5.2 A request to an origin that is not allowed goes out untouched', () => {
  it('carries no token, and its 401 causes no refresh', async () => {
    const response = await api(`${foreign.origin}/api/me`);
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: 'invalid_token' });
    expect(tokensAt(foreign)).toEqual([undefined]);
    expect(session.refreshes).toBe(0);
  });

  it('waits for no refresh, and not for a session that is over either', async () => {
    server.expireAccessTokens();
    const release = server.holdRefreshes();
    const refused = api(`${server.origin}/api/me`);
    await server.arrival('refresh');
    expect((await api(`${foreign.origin}/api/me`)).status).toBe(401);
    release();
    await refused;
    await tokens.clear();
    expect((await api(`${foreign.origin}/api/me`)).status).toBe(401);
  });

  it('reaches fetch with the very same arguments', async () => {
    const bare = vi.fn(async () => new Response());
    const wrapped = withTokenRefresh(bare as typeof fetch, tokens, {
      allowedOrigins: [server.origin],
    });
    const request = new Request(foreign.origin);
    const init = { headers: { a: 'b' } };
    await wrapped(request, init);
    await wrapped('not a URL');
    expect(bare.mock.calls).toEqual([
      [request, init],
      ['not a URL', undefined],
    ]);
    expect((bare.mock.calls as unknown[][])[0]![0]).toBe(request);
  });

  it('does not confuse origins that look alike', async () => {
    const bare = vi.fn(async (_: string, init?: RequestInit) => {
      return new Response(new Headers(init?.headers).get('authorization'));
    });
    const wrapped = withTokenRefresh(bare as never, tokens, {
      allowedOrigins: ['https://api.example.com'],
    }) as typeof fetch;
    for (const url of [
      'http://api.example.com/',
      'https://api.example.com:8443/',
      'https://api.example.com.evil.org/',
      'https://api.example.com@evil.org/',
      'https://evil.org/https://api.example.com/',
      'https://example.com/',
    ]) {
      expect([url, await (await wrapped(url)).text()]).toEqual([url, '']);
    }
    for (const url of [
      'https://api.example.com/',
      'https://API.example.com:443/x',
      'https:api.example.com',
    ]) {
      expect([url, await (await wrapped(url)).text()]).toEqual([
        url,
        expect.stringMatching(/^Bearer at-/),
      ]);
    }
  });

  it('allows several origins', async () => {
    const both = withTokenRefresh(fetch, tokens, {
      allowedOrigins: [server.origin, foreign.origin],
    });
    await Promise.all([
      both(`${server.origin}/api/me`),
      both(`${foreign.origin}/redirect?to=/x&status=200`),
    ]);
    expect([...tokensAt(server), ...tokensAt(foreign)]).toEqual([
      expect.stringMatching(/^Bearer /),
      expect.stringMatching(/^Bearer /),
    ]);
  });
});

describe('§5.2 A redirect', () => {
  it.each([302, 307])(
    'to another origin (%i) takes no token along, and its 401 causes no refresh',
    async (status) => {
      const to = encodeURIComponent(`${foreign.origin}/api/me`);
      const response = await api(`${server.origin}/redirect?to=${to}&status=${status}`);
      expect(response.status).toBe(401);
      expect(response.url).toBe(`${foreign.origin}/api/me`);
      expect(tokensAt(server)).toEqual([expect.stringMatching(/^Bearer /)]);
      expect(tokensAt(foreign)).toEqual([undefined]);
      expect(session.refreshes).toBe(0);
    },
  );

  it('within the origin keeps the token, and its 401 is met by a refresh', async () => {
    server.expireAccessTokens();
    const response = await api(`${server.origin}/redirect?to=/api/me`);
    expect(await response.json()).toMatchObject({ path: '/api/me' });
    expect(session.refreshes).toBe(1);
  });
});

describe("In a browser, the page's own origin is allowed by default", () => {
  it('and relative URLs are of the page', async () => {
    vi.stubGlobal('location', new URL('https://app.example.com/some/page'));
    const bare = vi.fn(async (_: unknown, init?: RequestInit) => {
      return new Response(new Headers(init?.headers).get('authorization'));
    });
    const wrapped = withTokenRefresh(bare as never, tokens) as typeof fetch;
    for (const url of ['/api', 'api', '../api', new URL('https://app.example.com/x')]) {
      expect(await (await wrapped(url)).text()).toMatch(/^Bearer /);
    }
    for (const url of ['//other.example.com/api', 'https://example.com']) {
      expect(await (await wrapped(url)).text()).toBe('');
    }
  });

  it('and where the page has none, they must be named', () => {
    vi.stubGlobal('location', new URL('about:blank'));
    expect(() => withTokenRefresh(fetch, tokens)).toThrow(/^"allowedOrigins" must be an array/);
  });
});
