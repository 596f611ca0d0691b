import { getEventListeners } from 'node:events';
import { Agent } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import axios, { AxiosError, AxiosHeaders, type AxiosAdapter, type AxiosResponse } from 'axios';
import axios17 from 'axios17';
import FormDataPackage from 'form-data';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh, type AxiosAdapterOptions } from '../../src/adapters/axios.ts';
import { DRAIN_LIMIT } from '../../src/body.ts';
import { createTokenSource, type TokenRefreshError, type TokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
  type TokenResponse,
} from '../authorization-server.ts';
import { gate, settled } from '../gate.ts';
import { listen } from '../loopback.ts';

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

afterEach(() => server.close());

/** A wrapped instance whose access token has just expired. */
const wrap = (config: object = {}, options?: AxiosAdapterOptions<TokenResponse>) =>
  withTokenRefresh(axios.create({ baseURL: server.origin, ...config }), tokens, options);

const failureOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => expect.unreachable('it is answered'),
    (error: unknown) => error,
  );

describe("§5.8 The user's interceptors and transforms", () => {
  it('run once per call, and see only the final answer', async () => {
    const api = wrap();
    const seen: string[] = [];
    api.interceptors.request.use((config) => {
      seen.push(`request ${config.url} ${String(config.headers.get('authorization'))}`);
      return config;
    });
    api.interceptors.response.use(
      (response: AxiosResponse<{ path: string }>) => {
        seen.push(`response ${response.status} ${response.data.path}`);
        return response;
      },
      () => expect.unreachable('nobody sees the 401'),
    );
    const { data } = await api.post<{ body: string }>('/api/me', 5, {
      transformRequest: [(given: number) => (seen.push('transformRequest'), `${given + 1}`)],
      transformResponse: [(given: string) => (seen.push('transformResponse'), JSON.parse(given))],
    });
    expect(data.body).toBe('6');
    expect(seen).toEqual([
      'request /api/me undefined',
      'transformRequest',
      'transformResponse',
      'response 200 /api/me',
    ]);
    expect(server.paths()).toEqual(['/api/me', '/api/me']);
  });

  it('see the config as the caller gave it: without a token, and fit to be sent again', async () => {
    const api = wrap();
    const config = { url: '/api/me', headers: { 'x-own': '1' }, metadata: { tries: 1 } };
    const response = await api.request(config);
    expect(response.config).toMatchObject({ url: '/api/me', metadata: { tries: 1 } });
    expect(response.config.headers.get('authorization')).toBe(undefined);
    expect(response.config.headers.get('x-own')).toBe('1');
    server.expireAccessTokens();
    expect((await api.request(response.config)).status).toBe(200);
    expect(server.paths()).toHaveLength(4);
    expect(session.refreshes).toBe(2);
  });

  it('meet a second refusal as any AxiosError, whose config can be sent again', async () => {
    const refresh = vi.fn(async () => ({ ...server.signIn().token, access_token: 'bad' }));
    tokens = createTokenSource<TokenResponse>({ refresh });
    const api = wrap();
    const error = await failureOf(api.get('/api/me', { headers: { 'x-own': '1' } }));
    expect(error).toBeInstanceOf(AxiosError);
    expect(error).toMatchObject({
      code: 'ERR_BAD_REQUEST',
      response: { status: 401, data: { error: 'invalid_token' } },
    });
    expect(error.config).toBe(error.response.config);
    expect(error.config.headers.get('authorization')).toBe(undefined);
    expect(JSON.stringify(error)).not.toContain('bad"');
    expect(server.paths()).toHaveLength(2);
    const retried = await failureOf(api.request(error.config));
    expect(retried.response.status).toBe(401);
    expect(server.paths()).toHaveLength(4);
  });

  it('find the transformed 401 in the error when there is no token', async () => {
    const api = wrap();
    const handled = vi.fn(async (error: TokenRefreshError) => {
      throw error;
    });
    api.interceptors.response.use(undefined, handled);
    server.scriptRefreshes(400);
    const error = await failureOf(api.get('/api/me'));
    expect(error).toMatchObject({ name: 'SessionExpiredError', code: 'SESSION_EXPIRED' });
    expect(error.response.status).toBe(401);
    expect(error.response.data).toEqual({ error: 'invalid_token' });
    expect(error.response.headers.get('content-type')).toBe('application/json');
    expect(handled).toHaveBeenCalledTimes(1);
  });

  it('see it as it was given when the request goes out untouched, too', async () => {
    const foreign = await startAuthorizationServer();
    const transformRequest = [(data: unknown) => data];
    const error = await failureOf(wrap().get(`${foreign.origin}/api/me`, { transformRequest }));
    expect(error.response.status).toBe(401);
    expect(error.config).toBe(error.response.config);
    expect(error.config.transformRequest).toEqual(transformRequest);
    expect(error.response.data).toEqual({ error: 'invalid_token' });
    await foreign.close();
  });

  it.each<[string, object]>([
    ['the default', {}],
    ['by name', { adapter: 'http' }],
    ["axios' own as a function", { adapter: axios.getAdapter('http') }],
    ['that of a platform', { adapter: axios.getAdapter(axios.defaults.adapter) }],
    ['fetch', { adapter: axios.getAdapter('fetch') }],
  ])('see no token and no body but their own, whatever the transport: %s', async (_, config) => {
    const api = wrap(config);
    const form = new FormDataPackage();
    form.append('name', 'Ada');
    const given: any[] = [];
    api.interceptors.request.use((sent) => (given.push(sent, sent.headers), sent));
    const { config: shown, data } = await api.post('/api/me', form);
    expect(data.body).toContain('Ada');
    expect(shown).toBe(given[0]);
    expect(shown.headers).toBe(given[1]);
    expect(shown.headers.has('authorization')).toBe(false);
    expect(shown.data).toBe(form);
    const failures = [await failureOf(api.get('/api/me', { validateStatus: () => false }))];
    await server.close();
    failures.push(await failureOf(api.get('/api/me')));
    expect(failures.map(({ response }) => response?.status)).toEqual([200, undefined]);
    for (const { config: failed } of failures) {
      expect(given).toContain(failed);
      expect(failed.headers.has('authorization')).toBe(false);
    }
  });

  it('stay synchronous where they were', async () => {
    const api = wrap();
    let ran = false;
    api.interceptors.request.use((config) => ((ran = true), config), undefined, {
      synchronous: true,
    });
    const request = api.get('/api/me');
    expect(ran).toBe(true);
    await request;
  });
});

