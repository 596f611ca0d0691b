import ky2, { isHTTPError, type KyInstance } from 'ky';
import ky1 from 'ky1';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh, type KyAdapterOptions } from '../../src/adapters/ky.ts';
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

beforeEach(async () => {
  server = await startAuthorizationServer();
  const signedIn = server.signIn();
  session = signedIn.session;
  tokens = createTokenSource<TokenResponse>({
    token: signedIn.token,
    refresh: refreshAt(server.origin),
    retry: { retries: 0 },
  });
  server.expireAccessTokens();
});

afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

describe.each([
  ['ky 1', ky1 as unknown as KyInstance, 'prefixUrl'],
  ['ky 2', ky2, 'prefix'],
])('%s', (name, ky, prefix) => {
  const wrap = (options: object = {}, adapter?: KyAdapterOptions<TokenResponse>) =>
    withTokenRefresh(ky.create({ [prefix]: server.origin, ...options }), tokens, adapter);

  describe("§5.8 ky's own", () => {
    it('hooks run once per call, and see only the final answer', async () => {
      const [before, after] = [vi.fn(), vi.fn()];
      const api = wrap({
        hooks: { beforeRequest: [() => before()], afterResponse: [() => after()] },
      });
      const answer = await api.get('api/me').json<{ path: string }>();
      expect(answer.path).toBe('/api/me');
      expect([before.mock.calls.length, after.mock.calls.length]).toEqual([1, 1]);
      expect(server.paths()).toEqual(['/api/me', '/api/me']);
    });

    it('body shortcuts, search parameters and POST work', async () => {
      const api = wrap();
      const searchParams = { a: 1 };
      const answer = await api.post('api/me', { json: { b: 2 }, searchParams }).json();
      expect(answer).toMatchObject({ method: 'POST', body: '{"b":2}' });
      expect(server.log.filter(({ path }) => path === '/api/me?a=1')).toHaveLength(2);
    });

    it('HTTPError is thrown for a second refusal, and not with `throwHttpErrors: false`', async () => {
      tokens = createTokenSource<TokenResponse>({
        refresh: () => ({ access_token: 'bad' }) as TokenResponse,
      });
      const error = await wrap()
        .get('api/me')
        .catch((reason: unknown) => reason);
      expect((error as Error).name).toBe('HTTPError');
      expect(isHTTPError(error)).toBe(true);
      expect(error).toMatchObject({ response: { status: 401 } });
      const response = await wrap().get('api/me', { throwHttpErrors: false });
      expect(response.status).toBe(401);
      expect(await response.json()).toEqual({ error: 'invalid_token' });
    });

    it('retries go on for what is not about tokens', async () => {
      let sends = 0;
      const flaky: typeof fetch = async (input, init) => {
        if (++sends === 2) return new Response('', { status: 503 });
        return fetch(input, init);
      };
      const api = wrap({ fetch: flaky, retry: { limit: 2, delay: () => 1 } });
      // Refused, replayed into a 503, and retried by ky.
      expect((await api.get('api/me')).status).toBe(200);
      expect(sends).toBe(3);
      expect(session.refreshes).toBe(1);
    });

    it('timeout counts the wait for a refresh, which goes on', async () => {
      const release = server.holdRefreshes();
      const error = await wrap({ timeout: 100 })
        .get('api/me')
        .catch((reason: unknown) => reason);
      expect((error as Error).name).toBe('TimeoutError');
      release();
      expect((await wrap().get('api/me')).status).toBe(200);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
    });

    it('`extend` keeps the wrapping, and `create` drops it', async () => {
      const api = wrap();
      const child = api.extend({ headers: { 'x-child': '1' } });
      expect((await child.get('api/me')).status).toBe(200);
      expect(server.log.at(-1)!.headers['x-child']).toBe('1');
      const bare = api.create({ [prefix]: server.origin, throwHttpErrors: false });
      expect((await bare.get('api/me')).status).toBe(401);
    });

    it('a `fetch` that the instance had is the one that sends', async () => {
      const own = vi.fn<typeof fetch>((input, init) => fetch(input, init));
      expect((await wrap({ fetch: own }).get('api/me')).status).toBe(200);
      expect(own).toHaveBeenCalledTimes(2);
    });

    it('and otherwise it is the global one of the time of the request', async () => {
      const api = wrap();
      vi.stubGlobal('fetch', async () => new Response('stubbed'));
      expect(await api.get('api/me').text()).toBe('stubbed');
    });
  });

  describe('§5.7 An error about tokens is not retried by ky', () => {
    const failWith503 = () => server.scriptRefreshes(503, 503, 503, 503);

    it.each<[string, object, object]>([
      ['by default', {}, {}],
      ['with a limit', { retry: 3 }, {}],
      ['with retry options', { retry: { limit: 3, delay: () => 1 } }, {}],
      ['with a limit of the request', {}, { retry: 1 }],
      ['with retry options of the request', {}, { retry: { limit: 3, delay: () => 1 } }],
      [
        'with a `shouldRetry` that retries everything',
        { retry: { delay: () => 1, shouldRetry: () => true } },
        {},
      ],
      [
        'with such a one of the request',
        {},
        { retry: { delay: () => 1, shouldRetry: () => true } },
      ],
    ])('%s', async (_, options, request) => {
      failWith503();
      const error = await wrap(options)
        .get('api/me', request)
        .catch((reason: unknown) => reason);
      expect(error).toMatchObject({ name: 'RefreshFailedError', response: { status: 401 } });
      expect(session.refreshes).toBe(1);
      expect(server.paths()).toEqual(['/api/me']);
    });

    it.each<[string, object]>([
      ['', {}],
      [', whatever the instance retries', { shouldRetry: () => true }],
    ])('at once, where the request does not retry everything%s', async (_, options) => {
      failWith503();
      const startedAt = performance.now();
      const retry = { limit: 2, delay: () => 5_000 };
      const api = wrap({ retry: { ...retry, ...options } });
      await expect(api.get('api/me')).rejects.toThrow('refresh failed with status 503');
      failWith503();
      await expect(api.get('api/me', { retry })).rejects.toThrow('refresh failed with status 503');
      expect(performance.now() - startedAt).toBeLessThan(4_000);
    });

    it.each([{ limit: 2, delay: () => 1 }, 2])(
      'and all else still is, when a `fetch` calls the one that is wrapped: %s',
      async (retry) => {
        failWith503();
        const api = wrap({ retry });
        const outer = api.extend((own) => ({ fetch: (input, init) => own.fetch!(input, init) }));
        await expect(outer.get('api/me')).rejects.toThrow('refresh failed with status 503');
        expect(session.refreshes).toBe(1);
        const failing = vi.fn<typeof fetch>(async () => new Response('', { status: 503 }));
        vi.stubGlobal('fetch', failing);
        await tokens.set({ access_token: 'new' } as TokenResponse);
        await expect(outer.get('api/me')).rejects.toThrow('503');
        expect(failing).toHaveBeenCalledTimes(3);
      },
    );

    it('but what is no error at all is, as in ky', async () => {
      const own = vi.fn(() => Promise.reject(undefined));
      const retry = { limit: 1, delay: () => 1 };
      const wrapped = await wrap()
        .get('api/me', { fetch: own, retry })
        .then(
          () => 'answered',
          (reason: unknown) => reason,
        );
      const bare = await ky
        .create({ [prefix]: server.origin })
        .get('api/me', { fetch: own, retry })
        .then(
          () => 'answered',
          (reason: unknown) => reason,
        );
      expect(wrapped).toEqual(bare);
    });

    it('while the retry options that the instance had stay', async () => {
      const shouldRetry = vi.fn(({ retryCount }: { retryCount: number }) => retryCount < 3);
      const api = wrap({ retry: { limit: 5, delay: () => 1, shouldRetry } });
      const own: typeof fetch = async () => new Response('', { status: 503 });
      await expect(api.get('api/me', { fetch: own })).rejects.toThrow('503');
      expect(shouldRetry).toHaveBeenCalledTimes(3);
      const limited = wrap({ retry: 0 });
      const once = vi.fn(own);
      await expect(limited.get('api/me', { fetch: once })).rejects.toThrow('503');
      expect(once).toHaveBeenCalledTimes(1);
    });
  });

  describe('§5.3 What is sent', () => {
    /** What a `fetch` was given: its Request, with the body read, and what came beside it. */
    interface Sent {
      request: Request;
      body: string;
      beside: RequestInit;
    }

    /** Watches the global one. */
    const watch = (): Sent[] => {
      const sent: Sent[] = [];
      const { fetch } = globalThis;
      vi.stubGlobal('fetch', async (input: string | Request, beside: RequestInit = {}) => {
        // The refresh is sent by a URL.
        if (typeof input !== 'string') {
          const body = new TextDecoder().decode(beside.body as ArrayBuffer | undefined);
          sent.push({ request: input, body, beside });
        }
        return fetch(input, beside);
      });
      return sent;
    };
    const json = { a: 1 };

    it('is JSON beside one Request, which is not cloned, and whose headers are left alone', async () => {
      const sent = watch();
      const clone = vi.spyOn(Request.prototype, 'clone');
      const api = wrap({ retry: 0, timeout: false });
      const answer = await api.post('api/me', { json, headers: { 'x-own': '1' } }).json();
      // ky 1 makes one for itself.
      expect(clone).toHaveBeenCalledTimes(name === 'ky 1' ? 1 : 0);
      clone.mockRestore();
      expect(answer).toMatchObject({ method: 'POST', body: JSON.stringify(json) });
      expect(sent.map(({ body }) => body)).toEqual([JSON.stringify(json), JSON.stringify(json)]);
      expect(sent[0]!.request).toBe(sent[1]!.request);
      expect(sent[0]!.request.headers.has('authorization')).toBe(false);
      const requests = server.log.filter(({ kind }) => kind === 'request');
      for (const { headers } of requests) {
        expect(headers).toMatchObject({ 'x-own': '1', 'content-type': 'application/json' });
        // Not in chunks, as a stream.
        expect(headers['content-length']).toBe(String(JSON.stringify(json).length));
      }
      expect(requests).toHaveLength(2);
    });

    it.each<[string, object, string?, object?]>([
      ['without a body', { method: 'get' }],
      ['with text', { body: 'text' }, 'text'],
      ['with a form', { body: new URLSearchParams({ a: '1' }) }, 'a=1'],
      [
        'with JSON of a type of its own',
        { json, headers: { 'content-type': 'text/json' } },
        '{"a":1}',
      ],
      ['with a referrer', { json }, '{"a":1}', { referrer: '' }],
      ['with a referrer policy', { json }, '{"a":1}', { referrerPolicy: 'no-referrer' }],
    ])('is a Request that has all, %s', async (_, options, body = '', referring = {}) => {
      const sent = watch();
      const answer = await wrap()('api/me', { method: 'post', ...options, ...referring });
      expect(await answer.json()).toMatchObject({ body });
      expect(sent).toHaveLength(2);
      for (const { request, beside } of sent) {
        expect(new Headers(beside.headers ?? request.headers).get('authorization')).toMatch(
          /^Bearer /,
        );
        // JSON alone goes beside it, and headers where there is no other body.
        const isCloned = body !== '' && !Object.keys(referring).length;
        expect('headers' in beside).toBe(!isCloned);
        expect('body' in beside).toBe(!isCloned && body !== '');
        // As it is sent.
        const { referrer, referrerPolicy } = new Request(request.url, { ...beside, body: null });
        expect({ referrer, referrerPolicy }).toMatchObject(referring);
      }
    });

    it('is one Request without a body, which is not cloned', async () => {
      const sent = watch();
      const clone = vi.spyOn(Request.prototype, 'clone');
      expect((await wrap({ retry: 0, timeout: false }).get('api/me')).status).toBe(200);
      // ky 1 makes one for itself.
      expect(clone).toHaveBeenCalledTimes(name === 'ky 1' ? 1 : 0);
      clone.mockRestore();
      expect(sent).toHaveLength(2);
      expect(sent[0]!.request).toBe(sent[1]!.request);
      expect(sent[0]!.request.headers.has('authorization')).toBe(false);
      // It would be parsed.
      expect(sent[0]!.beside.referrer).toBe(undefined);
    });

    it('is a Request that has all, where the instance has a `fetch` that looks at nothing else', async () => {
      const own = vi.fn<typeof fetch>((request) => fetch(request));
      const answer = await wrap({ fetch: own }).post('api/me', { json }).json();
      expect(answer).toMatchObject({ body: JSON.stringify(json) });
      expect(own).toHaveBeenCalledTimes(2);
    });

    it('goes with what ky does not know', async () => {
      const sent = watch();
      await wrap().post('api/me', { json, next: { revalidate: 1 } } as object);
      for (const { beside } of sent) expect(beside).toMatchObject({ next: { revalidate: 1 } });
      expect(sent).toHaveLength(2);
    });

    it('is nothing when its JSON is a stream that hangs, and is aborted', async () => {
      const headers = { 'content-type': 'application/json' };
      const reason = new Error('changed my mind');
      const post = (abort: (controller: AbortController) => void) => {
        const controller = new AbortController();
        abort(controller);
        const { signal } = controller;
        const body = new ReadableStream();
        return wrap({ timeout: false, retry: 0 })
          .post('api/me', { body, headers, signal })
          .catch((error: unknown) => error);
      };
      expect(await post((controller) => controller.abort(reason))).toBe(reason);
      expect(await post((controller) => void setImmediate(() => controller.abort(reason)))).toBe(
        reason,
      );
      expect(server.log).toEqual([]);
    });

    it('rejects as in ky when a hook has read its JSON', async () => {
      const hooks = {
        beforeRequest: [
          // ky 1 gives the Request, ky 2 an object that has it.
          async (given: any) => void (await (given.request ?? given).text()),
        ],
      };
      const post = (api: KyInstance) =>
        api.post('api/me', { json }).catch((error: unknown) => error);
      const bare = ky.create({ [prefix]: server.origin, hooks });
      expect(await post(bare)).toBeInstanceOf(TypeError);
      expect(await post(wrap({ hooks }))).toBeInstanceOf(TypeError);
      expect(server.log).toEqual([]);
    });
  });

  it('replays a stream, which ky has made a Request of', async () => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('one'));
        controller.close();
      },
    });
    expect(await wrap().post('api/me', { body }).json()).toMatchObject({ body: 'one' });
    expect(server.paths()).toHaveLength(2);
  });

  it('replays with progress reported', async () => {
    const onDownloadProgress = vi.fn();
    await wrap().get('api/me', { onDownloadProgress }).text();
    expect(onDownloadProgress.mock.lastCall![0]).toMatchObject({ percent: 1 });
  });

  it('must be told the origins where it has none', () => {
    expect(() => withTokenRefresh(ky, tokens)).toThrow(/^"allowedOrigins" must be an array/);
    const allowedOrigins = [server.origin];
    expect(() => withTokenRefresh(ky, tokens, { allowedOrigins })).not.toThrow();
  });

  it.runIf(name === 'ky 2')('knows its `baseUrl`', async () => {
    const api = withTokenRefresh(ky2.create({ baseUrl: `${server.origin}/api/` }), tokens);
    expect((await api.get('me')).status).toBe(200);
    expect((await api.get(new URL(`${server.origin}/api/me`))).status).toBe(200);
    expect(session.refreshes).toBe(1);
  });
});

it.each([[undefined], [{}], [fetch]])('%s is a TypeError', (ky) => {
  expect(() => withTokenRefresh(ky as never, tokens)).toThrow(TypeError);
  expect(() => withTokenRefresh(ky as never, tokens)).toThrow(/^"ky" must be a ky instance, got/);
});
