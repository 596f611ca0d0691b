import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource, type TokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenResponse,
} from '../authorization-server.ts';

let server: AuthorizationServer;
let foreign: AuthorizationServer;
let tokens: TokenSource<TokenResponse>;

beforeEach(async () => {
  [server, foreign] = await Promise.all([startAuthorizationServer(), startAuthorizationServer()]);
  const signedIn = server.signIn();
  tokens = createTokenSource({ token: signedIn.token, refresh: refreshAt(server.origin) });
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all([server.close(), foreign.close()]);
});

describe('§5.2 A request to an origin that is not allowed goes out untouched', () => {
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
      'data:text/plain,https://api.example.com/',
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