describe('§5.8 The transport', () => {
  it.each(['http', 'fetch'] as const)('%s: the default may be it', async (adapter) => {
    expect((await wrap({ adapter }).get('/api/me')).data).toMatchObject({ path: '/api/me' });
    expect(session.refreshes).toBe(1);
  });

  it.each([
    ['a name', 'fetch' as const],
    ['names', ['xhr' as const, 'fetch' as const]],
  ])('may be given with a request: %s', async (_, adapter) => {
    const { request, data } = await wrap().get('/api/me', { adapter });
    expect(request).toBeInstanceOf(Request);
    expect(data).toMatchObject({ path: '/api/me' });
    expect(session.refreshes).toBe(1);
  });

  const answering = (statuses: number[]) =>
    vi.fn<AxiosAdapter>(async (config) => ({
      status: statuses.shift()!,
      statusText: '',
      data: '{"own":true}',
      headers: {},
      config,
    }));

  it('may be a function, given with a request', async () => {
    const adapter = answering([401, 200]);
    const { data, status } = await wrap().get('/api/me', { adapter });
    expect([status, data]).toEqual([200, { own: true }]);
    const sent = adapter.mock.calls.map(([{ headers }]) => String(headers.get('authorization')));
    expect(sent).toEqual([expect.stringMatching(/^Bearer /), expect.stringMatching(/^Bearer /)]);
    expect(sent[0]).not.toBe(sent[1]);
    expect(server.paths()).toEqual([]);
  });

  it('may be a test double, which gives a path for a URL and looks for `Authorization`', async () => {
    const answer = answering([401, 200]);
    const adapter: AxiosAdapter = async (config) => {
      const response = await answer(config);
      return { ...response, request: { responseURL: '/api/me' } };
    };
    expect((await wrap().get('/api/me', { adapter })).status).toBe(200);
    const sent = answer.mock.calls.map(
      ([{ headers }]) => (headers as unknown as Record<string, unknown>)['Authorization'],
    );
    expect(sent).toEqual([expect.stringMatching(/^Bearer /), expect.stringMatching(/^Bearer /)]);
  });

  it('gets whatever an interceptor put into the config, by a symbol too', async () => {
    const mine = Symbol('mine');
    const answer = answering([401, 200]);
    const api = wrap({ adapter: answer });
    api.interceptors.request.use((config) => Object.assign(config, { [mine]: 1, other: 2 }));
    await api.get('/api/me');
    const sent = answer.mock.calls.map(([config]): any => config);
    expect(sent.map((config) => [config[mine], config.other])).toEqual([
      [1, 2],
      [1, 2],
    ]);
    // A test double may keep them, to tell what was sent.
    const [first, second] = sent.map(({ headers }) => headers.get('authorization'));
    expect(first).toMatch(/^Bearer /);
    expect(second).toMatch(/^Bearer /);
    expect(second).not.toBe(first);
  });

  it('may be a function that throws, which is its own error', async () => {
    const adapter = () => {
      throw new Error('mine');
    };
    await expect(wrap().get('/api/me', { adapter })).rejects.toThrow('mine');
    await expect(wrap().get('/api/me', { adapter: () => Promise.reject(null) })).rejects.toBe(null);
  });

  it('may be replaced as the default later, as test doubles do', async () => {
    const api = wrap();
    const adapter = answering([401, 200]);
    api.defaults.adapter = adapter;
    expect((await api.get('/api/me')).data).toEqual({ own: true });
    expect(adapter).toHaveBeenCalledTimes(2);
  });

  it('stays wrapped when the interceptors are cleared', async () => {
    const api = wrap();
    api.interceptors.request.clear();
    expect((await api.get('/api/me')).status).toBe(200);
    expect(session.refreshes).toBe(1);
  });

  it('fails as in axios when it is unknown, and when there is no network', async () => {
    const unknown = await failureOf(wrap().get('/api/me', { adapter: 'smoke' as never }));
    expect(String(unknown)).toContain("Unknown adapter 'smoke'");
    await server.close();
    await tokens.set({ access_token: 'x' } as TokenResponse);
    const error = await failureOf(wrap().get('/api/me'));
    const bare = await failureOf(axios.get(`${server.origin}/api/me`));
    expect(axios.isAxiosError(error)).toBe(true);
    expect([error.name, error.code]).toEqual([bare.name, bare.code]);
    expect(error.config.headers.get('authorization')).toBe(undefined);
  });
});

