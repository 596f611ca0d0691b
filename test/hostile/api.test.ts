import { gzipSync } from 'node:zlib';
import axios from 'axios';
import { describe, expect, it, vi } from 'vitest';
import { withTokenRefresh as withAxios } from '../../src/adapters/axios.ts';
import { withTokenRefresh as withFetch } from '../../src/adapters/fetch.ts';
import { createTokenSource, type TokenRefreshError } from '../../src/index.ts';
import { axiosClients, fetchClient, kyClients } from '../adapters/contract/clients.ts';
import { runChild } from '../child.ts';
import { gate } from '../gate.ts';
import { refreshAt, type TokenResponse } from '../token-endpoint.ts';
import { startHostileServer, status, type Answer } from './hostile-server.ts';

async function startSource() {
  const server = await startHostileServer();
  const onSessionExpired = vi.fn();
  const tokens = createTokenSource<TokenResponse>({
    token: server.firstToken,
    refresh: refreshAt(server.origin),
    onSessionExpired,
  });
  return { server, tokens, onSessionExpired };
}

/** They differ in when they have an answer: fetch and ky with its head, axios with its end. */
const clients = [fetchClient, ...axiosClients.slice(0, 2), ...kyClients];

describe.each(clients)('An API, asked by $name,', (client) => {
  const open = async () => {
    const opened = await startSource();
    return { ...opened, send: client.wrap(opened.server.origin, opened.tokens) };
  };

  it('answers 401 for ever: ten refreshes in 30 seconds, and no end of the session', async () => {
    const { server, send, onSessionExpired } = await open();
    server.closedPaths.add('/api/me');
    for (let n = 0; n < 10; n++) expect((await send('/api/me')).status).toBe(401);
    expect([server.refreshes, server.sends('/api/me')]).toEqual([10, 20]);
    for (let n = 0; n < 3; n++) {
      const error = await failureOf(send('/api/me'));
      expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'REFRESH_LIMIT' });
      expect(client.statusOf(error)).toBe(401);
    }
    // Refused once, and not sent again: there is no newer token to send it with.
    expect([server.refreshes, server.sends('/api/me')]).toEqual([10, 23]);
    expect(onSessionExpired).not.toHaveBeenCalled();
  });

  it('answers 401 for ever to 30 at once: one refresh, and two sends each', async () => {
    const { server, send } = await open();
    server.closedPaths.add('/api/me');
    const answers = await Promise.all(Array.from({ length: 30 }, () => send('/api/me')));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([401]));
    expect([server.refreshes, server.sends('/api/me')]).toEqual([1, 60]);
  });

  it('answers 401 only for one path: the others are answered, also beyond the limit', async () => {
    const { server, send } = await open();
    server.closedPaths.add('/api/admin');
    const outcomes: unknown[] = [];
    for (let n = 0; n < 12; n++) {
      outcomes.push(
        await send('/api/admin').then(
          (answer) => answer.status,
          (e) => e.code,
        ),
      );
      expect((await send('/api/me')).status).toBe(200);
    }
    const limited = ['REFRESH_LIMIT', 'REFRESH_LIMIT'];
    expect(outcomes).toEqual([...Array.from({ length: 10 }, () => 401), ...limited]);
    expect([server.refreshes, server.sends('/api/me')]).toEqual([10, 12]);
  });

  it('answers 401 with Retry-After: the replay does not wait for it', async () => {
    const { server, send } = await open();
    server.refusals.set('/api/me', status(401, { 'retry-after': '31536000' }));
    expect((await send('/api/me')).status).toBe(200);
    expect([server.refreshes, server.sends('/api/me')]).toEqual([1, 2]);
  });

  it("hangs up on the replay: the client's own error, and the next is answered", async () => {
    const { server, tokens, send } = await open();
    const bare = client.wrap(server.origin, tokens, { skip: () => true });
    server.refusals.set('/api/bare', (response) => response.socket!.destroy());
    const own = await failureOf(bare('/api/bare'));
    server.closedPaths.add('/api/me');
    server.refusals.set('/api/me', (response, request) => {
      if (request.headers.authorization?.endsWith('-0')) status(401)(response, request);
      else response.socket!.destroy();
    });
    const error = await failureOf(send('/api/me'));
    expect([error.name, error.code]).toEqual([own.name, own.code]);
    expect(server.refreshes).toBe(1);
    expect((await send('/api/next')).status).toBe(200);
    expect(server.refreshes).toBe(1);
  });

  it('answers 401 with a body that is not what its encoding says: that is replayed, too', async () => {
    const { server, send } = await open();
    server.refusals.set('/api/me', (response) => {
      response.writeHead(401, { 'content-encoding': 'gzip' });
      response.end(Buffer.concat([gzipSync('refused').subarray(0, 12), Buffer.from('broken')]));
    });
    expect(await send('/api/me')).toEqual({ status: 200, body: 'fine' });
    expect([server.refreshes, server.sends('/api/me')]).toEqual([1, 2]);
  });
});

