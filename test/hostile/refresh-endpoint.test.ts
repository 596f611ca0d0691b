import { describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  RefreshFailedError,
  TokenRefreshError,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { gate, settled } from '../gate.ts';
import type { TokenResponse } from '../token-endpoint.ts';
import {
  json,
  raw,
  SECRET,
  startHostileServer,
  status,
  text,
  type Answer,
} from './hostile-server.ts';
import { refreshingClients } from './refreshing-clients.ts';

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

/** No passing failure ends a session, whatever the answer. What vitest adds: nothing is unhandled. */
describe.each(refreshingClients)('A refresh endpoint, asked by $client.name,', (kind) => {
  const { client } = kind;

  async function open(options: Partial<TokenSourceOptions<TokenResponse>> = {}) {
    const server = await startHostileServer();
    const onSessionExpired = vi.fn();
    const tokens = createTokenSource<TokenResponse>({
      token: server.firstToken,
      refresh: kind.refreshAt(server.origin) as never,
      retry: { retries: 2, minTimeout: 1 },
      onSessionExpired,
      ...options,
    });
    return { server, tokens, send: client.wrap(server.origin, tokens), onSessionExpired };
  }

  /** What is no JSON is an error, which may pass; only axios gives it as a string, which is no token. */
  const asText = client.name.startsWith('axios') ? 1 : 3;

  it.each<[string, Answer, number]>([
    ['HTML with 200, as a captive portal does', text('text/html', '<html>Sign in</html>'), asText],
    ['an empty body', text('application/json', ''), asText],
    ['an object without a token', json({}), 1],
    ['an error with 200', json({ error: 'invalid_grant', was: SECRET }), 1],
    ['an empty access token', json({ access_token: '' }), 1],
    ['an access token that is a number', json({ access_token: 5 }), 1],
    ['null', json(null), 1],
    ['an array', json([]), 1],
    ['a string', json(SECRET), 1],
    ['10 MB that are no token', json({ filler: 'x'.repeat(10_000_000) }), 1],
    ['10 MB of HTML', text('text/html', `<html>${SECRET}${'x'.repeat(10_000_000)}`), asText],
    ['JSON that breaks off', text('application/json', `{"access_token":"${SECRET}`), asText],
    ['half of what it announced, and closes', raw(`${HEAD}content-length: 99\r\n\r\n{"access_`), 3],
    ['half a chunk, and closes', raw(`${HEAD}transfer-encoding: chunked\r\n\r\n63\r\n{"acc`), 3],
    ['nothing, and closes', raw(''), 3],
    ['what is no HTTP', raw('SSH-2.0-OpenSSH_9.2\r\n\r\n'), 3],
  ])(
    'answers %s: the session is kept, and the next caller is answered',
    async (_, wrong, attempts) => {
      const { server, tokens, send, onSessionExpired } = await open();
      server.refreshAnswers.push(wrong, wrong, wrong);
      const errors = await Promise.all([1, 2].map((n) => failureOf(send(`/api/${n}`))));
      for (const error of errors) {
        expect(error).toBeInstanceOf(RefreshFailedError);
        expect(error).toMatchObject({ code: 'REFRESH_FAILED', message: 'refresh failed' });
        expect(error.cause).toBeInstanceOf(Error);
        expect(client.statusOf(error)).toBe(401);
        expect(JSON.stringify(error)).not.toContain(SECRET);
      }
      expect([server.refreshes, server.paths.length]).toEqual([attempts, 2]);
      expect(tokens.refreshing).toBe(false);
      server.refreshAnswers.length = 0;
      expect(await send('/api/next')).toEqual({ status: 200, body: 'fine' });
      expect(server.refreshes).toBe(attempts + 1);
      expect(onSessionExpired).not.toHaveBeenCalled();
    },
  );

  it.each<[string, Answer]>([
    ['breaks off', raw(`${HEAD}content-length: 99\r\n\r\n{"access_`)],
    ['closes without an answer', raw('')],
    ['is unavailable', status(503)],
  ])('%s once: the retry is answered, and the caller knows nothing of it', async (_, wrong) => {
    const { server, send } = await open();
    server.refreshAnswers.push(wrong);
    expect(await send('/api/me')).toEqual({ status: 200, body: 'fine' });
    expect([server.refreshes, server.sends('/api/me')]).toEqual([2, 2]);
  });

  it('answers with a token and 10 MB beside it: that is a token', async () => {
    const { server, send } = await open();
    const token = { ...server.firstToken, filler: 'x'.repeat(10_000_000) };
    server.refreshAnswers.push(json({ ...token, access_token: 'large' }));
    // The API knows no such token: its second refusal is the answer.
    expect((await send('/api/me')).status).toBe(401);
    expect(server.headers[1]!.authorization).toBe('Bearer large');
  });

  it.each<[string, Answer]>([
    ['never answers', () => {}],
    ['begins an answer that never ends', (response) => response.write('{"access_token":"')],
    ['writes without end', writeForEver],
  ])(
    '%s: at `timeout` its connection is closed, and the next caller tries again',
    async (_, hang) => {
      const { server, tokens, send } = await open({ timeout: 200 });
      const closed = gate();
      server.refreshAnswers.push((response, request) => {
        response.once('close', () => closed.open());
        hang(response, request);
      });
      const error = await failureOf(send('/api/me'));
      expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'REFRESH_TIMEOUT' });
      expect(client.statusOf(error)).toBe(401);
      await closed.promise;
      expect([server.refreshes, tokens.refreshing]).toEqual([1, false]);
      expect((await send('/api/next')).status).toBe(200);
      expect(server.refreshes).toBe(2);
    },
  );

  it('answers after the timeout a refresh that does not heed its signal: no token is lost', async () => {
    const server = await startHostileServer();
    const answer = gate();
    const landed = gate();
    const { signal: unheeded } = new AbortController();
    const refresh = kind.refreshAt(server.origin);
    const tokens = createTokenSource<TokenResponse>({
      token: server.firstToken,
      timeout: 100,
      refresh: async ({ token }) => {
        const late = await refresh({ token, signal: unheeded });
        landed.open();
        return late;
      },
    });
    const send = client.wrap(server.origin, tokens);
    server.refreshAnswers.push((response, request) => {
      void answer.promise.then(() =>
        json({ ...server.firstToken, access_token: 'late' })(response, request),
      );
    });
    expect(await failureOf(send('/api/me'))).toMatchObject({ code: 'REFRESH_TIMEOUT' });
    answer.open();
    await landed.promise;
    await settled();
    await send('/api/next');
    expect(server.headers[1]!.authorization).toBe('Bearer late');
  });

  it('is sent to a page that asks to sign in: no HTML is a token', async () => {
    const { server, send, onSessionExpired } = await open({ retry: { retries: 0 } });
    server.refreshAnswers.push(status(302, { location: '/login' }));
    server.refusals.set('/login', text('text/html', '<html>Sign in</html>'));
    expect(await failureOf(send('/api/me'))).toMatchObject({ code: 'REFRESH_FAILED' });
    expect(onSessionExpired).not.toHaveBeenCalled();
  });
});

/** Endless, but only as fast as it is read. */
function writeForEver(...[response]: Parameters<Answer>): void {
  const write = () => {
    while (!response.destroyed && response.write(' '.repeat(2 ** 16)));
  };
  response.on('drain', write);
  write();
}

function failureOf(promise: Promise<unknown>): Promise<TokenRefreshError> {
  return promise.then(
    () => expect.unreachable('it is answered'),
    (error: TokenRefreshError) => error,
  );
}