describe('§5.8 What a request may ask for', () => {
  it('a `validateStatus` that accepts 401', async () => {
    const api = wrap({ validateStatus: () => true });
    expect((await api.get('/api/me')).status).toBe(200);
    const refused = wrap({ validateStatus: null }, { isRefused: () => false });
    server.expireAccessTokens();
    expect((await refused.get('/api/me')).status).toBe(401);
  });

  it.each([
    ['AxiosHeaders', () => new AxiosHeaders({ 'X-Own': 'kept' })],
    ['plain ones', () => ({ 'X-Own': 'kept' })],
  ])('headers: %s', async (_, headers) => {
    const given = headers();
    await wrap().get('/api/me', { headers: given });
    const sent = server.log.filter(({ kind }) => kind === 'request');
    expect(sent.map((each) => each.headers['x-own'])).toEqual(['kept', 'kept']);
    expect(Object.keys(given)).toEqual(['X-Own']);
  });

  it('another `baseURL`: of another origin it goes out untouched', async () => {
    const foreign = await startAuthorizationServer();
    const api = wrap();
    const config = { validateStatus: null };
    const other = await api.get('/api/me', { ...config, baseURL: foreign.origin });
    expect(other.status).toBe(401);
    expect(foreign.log[0]!.headers.authorization).toBe(undefined);
    expect(session.refreshes).toBe(0);
    const same = await api.get('me', { ...config, baseURL: `${server.origin}/api` });
    expect(same.data).toMatchObject({ path: '/api/me' });
    await foreign.close();
  });

  it('`allowAbsoluteUrls: false`: then every URL is of the base URL', async () => {
    const { data } = await wrap({ allowAbsoluteUrls: false }).get('http://example.com/api');
    expect(data).toMatchObject({ path: '/http://example.com/api' });
    expect(session.refreshes).toBe(1);
  });

  it('`params`, which `skip` is not told of: it decides by the endpoint', async () => {
    const skip = vi.fn(() => false);
    await wrap({ params: { a: 1 } }, { skip }).get('/api/me?c=2', { params: { b: ['x', 'y'] } });
    expect(skip.mock.calls).toEqual([[{ url: `${server.origin}/api/me?c=2`, method: 'GET' }]]);
    const sent = server.log.filter(({ kind }) => kind === 'request');
    expect(sent).toHaveLength(2);
    for (const { path } of sent) expect(path).toMatch(/c=2&a=1&b.*=x&b.*=y/);
  });

  it.each(['http', 'fetch'] as const)('progress, up and down, by %s', async (adapter) => {
    const [up, down] = [vi.fn(), vi.fn()];
    const { data } = await wrap({ adapter }).post('/api/me', 'x'.repeat(50_000), {
      onUploadProgress: ({ loaded }) => up(loaded),
      onDownloadProgress: ({ loaded }) => down(loaded),
    });
    expect(data).toMatchObject({ bytes: 50_000 });
    await vi.waitFor(() => expect(up).toHaveBeenLastCalledWith(50_000));
    expect(down.mock.lastCall![0]).toBeGreaterThan(50_000);
  });

  it('an ArrayBuffer, and a body that is one', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const { data } = await wrap().put('/api/me', bytes, { responseType: 'arraybuffer' });
    const echo = JSON.parse(Buffer.from(data).toString()) as { body: string };
    expect(echo.body).toBe(Buffer.from(bytes).toString('latin1'));
    expect(server.paths()).toHaveLength(2);
  });
});

