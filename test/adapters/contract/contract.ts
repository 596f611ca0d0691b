import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  createTokenSource,
  RefreshFailedError,
  SessionExpiredError,
  TokenRefreshError,
  type TokenSourceOptions,
} from '../../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenResponse,
} from '../../authorization-server.ts';
import { settled } from '../../gate.ts';
import { fetchClient, type Answer, type Client, type Options, type Send } from './clients.ts';

/** What every adapter promises, whatever the client. */
export function contract(client: Client): void {
  let server: AuthorizationServer;

  beforeEach(async () => {
    server = await startServer();
  });

  /** A signed-in client whose access token has just expired. */
  function expired(options: Partial<TokenSourceOptions<TokenResponse>> = {}, adapter?: Options) {
    const { session, token } = server.signIn();
    const onSessionExpired = vi.fn();
    const onRefresh = vi.fn();
    const tokens = createTokenSource<TokenResponse>({
      token,
      refresh: refreshAt(server.origin),
      retry: { minTimeout: 1 },
      onSessionExpired,
      onRefresh,
      ...options,
    });
    const send = client.wrap(server.origin, tokens, adapter);
    server.expireAccessTokens();
    return { session, tokens, send, onSessionExpired, onRefresh };
  }

  /** How often the API saw each path, and how often the refresh endpoint was asked. */
  const sends = (path: string) => server.paths().filter((each) => each === path).length;
  const refreshes = () => server.log.filter(({ kind }) => kind === 'refresh').length;

  describe('§5.1 Attach, send, renew, send once more', () => {
    it('for one 401: attach, send, renew, send once more', async () => {
      const { session, send, onRefresh } = expired();
      const answer = await send('/api/me?x=1', { headers: { 'x-own': 'kept' } });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toMatchObject({ method: 'GET', path: '/api/me' });
      expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 1 });
      const sent = server.log.filter(({ kind }) => kind === 'request');
      expect(sent.map(({ path }) => path)).toEqual(['/api/me?x=1', '/api/me?x=1']);
      expect(sent.map(({ headers }) => headers['x-own'])).toEqual(['kept', 'kept']);
      const [first, second] = sent.map(({ headers }) => headers.authorization);
      expect(first).toMatch(/^Bearer at-/);
      expect(second).toMatch(/^Bearer at-/);
      expect(first).not.toBe(second);
      expect(onRefresh.mock.calls).toEqual([
        [{ status: 'fulfilled', callers: 1, attempts: 1, duration: expect.any(Number) }],
      ]);
    });

    it('none while the token is good', async () => {
      const { tokens, send } = expired();
      await tokens.renew(await tokens.get());
      expect((await send('/api/me')).status).toBe(200);
      expect([sends('/api/me'), refreshes()]).toEqual([1, 1]);
    });

    it('for a burst of 100', async () => {
      const { session, send, onRefresh, onSessionExpired } = expired();
      const answers = await all(100, (n) => send(`/api/${n}`));
      expect(statusesOf(answers)).toEqual({ 200: 100 });
      expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 100 });
      expect(server.paths()).toHaveLength(200);
      expect(onRefresh).toHaveBeenCalledTimes(1);
      expect(onSessionExpired).not.toHaveBeenCalled();
    });

    it('for 100 staggered 401s, of which most arrive when the refresh has settled', async () => {
      const { session, send, onRefresh } = expired();
      const answers = await all(100, (n) => send(`/api/${n}?delay=${n * 2}`));
      expect(statusesOf(answers)).toEqual({ 200: 100 });
      expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 100 });
      expect(server.paths()).toHaveLength(200);
      expect(onRefresh).toHaveBeenCalledTimes(1);
    });

    it('for requests that begin during it: they wait, and are sent once', async () => {
      const { session, send, onRefresh } = expired();
      const release = server.holdRefreshes();
      const refused = send('/api/refused');
      await server.arrival('refresh');
      const held = all(10, (n) => send(`/api/held-${n}`));
      release();
      expect(statusesOf([await refused, ...(await held)])).toEqual({ 200: 11 });
      expect(server.paths()).toHaveLength(12);
      expect(session.refreshes).toBe(1);
      expect(onRefresh.mock.calls).toMatchObject([[{ callers: 11 }]]);
    });

    it('for two instances on one source', async () => {
      const { session, tokens, send } = expired();
      const other = client.wrap(server.origin, tokens);
      const answers = await all(20, (n) => (n % 2 ? send : other)(`/api/${n}?delay=${n * 5}`));
      expect(statusesOf(answers)).toEqual({ 200: 20 });
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
    });

    it('for two kinds of client on one source', async () => {
      const { session, tokens, send } = expired();
      const other = fetchClient.wrap(server.origin, tokens);
      const answers = await all(20, (n) => (n % 2 ? send : other)(`/api/${n}?delay=${n * 5}`));
      expect(statusesOf(answers)).toEqual({ 200: 20 });
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
    });

    it('and none for a slow 401 that arrives after two later refreshes', async () => {
      const { session, send } = expired();
      const release = server.holdPath('/api/slow');
      const slow = send('/api/slow');
      await server.arrival('request');
      expect((await send('/api/first')).status).toBe(200);
      server.expireAccessTokens();
      expect((await send('/api/second')).status).toBe(200);
      expect(session.refreshes).toBe(2);
      release();
      expect((await slow).status).toBe(200);
      expect(session).toMatchObject({ alive: true, refreshes: 2 });
      expect(sends('/api/slow')).toBe(2);
    });
  });

  describe('§5.1 A second refusal', () => {
    it('is the answer: there is no third send', async () => {
      const { token } = server.signIn();
      const refresh = vi.fn(async () => token);
      const { send, onSessionExpired } = expired({ refresh });
      const answer = await send('/api/me');
      expect(answer).toEqual({ status: 401, body: '{"error":"invalid_token"}' });
      expect(sends('/api/me')).toBe(2);
      expect(refresh).toHaveBeenCalledTimes(1);
      expect(onSessionExpired).not.toHaveBeenCalled();
    });
  });

  describe('§5.7 When the refresh is refused', () => {
    it.each([400, 401])(
      'with %i: every request gets its own error, and its own 401',
      async (status) => {
        const { session, tokens, send, onSessionExpired, onRefresh } = expired();
        const release = server.holdRefreshes();
        server.scriptRefreshes(status);
        const all20 = Promise.all(
          Array.from({ length: 20 }, (_, n) => failureOf(send(`/api/${n}`))),
        );
        await server.arrival('request', 20);
        release();
        const errors = await all20;
        expect(new Set(errors).size).toBe(20);
        for (const error of errors) {
          expect(error).toBeInstanceOf(SessionExpiredError);
          expect(error).toMatchObject({ name: 'SessionExpiredError', code: 'SESSION_EXPIRED' });
          expect(error.message).toContain(String(status));
          expect(error.cause).toBe(errors[0]!.cause);
          expect(Object.keys(error)).toEqual(['name', 'code']);
          expect(client.statusOf(error)).toBe(401);
        }
        expect(new Set(errors.map(({ response }) => response)).size).toBe(20);
        expect(session).toMatchObject({ alive: true, refreshes: 1 });
        expect(onSessionExpired).toHaveBeenCalledTimes(1);
        expect(onRefresh.mock.calls).toMatchObject([[{ status: 'rejected', attempts: 1 }]]);
        expect(server.paths()).toHaveLength(20);

        const later = await failureOf(send('/api/later'));
        expect(later).toMatchObject({ code: 'SESSION_EXPIRED', response: undefined });
        expect(sends('/api/later')).toBe(0);

        await tokens.set(server.signIn().token);
        expect((await send('/api/again')).status).toBe(200);
      },
    );

    it('and the 401s are staggered: it is asked once, and nobody hangs', async () => {
      const { send, onSessionExpired } = expired();
      server.scriptRefreshes(400, 400, 400);
      const errors = await all(50, (n) => failureOf(send(`/api/${n}?delay=${n * 2}`)));
      for (const error of errors) {
        expect(error.code).toBe('SESSION_EXPIRED');
        expect(client.statusOf(error)).toBe(401);
      }
      expect([refreshes(), onSessionExpired.mock.calls.length]).toEqual([1, 1]);
      expect(server.paths()).toHaveLength(50);
    });
  });

  describe('§5.7 When the refresh fails for now', () => {
    it('with 503, then is fine: the session is kept and everyone is answered', async () => {
      const { session, send, onRefresh } = expired();
      server.scriptRefreshes(503, 503);
      const answers = await all(20, (n) => send(`/api/${n}`));
      expect(statusesOf(answers)).toEqual({ 200: 20 });
      expect(session).toMatchObject({ alive: true, refreshes: 3 });
      expect(onRefresh.mock.calls).toMatchObject([[{ status: 'fulfilled', attempts: 3 }]]);
    });

    it('with 429 and Retry-After: after that time, not before', async () => {
      const { session, send } = expired();
      server.scriptRefreshes({ status: 429, headers: { 'retry-after': '1' } });
      const startedAt = performance.now();
      expect((await send('/api/me')).status).toBe(200);
      const elapsed = performance.now() - startedAt;
      expect(elapsed).toBeGreaterThan(990);
      expect(elapsed).toBeLessThan(3000);
      expect(session).toMatchObject({ alive: true, refreshes: 2 });
    });

    it('to the end: RefreshFailedError, and the next request tries again', async () => {
      const { session, send, onSessionExpired } = expired({ retry: { retries: 0 } });
      server.scriptRefreshes(503);
      const error = await failureOf(send('/api/me'));
      expect(error).toBeInstanceOf(RefreshFailedError);
      expect(error.code).toBe('REFRESH_FAILED');
      expect(client.statusOf(error)).toBe(401);
      expect(refreshes()).toBe(1);
      expect((await send('/api/me')).status).toBe(200);
      expect(session.alive).toBe(true);
      expect(onSessionExpired).not.toHaveBeenCalled();
    });

    it('by hanging: at `timeout` nobody waits any more', async () => {
      // Long enough for the last refresh, which does not hang, in a browser that has much else to do.
      const { send, onSessionExpired } = expired({ timeout: 1500 });
      server.scriptRefreshes('hang');
      const startedAt = performance.now();
      const initiator = failureOf(send('/api/initiator'));
      // The others wait without being sent: a 401 later than the timeout would begin the next refresh.
      await server.arrival('refresh');
      const errors = await all(10, (n) => (n ? failureOf(send(`/api/${n}`)) : initiator));
      const elapsed = performance.now() - startedAt;
      expect(elapsed).toBeGreaterThan(1490);
      expect(elapsed).toBeLessThan(6000);
      for (const error of errors) expect(error.code).toBe('REFRESH_TIMEOUT');
      expect(refreshes()).toBe(1);
      expect(onSessionExpired).not.toHaveBeenCalled();
      expect((await send('/api/again')).status).toBe(200);
    });
  });

  describe('§5.5 An abort rejects at once, and nothing is sent afterwards', () => {
    it('before', async () => {
      const { send } = expired();
      const signal = AbortSignal.abort('before');
      await expect(send('/api/me', { signal })).rejects.toEqual(client.abort('before'));
      expect(server.log).toEqual([]);
    });

    it('of the one who waits: the others are answered', async () => {
      const { session, send } = expired();
      const release = server.holdRefreshes();
      const initiator = send('/api/initiator');
      await server.arrival('refresh');
      const caller = new AbortController();
      const waiter = send('/api/waiter', { signal: caller.signal });
      const aborted = expect(waiter).rejects.toEqual(client.abort('waiter'));
      await begun();
      caller.abort('waiter');
      await aborted;
      release();
      expect((await initiator).status).toBe(200);
      expect(sends('/api/waiter')).toBe(0);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
    });

    it('of the one whose 401 began the refresh: it goes on for the others', async () => {
      const { session, send } = expired();
      const release = server.holdRefreshes();
      const caller = new AbortController();
      const initiator = send('/api/initiator', { signal: caller.signal });
      await server.arrival('refresh');
      const waiter = send('/api/waiter');
      caller.abort('initiator');
      await expect(initiator).rejects.toEqual(client.abort('initiator'));
      release();
      expect((await waiter).status).toBe(200);
      expect([sends('/api/initiator'), sends('/api/waiter')]).toEqual([1, 1]);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
    });

    it('of everyone: the refresh lands all the same', async () => {
      const { session, send } = expired();
      const release = server.holdRefreshes();
      const caller = new AbortController();
      const initiator = send('/api/initiator', { signal: caller.signal });
      await server.arrival('refresh');
      caller.abort('all');
      await expect(initiator).rejects.toEqual(client.abort('all'));
      release();
      expect((await send('/api/next')).status).toBe(200);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
      expect(sends('/api/next')).toBe(1);
    });

    it('during either send', async () => {
      const { session, send } = expired();
      const [first, second] = [new AbortController(), new AbortController()];
      const answer = server.holdPath('/api/slow');
      const sending = send('/api/slow', { signal: first.signal });
      await server.arrival('request');
      first.abort('sending');
      await expect(sending).rejects.toEqual(client.abort('sending'));
      expect(session.refreshes).toBe(0);
      answer();
      const release = server.holdRefreshes();
      const replaying = send('/api/slow', { signal: second.signal });
      await server.arrival('refresh');
      server.holdPath('/api/slow');
      release();
      await server.arrival('request', 3);
      second.abort('replaying');
      await expect(replaying).rejects.toEqual(client.abort('replaying'));
    });
  });

  describe('§5.6 A refresh that is sent through the wrapped client', () => {
    const through = (pass: boolean, options?: Options, timeout?: number) => {
      const { session, token } = server.signIn();
      const api: { send?: Send } = {};
      const tokens = createTokenSource<TokenResponse>({
        token,
        timeout,
        retry: { retries: 0 },
        refresh: async (context) => {
          const { refresh_token } = context.token;
          const { status, body } = await api.send!('/token', {
            method: 'POST',
            text: String(new URLSearchParams({ refresh_token })),
            ...(pass && { signal: context.signal }),
          });
          if (status !== 200) throw Object.assign(new Error('refresh failed'), { status });
          return JSON.parse(body) as TokenResponse;
        },
      });
      api.send = client.wrap(server.origin, tokens, options);
      server.expireAccessTokens();
      return { session, send: api.send };
    };

    it.runIf(client.passesSignal)('passes straight by its signal, without a token', async () => {
      const { session, send } = through(true);
      expect((await send('/api/me')).status).toBe(200);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
      expect(server.log.find(({ kind }) => kind === 'refresh')!.headers.authorization).toBe(
        undefined,
      );
    });

    it('passes straight when `skip` names the endpoint', async () => {
      const skip = vi.fn(({ url }: { url: string }) => url.endsWith('/token'));
      const { session, send } = through(false, { skip });
      expect((await send('/api/me?x=1')).status).toBe(200);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
      expect(skip.mock.calls).toEqual([
        [{ url: `${server.origin}/api/me?x=1`, method: 'GET' }],
        [{ url: `${server.origin}/token`, method: 'POST' }],
      ]);
    });

    it('and is answered 401 there: no loop, and the session is over for everyone', async () => {
      const skip = ({ url }: { url: string }) => url.endsWith('/token');
      const { send } = through(false, { skip });
      server.scriptRefreshes(401);
      const errors = await all(10, (n) => failureOf(send(`/api/${n}`)));
      for (const error of errors) {
        expect([error.code, client.statusOf(error)]).toEqual(['SESSION_EXPIRED', 401]);
      }
      expect(refreshes()).toBe(1);
      expect(server.paths()).toHaveLength(10);
    });

    it('and does neither: fails with a message that says why', async () => {
      const { send } = through(false, {}, 150);
      const error = await failureOf(send('/api/me'));
      expect(error).toBeInstanceOf(RefreshFailedError);
      const texts = [String(error), String(error.cause)].join();
      expect(texts).toContain('awaits itself');
      expect(refreshes()).toBe(0);
    });
  });

  describe('§5.3 The body', () => {
    it('is replayed whole: JSON', async () => {
      const { session, send } = expired();
      const answer = await send('/api/me', { method: 'POST', json: { name: 'Ada ✓' } });
      const { type, body } = JSON.parse(answer.body) as { type: string; body: string };
      expect(type).toMatch(/^application\/json/);
      expect(JSON.parse(Buffer.from(body, 'latin1').toString())).toEqual({ name: 'Ada ✓' });
      expect(sends('/api/me')).toBe(2);
      expect(session.refreshes).toBe(1);
    });

    it.runIf(client.sendsForms)('is replayed whole: a form with a file', async () => {
      const { session, send } = expired();
      const form = new FormData();
      const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      form.set('name', 'Ada');
      form.set('photo', new File([bytes], 'ada.png', { type: 'image/png' }));
      const answer = await send('/api/me', { method: 'POST', form });
      const { type, body } = JSON.parse(answer.body) as { type: string; body: string };
      const received = await new Response(Buffer.from(body, 'latin1'), {
        headers: { 'content-type': type },
      }).formData();
      const photo = received.get('photo') as File;
      expect([received.get('name'), photo.name]).toEqual(['Ada', 'ada.png']);
      expect(new Uint8Array(await photo.arrayBuffer())).toEqual(bytes);
      expect([sends('/api/me'), session.refreshes]).toEqual([2, 1]);
    });

    it('is a stream: replayed whole or not at all, and never sent empty', async () => {
      const { session, send } = expired();
      const answer = await send('/api/me', { method: 'POST', stream: streamOf('one', 'two') });
      if (client.replaysStreams) {
        expect(JSON.parse(answer.body)).toMatchObject({ body: 'onetwo' });
        expect(sends('/api/me')).toBe(2);
      } else {
        expect(answer).toEqual({ status: 401, body: '{"error":"invalid_token"}' });
        expect(sends('/api/me')).toBe(1);
      }
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
      const again = await send('/api/me', { method: 'POST', stream: streamOf('one', 'two') });
      expect(JSON.parse(again.body)).toMatchObject({ body: 'onetwo' });
    });

    it.each([
      ['HEAD', '/api/me'],
      ['GET', '/api/empty'],
    ])('of the answer may be none: %s %s', async (method, path) => {
      const { send } = expired();
      const { status, body } = await send(path, { method });
      expect([Math.floor(status / 100), body]).toEqual([2, '']);
      expect(sends(path)).toBe(2);
    });
  });

  describe('§5.2 Another origin', () => {
    let foreign: AuthorizationServer;

    beforeEach(async () => {
      foreign = await startServer();
    });

    it('gets no token, waits for nothing, and its 401 causes no refresh', async () => {
      const { session, tokens, send } = expired();
      const release = server.holdRefreshes();
      const refused = send('/api/me');
      await server.arrival('refresh');
      const answer = await send(`${foreign.origin}/api/me`);
      expect(answer).toEqual({ status: 401, body: '{"error":"invalid_token"}' });
      release();
      await refused;
      await tokens.clear();
      expect((await send(`${foreign.origin}/api/me`)).status).toBe(401);
      expect(foreign.log.map(({ headers }) => headers.authorization)).toEqual([
        undefined,
        undefined,
      ]);
      expect(session.refreshes).toBe(1);
    });

    it('may be allowed', async () => {
      const allowedOrigins = [server.origin, foreign.origin];
      const { send } = expired({}, { allowedOrigins });
      await send('/api/me');
      await send(`${foreign.origin}/redirect?to=/x&status=200`);
      expect(foreign.log[0]!.headers.authorization).toMatch(/^Bearer at-/);
    });

    it.each([302, 307])(
      'is the end of a redirect (%i): gets no token, and nothing was refused',
      async (status) => {
        const { session, tokens, send } = expired();
        await tokens.renew(await tokens.get());
        const to = encodeURIComponent(`${foreign.origin}/api/me`);
        const answer = await send(`/redirect?to=${to}&status=${status}`);
        expect(answer).toEqual({ status: 401, body: '{"error":"invalid_token"}' });
        for (const { headers } of foreign.log) expect(headers.authorization).toBe(undefined);
        // Where the client does not say where the answer came from, its 401 counts.
        expect(session.refreshes).toBe(client.tellsRedirects ? 1 : 2);
        expect(foreign.log).toHaveLength(client.tellsRedirects ? 1 : 2);
      },
    );

    it('and a redirect within the origin keeps the token', async () => {
      const { session, send } = expired();
      const answer = await send('/redirect?to=/api/me');
      expect(JSON.parse(answer.body)).toMatchObject({ path: '/api/me' });
      expect(session.refreshes).toBe(1);
    });
  });

  describe('§4.8 Sign-in and sign-out', () => {
    it.each([
      ['set', 'SESSION_REPLACED'],
      ['clear', 'SIGNED_OUT'],
    ] as const)(
      'while requests wait: `%s` lets none of them be sent again',
      async (method, code) => {
        const { tokens, send, onSessionExpired } = expired();
        server.holdRefreshes();
        const refused = failureOf(send('/api/transfer', { method: 'POST', json: 'money' }));
        await server.arrival('refresh');
        const held = failureOf(send('/api/held'));
        await begun();
        await tokens[method](server.signIn().token);
        expect(await refused).toMatchObject({ name: 'SessionExpiredError', code });
        expect(client.statusOf(await refused)).toBe(401);
        expect(await held).toMatchObject({ code, response: undefined });
        expect(server.paths()).toEqual(['/api/transfer']);
        expect(onSessionExpired).not.toHaveBeenCalled();
        if (method === 'set') expect((await send('/api/new')).status).toBe(200);
      },
    );

    it("never sends a late 401's request with another user's token", async () => {
      const { tokens, send } = expired();
      const answer = server.holdPath('/api/late');
      const late = failureOf(send('/api/late'));
      await server.arrival('request');
      await tokens.set(server.signIn().token);
      answer();
      expect(await late).toMatchObject({ code: 'SESSION_REPLACED' });
      expect(client.statusOf(await late)).toBe(401);
      expect(server.paths()).toEqual(['/api/late']);
    });
  });

  describe('§5 The options', () => {
    it('`isRefused` decides, and may be async', async () => {
      const never = expired({}, { isRefused: async () => false });
      expect((await never.send('/api/me')).status).toBe(401);
      expect(never.session.refreshes).toBe(0);
    });

    it('`authorize` sets any header, and is waited for', async () => {
      const { send } = expired(
        {},
        {
          authorize: async (headers, { access_token }) => {
            await Promise.resolve();
            headers.set('x-token', access_token);
          },
        },
      );
      await send('/api/me');
      for (const { headers } of server.log.filter(({ kind }) => kind === 'request')) {
        expect(headers['x-token']).toMatch(/^at-/);
        expect(headers.authorization).toBe(undefined);
      }
      expect(sends('/api/me')).toBe(2);
    });

    it('a token that no header can take is a TypeError, and nothing is sent', async () => {
      const token = { ...server.signIn().token, access_token: 'secret\r\nX-Injected: 1' };
      const { send } = expired({ token });
      const error = await failureOf(send('/api/me', { method: 'POST' }));
      expect(error).toBeInstanceOf(TypeError);
      expect(String(error)).not.toContain('secret');
      expect(server.log).toEqual([]);
    });
  });

  it('shows no token in an error, however it is printed', async () => {
    const { tokens, send } = expired();
    const { access_token, refresh_token } = (await tokens.get()).token;
    server.scriptRefreshes(400);
    const error = await failureOf(send('/api/me'));
    const { inspect } = await import('node:util');
    const printed = [String(error), error.stack, JSON.stringify(error)].join();
    for (const secret of [access_token, refresh_token]) expect(printed).not.toContain(secret);
    expect(inspect(error, { depth: 1 })).not.toContain(access_token);
  });

  async function startServer(): Promise<AuthorizationServer> {
    const started = await startAuthorizationServer();
    onTestFinished(() => started.close());
    return started;
  }
}

/** Some clients begin to send a moment after they are called. */
const begun = settled;

function all<Value>(count: number, each: (n: number) => Promise<Value>): Promise<Value[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => each(n)));
}

function statusesOf(answers: Answer[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

function failureOf(promise: Promise<unknown>): Promise<TokenRefreshError> {
  return promise.then(
    () => expect.unreachable('it is answered'),
    (error: TokenRefreshError) => error,
  );
}

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) controller.close();
      else controller.enqueue(Buffer.from(chunk));
    },
  });
}
