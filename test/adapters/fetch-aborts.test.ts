import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
let session: ServerSession;
let tokens: TokenSource<TokenResponse>;
let api: (path: string, init?: RequestInit) => Promise<Response>;

beforeEach(async () => {
  server = await startAuthorizationServer();
  const signedIn = server.signIn();
  session = signedIn.session;
  tokens = createTokenSource({ token: signedIn.token, refresh: refreshAt(server.origin) });
  const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
  api = (path, init) => client(server.origin + path, init);
  server.expireAccessTokens();
});

afterEach(async () => {
  await server.close();
});

describe('§5.5 An abort rejects at once, and nothing is sent afterwards', () => {
  it('before: nothing is sent at all', async () => {
    const signal = AbortSignal.abort('before');
    await expect(api('/api/me', { signal })).rejects.toBe('before');
    expect(server.log).toEqual([]);
  });

  it('while it waits for a refresh that was running', async () => {
    const release = server.holdRefreshes();
    const other = api('/api/other');
    await server.arrival('refresh');
    const caller = new AbortController();
    const held = api('/api/held', { signal: caller.signal });
    caller.abort('waiting');
    await expect(held).rejects.toBe('waiting');
    release();
    expect((await other).status).toBe(200);
    expect(server.paths()).toEqual(['/api/other', '/api/other']);
  });

  it('during the first send', async () => {
    const caller = new AbortController();
    const sent = api('/api/slow?delay=5000', { signal: caller.signal });
    await server.arrival('request');
    caller.abort('sending');
    await expect(sent).rejects.toBe('sending');
    expect(session.refreshes).toBe(0);
  });

  it('while it waits for the refresh that its own 401 began; that goes on for the others', async () => {
    const release = server.holdRefreshes();
    const initiator = new AbortController();
    const first = api('/api/first', { signal: initiator.signal });
    await server.arrival('refresh');
    const second = api('/api/second');
    initiator.abort('initiator');
    await expect(first).rejects.toBe('initiator');
    release();
    expect((await second).status).toBe(200);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
    expect(server.paths()).toEqual(['/api/first', '/api/second']);
  });

  it('during the replay', async () => {
    const caller = new AbortController();
    const sent = api('/api/slow?delay=100', { signal: caller.signal });
    await server.arrival('request', 2);
    caller.abort('replaying');
    await expect(sent).rejects.toBe('replaying');
  });

  it("by a Request's own signal too", async () => {
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    server.holdRefreshes();
    const caller = new AbortController();
    const sent = client(new Request(`${server.origin}/api/me`, { signal: caller.signal }));
    await server.arrival('refresh');
    caller.abort('mine');
    await expect(sent).rejects.toBe('mine');
    expect(server.paths()).toHaveLength(1);
  });

  it('but not when `init` takes the signal away', async () => {
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    const release = server.holdRefreshes();
    const caller = new AbortController();
    const request = new Request(`${server.origin}/api/me`, { signal: caller.signal });
    const sent = client(request.url, { signal: null });
    await server.arrival('refresh');
    caller.abort('ignored');
    release();
    expect((await sent).status).toBe(200);
  });

  it('after: a long-lived signal has gathered no listeners of ours', async () => {
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => (await api(`/api/${n}`, { signal })).text()),
    );
    await tokens.get({ signal });
    const bare = new AbortController().signal;
    await (await fetch(`${server.origin}/api/bare`, { signal: bare })).text();
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(
      40 * getEventListeners(bare, 'abort').length,
    );
  });
});