describe('§5.3 A body that is a stream', () => {
  it.each([
    ['a Node stream', () => Readable.from(['one', 'two'])],
    [
      'a form-data form with a stream in it',
      () => {
        const form = new FormDataPackage();
        form.append('file', Readable.from(['one', 'two']), { filename: 'a.txt' });
        return form;
      },
    ],
    [
      'such a form that says its length',
      () => {
        const form = new FormDataPackage();
        form.append('file', Readable.from(['onetwo']), { filename: 'a.txt', knownLength: 6 });
        return form;
      },
    ],
  ])(
    '%s: is never sent again; the session is refreshed and the caller gets the 401',
    async (_, body) => {
      const api = wrap();
      const error = await failureOf(api.post('/api/me', body()));
      expect(error).toMatchObject({ response: { status: 401, data: { error: 'invalid_token' } } });
      expect(server.paths()).toEqual(['/api/me']);
      expect(session).toMatchObject({ alive: true, refreshes: 1 });
      const { data } = await api.post('/api/me', body());
      expect(data.body).toContain('onetwo');
    },
  );

  it('a form-data form that is in memory is replayed whole', async () => {
    const form = new FormDataPackage();
    form.append('name', 'Ada');
    form.append('photo', Buffer.from('PNG'), { filename: 'ada.png', contentType: 'image/png' });
    const { data } = await wrap().post('/api/me', form);
    expect(data.type).toBe(`multipart/form-data; boundary=${form.getBoundary()}`);
    const received = await new Response(data.body, {
      headers: { 'content-type': data.type },
    }).formData();
    expect(received.get('name')).toBe('Ada');
    expect(await (received.get('photo') as File).text()).toBe('PNG');
    expect(server.paths()).toHaveLength(2);
  });

  it("and so is what axios' own postForm makes of an object", async () => {
    const { data } = await wrap().postForm('/api/me', { name: 'Ada' });
    expect(data.body).toContain('name="name"\r\n\r\nAda\r\n');
    expect(server.paths()).toHaveLength(2);
  });
});

