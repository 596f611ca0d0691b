import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import ky from 'ky';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { withTokenRefresh as withKy } from '../../src/adapters/ky.ts';
import { createTokenSource, type TokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenResponse,
} from '../authorization-server.ts';

let server: AuthorizationServer;
let tokens: TokenSource<TokenResponse>;
let api: (path: string, init?: RequestInit) => Promise<Response>;

beforeEach(async () => {
  server = await startAuthorizationServer();
  const signedIn = server.signIn();
  tokens = createTokenSource({ token: signedIn.token, refresh: refreshAt(server.origin) });
  const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
  api = (path, init) => client(server.origin + path, init);
  server.expireAccessTokens();
});

afterEach(async () => {
  await server.close();
});

describe('§5.5 An abort, beyond the contract,', () => {
  it("may come by a Request's own signal", async () => {
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
    server.holdRefreshes();
    const caller = new AbortController();
    const sent = client(new Request(`${server.origin}/api/me`, { signal: caller.signal }));
    await server.arrival('refresh');
    caller.abort('mine');
    await expect(sent).rejects.toBe('mine');
    expect(server.paths()).toHaveLength(1);
  });

  it.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    [
      'a Request',
      (signal) => {
        const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
        return client(new Request(`${server.origin}/api/slow`, { signal }));
      },
    ],
    [
      'ky',
      (signal) => withKy(ky.create({ prefix: server.origin }), tokens).get('api/slow', { signal }),
    ],
    [
      'ky with JSON',
      (signal) =>
        withKy(ky.create({ prefix: server.origin }), tokens).post('api/slow', { json: 1, signal }),
    ],
  ])('of %s is heard when garbage was collected while it was sent', async (_, send) => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    server.holdPath('/api/slow');
    const caller = new AbortController();
    const sent = send(caller.signal);
    await server.arrival('request');
    for (let turn = 0; turn < 4; turn++) {
      gc();
      await new Promise(setImmediate);
    }
    caller.abort('mine');
    await expect(sent).rejects.toBe('mine');
  });

  it('does not when `init` takes the signal away', async () => {
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

  it('leaves nothing behind: a long-lived signal has gathered no listeners of ours', async () => {
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