describe('An API whose 401 never ends', () => {
  const endless: Answer = (response) => response.writeHead(401).write('and so on');

  it.each([fetchClient, ...kyClients])(
    'is replayed by $name, and its connection is closed',
    async (client) => {
      const { server, tokens } = await startSource();
      const closed = gate();
      server.refusals.set('/api/me', (response, request) => {
        response.once('close', () => closed.open());
        endless(response, request);
      });
      const send = client.wrap(server.origin, tokens);
      expect(await send('/api/me')).toEqual({ status: 200, body: 'fine' });
      await closed.promise;
      expect([server.refreshes, server.sends('/api/me')]).toEqual([1, 2]);
    },
  );

  it('twice, is the answer, whose body is its caller’s to read or to cancel', async () => {
    const { server, tokens } = await startSource();
    const closed = [gate(), gate()];
    server.closedPaths.add('/api/me');
    server.refusals.set('/api/me', (response, request) => {
      const each = closed[server.sends('/api/me') - 1]!;
      response.once('close', () => each.open());
      endless(response, request);
    });
    const api = withFetch(fetch, tokens, { allowedOrigins: [server.origin] });
    const answer = await api(`${server.origin}/api/me`);
    expect(answer.status).toBe(401);
    await closed[0]!.promise;
    await answer.body!.cancel();
    await closed[1]!.promise;
  });

  it('is waited for by axios, as axios does, until its caller leaves: then its connection is closed', async () => {
    const { server, tokens } = await startSource();
    const [arrived, closed] = [gate(), gate()];
    server.refusals.set('/api/me', (response, request) => {
      response.once('close', () => closed.open());
      endless(response, request);
      arrived.open();
    });
    const api = withAxios(axios.create({ baseURL: server.origin }), tokens);
    const caller = new AbortController();
    const sent = api.get('/api/me', { signal: caller.signal });
    await arrived.promise;
    caller.abort();
    await expect(sent).rejects.toMatchObject({ name: 'CanceledError' });
    await closed.promise;
    expect(server.refreshes).toBe(0);
  });

  it('leaves nothing that keeps a process alive, nor its memory', async () => {
    const { server } = await startSource();
    // As much as is read, and no more.
    server.refusals.set('/api/me', (response) => {
      response.writeHead(401);
      const write = () => {
        while (!response.destroyed && response.write('x'.repeat(2 ** 16)));
      };
      response.on('drain', write);
      write();
    });
    const printed = await runChild(
      `import { createTokenSource } from 'oneflight';
       import { withTokenRefresh } from 'oneflight/fetch';
       const origin = ${JSON.stringify(server.origin)};
       const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
       const tokens = createTokenSource({
         token: ${JSON.stringify(server.firstToken)},
         // It takes its time, and the refused answer goes on and on.
         refresh: async () => { await wait(300); return (await fetch(origin + '/token', { method: 'POST' })).json(); },
       });
       const api = withTokenRefresh(fetch, tokens, { allowedOrigins: [origin] });
       const before = process.memoryUsage().rss;
       const { status } = await api(origin + '/api/me');
       const grown = process.memoryUsage().rss - before;
       console.log(JSON.stringify({ status, grown }));`,
    );
    const { status: answered, grown } = JSON.parse(printed) as { status: number; grown: number };
    expect(answered).toBe(200);
    // Unbounded, it is hundreds of megabytes in that time; undici itself takes some ten.
    expect(grown).toBeLessThan(60_000_000);
  });
});

function failureOf(promise: Promise<unknown>): Promise<TokenRefreshError> {
  return promise.then(
    () => expect.unreachable('it is answered'),
    (error: TokenRefreshError) => error,
  );
}