describe("§5.4 An answer as a stream: `responseType: 'stream'`", () => {
  it.each(['http', 'fetch'] as const)('%s: of the replay, is whole', async (adapter) => {
    const { data } = await wrap({ adapter }).get('/api/me?pad=9', { responseType: 'stream' });
    expect(JSON.parse(await text(data))).toMatchObject({ path: '/api/me' });
  });

  it.each(['http', 'fetch'] as const)(
    '%s: of a refusal that is the answer, is whole',
    async (adapter) => {
      for (const pad of [0, 50_000, 500_000]) {
        server.expireAccessTokens();
        const error = await failureOf(
          wrap({ adapter }).post(`/api/me?pad=${pad}`, streamFor(adapter), {
            responseType: 'stream',
          }),
        );
        expect(error.response.status).toBe(401);
        const body = JSON.parse(await text(error.response.data)) as { pad?: string };
        expect(body.pad?.length ?? 0).toBe(pad);
      }
    },
  );

  it('compressed, is whole too', async () => {
    const { origin: baseURL, close } = await listen((_, response) => {
      response.writeHead(401, { 'content-encoding': 'gzip' });
      response.end(gzipSync('refused'));
    });
    const api = wrap({ baseURL });
    const data = Readable.from(['one']);
    const error = await failureOf(api.post('/', data, { responseType: 'stream' }));
    expect(await text(error.response.data)).toBe('refused');
    await close();
  });

  it.each(['http', 'fetch'])('%s: of a refusal that never ends, is closed', async (adapter) => {
    const closed = gate();
    const { origin: baseURL, close } = await listen((request, response) => {
      if (request.headers.authorization === 'Bearer second') {
        response.end('fine');
        return;
      }
      response.writeHead(401).write('and so on');
      response.once('close', () => closed.open());
    });
    const own = createTokenSource({ token: 'first', refresh: () => 'second' });
    // Kept, or the garbage collector may close what nobody else did.
    const answers: Response[] = [];
    const keeping: typeof fetch = async (...args) => {
      const answer = await fetch(...args);
      answers.push(answer);
      return answer;
    };
    const api = withTokenRefresh(axios.create({ baseURL, adapter, env: { fetch: keeping } }), own);
    expect(await text((await api.get('/', { responseType: 'stream' })).data)).toBe('fine');
    await closed.promise;
    expect(answers).toHaveLength(adapter === 'fetch' ? 2 : 0);
    await close();
  });

  /** A client whose transport answers with this until it has the token that `second` opens. */
  function refusedWith(data?: Readable) {
    const second = gate<string>();
    const adapter: AxiosAdapter = async (config) => {
      const isFine = config.headers.get('Authorization') === 'Bearer second';
      const answer = isFine ? { status: 200, data: 'fine' } : { status: 401, data };
      return { ...answer, statusText: '', headers: {}, config };
    };
    const source = createTokenSource({ token: 'first', refresh: () => second.promise });
    const api = withTokenRefresh(axios.create({ baseURL: server.origin, adapter }), source);
    return { api, second };
  }

  it('of a refusal is not read without end, while a refresh takes its time', async () => {
    let chunks = 0;
    const data = new Readable({
      highWaterMark: 1,
      read() {
        if (++chunks < 100) this.push(Buffer.alloc(DRAIN_LIMIT / 4));
      },
    });
    const { api, second } = refusedWith(data);
    const waiting = api.get('/', { responseType: 'stream' });
    await settled();
    await settled();
    // The fifth is more than the limit; Node may have the one after that at hand.
    expect(chunks * (DRAIN_LIMIT / 4) - data.readableLength).toBe(DRAIN_LIMIT * 1.25);
    second.open('second');
    expect((await waiting).data).toBe('fine');
    expect(data.destroyed).toBe(true);
  });

  it('of a refusal may break off meanwhile', async () => {
    const data = new Readable({ read() {} });
    const { api, second } = refusedWith(data);
    const waiting = api.get('/', { responseType: 'stream' });
    await settled();
    expect(() => data.emit('error', new Error('connection reset'))).not.toThrow();
    second.open('second');
    expect((await waiting).data).toBe('fine');
  });

  it('is not needed for a refusal: a transport may give no data', async () => {
    const { api, second } = refusedWith();
    second.open('second');
    expect((await api.get('/')).data).toBe('fine');
  });

  it('in the error of a refresh that failed, is whole', async () => {
    server.scriptRefreshes(400);
    const error = await failureOf(wrap().get('/api/me', { responseType: 'stream' }));
    expect(error.code).toBe('SESSION_EXPIRED');
    expect(JSON.parse(await text(error.response.data))).toEqual({ error: 'invalid_token' });
  });

  it('of a refusal that nobody reads, leaves its connection to the refresh and the replay', async () => {
    const httpAgent = new Agent({ keepAlive: true, maxSockets: 1 });
    const bare = axios.create({ baseURL: server.origin, httpAgent });
    tokens = createTokenSource<TokenResponse>({
      token: (await tokens.get()).token,
      refresh: async ({ token: { refresh_token } }) =>
        (await bare.post('/token', new URLSearchParams({ refresh_token }))).data,
      timeout: 2000,
    });
    const api = wrap({ httpAgent });
    const { data } = await api.get('/api/me?pad=40000', { responseType: 'stream' });
    expect(JSON.parse(await text(data))).toMatchObject({ path: '/api/me' });
    expect(server.connections).toBe(1);
    httpAgent.destroy();
  });
});

describe('§5.5 An abort', () => {
  it('by the legacy `cancelToken` is its own, before and while waiting', async () => {
    const api = wrap();
    const before = axios.CancelToken.source();
    before.cancel('before');
    await expect(api.get('/api/me', { cancelToken: before.token })).rejects.toMatchObject({
      name: 'CanceledError',
      message: 'before',
    });
    const release = server.holdRefreshes();
    const { token, cancel } = axios.CancelToken.source();
    const first = api.get('/api/first', { cancelToken: token });
    await server.arrival('refresh');
    const second = api.get('/api/second', {
      cancelToken: token,
      signal: new AbortController().signal,
    });
    await settled();
    cancel('waiting');
    for (const request of [first, second]) {
      await expect(request).rejects.toMatchObject({ name: 'CanceledError', message: 'waiting' });
    }
    release();
    await tokens.get();
    expect(server.paths()).toEqual(['/api/first']);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
  });

  it('may come by either of a `cancelToken` and a signal', async () => {
    server.holdRefreshes();
    const caller = new AbortController();
    const cancelToken = axios.CancelToken.source().token;
    const request = wrap().get('/api/me', { cancelToken, signal: caller.signal });
    await server.arrival('refresh');
    caller.abort();
    await expect(request).rejects.toMatchObject({ name: 'CanceledError', message: 'canceled' });
  });

  it('leaves no listener of ours behind, on a signal or on a `cancelToken`', async () => {
    const api = wrap();
    const { signal } = new AbortController();
    const { token } = axios.CancelToken.source();
    await Promise.all([
      api.get('/api/a', { signal }),
      api.get('/api/b', { signal, cancelToken: token }),
      api.get('/api/c', { cancelToken: token }),
    ]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect((token as unknown as { _listeners?: [] })._listeners ?? []).toEqual([]);
  });
});

describe('The instance', () => {
  it('is returned itself, and is called in any way', async () => {
    const instance = axios.create({ baseURL: server.origin });
    const api = withTokenRefresh(instance, tokens);
    expect(api).toBe(instance);
    expect((await api('/api/me')).status).toBe(200);
    expect((await api({ url: '/api/me', method: 'POST' })).status).toBe(200);
    expect((await api.head('/api/me')).status).toBe(200);
    expect(session.refreshes).toBe(1);
  });

  it('makes children that do the same, once, with their own settings', async () => {
    const child = wrap().create({ headers: { 'x-child': '1' } });
    const grandchild = child.create({ baseURL: `${server.origin}/api` });
    const release = server.holdRefreshes();
    const requests = [child.get('/api/child'), grandchild.get('grandchild', { adapter: 'fetch' })];
    await server.arrival('refresh');
    release();
    for (const { status } of await Promise.all(requests)) expect(status).toBe(200);
    expect(session.refreshes).toBe(1);
    expect(server.paths()).toHaveLength(4);
    expect(new Set(server.paths())).toEqual(new Set(['/api/child', '/api/grandchild']));
    for (const { headers, kind } of server.log) {
      if (kind === 'request') expect(headers['x-child']).toBe('1');
    }
  });

  it('may be the default one', async () => {
    // Of another copy of axios, which is not used elsewhere.
    const { adapter } = axios17.defaults;
    const api = withTokenRefresh(axios17, tokens, { allowedOrigins: [server.origin] });
    expect((await api.get(`${server.origin}/api/me`)).status).toBe(200);
    expect((await axios17.create().get(`${server.origin}/api/me`)).status).toBe(200);
    expect(session.refreshes).toBe(1);
    axios17.defaults.adapter = adapter!;
  });

  it('cannot be wrapped twice, nor can its children: they are wrapped', () => {
    const api = wrap();
    for (const again of [api, api.create()]) {
      expect(() => withTokenRefresh(again, tokens)).toThrow(TypeError);
      expect(() => withTokenRefresh(again, tokens)).toThrow(
        '"instance" must be an axios instance, not wrapped yet',
      );
    }
  });

  it.each([
    [undefined, /^"instance" must be an axios instance/],
    [{}, /^"instance" must be an axios instance/],
    [() => {}, /^"instance" must be an axios instance/],
    [axios.create({ baseURL: '/api' }), /^"allowedOrigins" must be an array of origins/],
    [axios.create(), /^"allowedOrigins" must be an array of origins/],
  ])('%s is a TypeError', (instance, message) => {
    expect(() => withTokenRefresh(instance as never, tokens)).toThrow(TypeError);
    expect(() => withTokenRefresh(instance as never, tokens)).toThrow(message);
  });

  it.each([undefined, {}, 'eyJ.secret'])('takes no %s for a token source', (source) => {
    const create = () => withTokenRefresh(axios.create(), source as never);
    expect(create).toThrow(
      new TypeError('"tokens.connect" must be a function, got undefined (undefined)'),
    );
  });

  it('is not changed when an option is wrong', async () => {
    const instance = axios.create({ baseURL: server.origin });
    expect(() => withTokenRefresh(instance, tokens, { skip: 1 as never })).toThrow(TypeError);
    expect(() => withTokenRefresh(instance, tokens)).not.toThrow();
  });

  it.each(['/api/me', 'api/me', '//[', 'http://'])(
    'rejects as axios does for %j without a base URL',
    async (url) => {
      const allowedOrigins = [server.origin];
      const api = withTokenRefresh(axios.create(), tokens, { allowedOrigins });
      const [ours, bare] = await Promise.all([failureOf(api.get(url)), failureOf(axios.get(url))]);
      expect([ours.name, ours.code, ours.message]).toEqual([bare.name, bare.code, bare.message]);
    },
  );
});

function streamFor(adapter: 'http' | 'fetch') {
  const body = Readable.from([Buffer.from('one')]);
  return adapter === 'http' ? body : Readable.toWeb(body);
}
