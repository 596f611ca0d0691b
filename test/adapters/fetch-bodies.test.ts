import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
} from '../authorization-server.ts';
import { gate, settled } from '../gate.ts';
import { listen } from '../loopback.ts';

let server: AuthorizationServer;
let session: ServerSession;
let api: typeof fetch;

beforeEach(async () => {
  server = await startAuthorizationServer();
  const signedIn = server.signIn();
  session = signedIn.session;
  const { token } = signedIn;
  const tokens = createTokenSource({ token, refresh: refreshAt(server.origin) });
  api = withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] });
  server.expireAccessTokens();
});

afterEach(async () => {
  await server.close();
});

interface Echo {
  method: string;
  type: string | null;
  bytes: number;
  body: string;
}

const echoOf = async (response: Response) => (await response.json()) as Echo;

const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const latin1 = Buffer.from(bytes).toString('latin1');

function form(): FormData {
  const data = new FormData();
  data.set('name', 'Ada');
  data.set('photo', new File([bytes], 'ada.png', { type: 'image/png' }));
  return data;
}

/** Every kind that can be sent again, with what the server must get both times. */
const buffered: [string, () => NonNullable<RequestInit['body']>, Partial<Echo>][] = [
  ['a string', () => 'text', { type: 'text/plain;charset=UTF-8', body: 'text' }],
  [
    'URLSearchParams',
    () => new URLSearchParams({ a: '1', b: '2' }),
    { type: 'application/x-www-form-urlencoded;charset=UTF-8', body: 'a=1&b=2' },
  ],
  ['a Blob', () => new Blob([bytes], { type: 'image/png' }), { type: 'image/png', body: latin1 }],
  ['an ArrayBuffer', () => bytes.slice().buffer, { type: null, body: latin1 }],
  ['a view of a buffer', () => bytes.subarray(65, 70), { type: null, body: 'ABCDE' }],
  ['nothing', () => '', { body: '' }],
  ['two megabytes', () => 'x'.repeat(2 ** 21), { bytes: 2 ** 21 }],
];

describe('§5.3 The body is replayed whole', () => {
  it.each(buffered)('%s', async (_, body, expected) => {
    const response = await api(`${server.origin}/api/me`, { method: 'PUT', body: body() });
    expect(await echoOf(response)).toMatchObject({ method: 'PUT', ...expected });
    expect(server.paths()).toHaveLength(2);
  });

  it('FormData with a file', async () => {
    const response = await api(`${server.origin}/api/me`, { method: 'POST', body: form() });
    const { type, body } = await echoOf(response);
    const received = await new Response(Buffer.from(body, 'latin1'), {
      headers: { 'content-type': type! },
    }).formData();
    const photo = received.get('photo') as File;
    expect([received.get('name'), photo.name, photo.type]).toEqual(['Ada', 'ada.png', 'image/png']);
    expect(new Uint8Array(await photo.arrayBuffer())).toEqual(bytes);
    expect(server.paths()).toHaveLength(2);
  });

  it.each(buffered)('a Request with %s', async (_, body, expected) => {
    const request = new Request(`${server.origin}/api/me`, { method: 'PUT', body: body() });
    const response = await api(request);
    expect(await echoOf(response)).toMatchObject({ method: 'PUT', ...expected });
    expect(server.paths()).toHaveLength(2);
  });

  it('a Request with a stream, and with FormData', async () => {
    const init = { method: 'POST', body: streamOf('one', 'two'), duplex: 'half' } as RequestInit;
    const streamed = new Request(`${server.origin}/api/me`, init);
    expect(await echoOf(await api(streamed))).toMatchObject({ body: 'onetwo' });
    server.expireAccessTokens();
    const formed = new Request(`${server.origin}/api/me`, { method: 'POST', body: form() });
    const { type, body: sent } = await echoOf(await api(formed));
    expect(type).toMatch(/^multipart\/form-data; boundary=/);
    expect(sent).toContain(latin1);
  });
});

describe('§5.3 A one-shot body is never sent again', () => {
  it.each([
    ['a ReadableStream', () => streamOf('one', 'two')],
    ['a Node stream', () => Readable.from(['one', 'two'])],
    [
      'an async iterable',
      async function* generate() {
        yield Buffer.from('one');
        yield Buffer.from('two');
      },
    ],
  ])('%s: the session is refreshed and the caller gets the 401', async (_, body) => {
    const init = { method: 'POST', body: body(), duplex: 'half' } as unknown as RequestInit;
    const response = await api(`${server.origin}/api/upload`, init);
    expect(response.status).toBe(401);
    expect(response.url).toBe(`${server.origin}/api/upload`);
    expect(await response.json()).toEqual({ error: 'invalid_token' });
    expect(server.paths()).toEqual(['/api/upload']);
    expect(session.refreshes).toBe(1);

    const again = { method: 'POST', body: streamOf('one', 'two'), duplex: 'half' } as RequestInit;
    expect(await echoOf(await api(`${server.origin}/api/upload`, again))).toMatchObject({
      body: 'onetwo',
    });
    expect(session.refreshes).toBe(1);
  });
});

describe('A Request as input', () => {
  it('keeps its own headers and is used afterwards, as with fetch', async () => {
    const request = new Request(`${server.origin}/api/me`, {
      method: 'POST',
      body: 'text',
      headers: { 'x-own': 'kept', 'content-type': 'application/x-own' },
    });
    expect(await echoOf(await api(request))).toMatchObject({ type: 'application/x-own' });
    expect(request.bodyUsed).toBe(true);
    expect(request.headers.has('authorization')).toBe(false);
    const sent = server.log.filter(({ kind }) => kind === 'request');
    expect(sent.map(({ headers }) => headers['x-own'])).toEqual(['kept', 'kept']);
  });

  it('takes method, headers and body from `init`, as with fetch', async () => {
    const request = new Request(`${server.origin}/api/me`, { headers: { 'x-own': 'replaced' } });
    const response = await api(request, { method: 'PUT', body: 'new', headers: { 'x-new': '1' } });
    expect(await echoOf(response)).toMatchObject({ method: 'PUT', body: 'new' });
    for (const { headers } of server.log.filter(({ kind }) => kind === 'request')) {
      expect([headers['x-own'], headers['x-new']]).toEqual([undefined, '1']);
    }
  });

  it('is neither changed nor used beside headers and a body, as with fetch', async () => {
    const method = 'POST';
    const request = new Request(`${server.origin}/api/me`, { method, body: 'own' });
    for (const init of [{ body: 'new' }, { body: 'new', headers: request.headers }]) {
      expect(await echoOf(await api(request, init))).toMatchObject({ body: 'new' });
      server.expireAccessTokens();
    }
    expect(server.paths()).toHaveLength(4);
    expect(request.headers.has('authorization')).toBe(false);
    expect(await request.text()).toBe('own');
  });

  it.each([undefined, { 'x-own': 'beside' }])(
    'may be of a class of its own, as a fetch that is not the global one has it',
    async (beside) => {
      class Foreign {
        url = `${server.origin}/api/me`;
        method = 'POST';
        headers = new Headers({ 'x-own': 'kept' });
        original = this as Foreign;
        constructor(given?: Foreign) {
          if (given) this.original = given.original;
        }
        clone() {
          return new Foreign(this);
        }
      }
      const request = new Foreign();
      const sent: unknown[] = [];
      const own = withTokenRefresh(
        (async (input: Foreign, { headers = input.headers }: { headers?: Headers }) => {
          // It does not tell of its body, as in Firefox: so it may have one, which is used up.
          expect(input).toBeInstanceOf(Foreign);
          expect(input).not.toBe(request);
          expect(input.original).toBe(request);
          sent.push([...headers.values()]);
          return new Response('', { status: sent.length === 1 ? 401 : 200 });
        }) as never,
        createTokenSource({ token: 'abc', refresh: () => 'def' }),
        { allowedOrigins: [server.origin] },
      ) as (input: unknown, init?: object) => Promise<Response>;
      expect((await own(request, { headers: beside })).status).toBe(200);
      const header = beside ? 'beside' : 'kept';
      expect(sent).toEqual([
        ['Bearer abc', header],
        ['Bearer def', header],
      ]);
    },
  );

  it('has the token in it for a `fetch` that looks at nothing else, and that may add to it', async () => {
    const sent: unknown[] = [];
    const signing: typeof fetch = async (input, init) => {
      const { headers } = input as Request;
      sent.push([...headers.values()]);
      headers.set('x-signed', '1');
      expect(new Request(input, init).headers.get('x-signed')).toBe('1');
      return new Response('', { status: sent.length === 1 ? 401 : 200 });
    };
    const own = withTokenRefresh(
      signing,
      createTokenSource({ token: 'abc', refresh: () => 'def' }),
      { allowedOrigins: [server.origin] },
    );
    const request = new Request(`${server.origin}/api/me`);
    expect((await own(request)).status).toBe(200);
    expect(sent).toEqual([['Bearer abc'], ['Bearer def']]);
    expect([...request.headers]).toEqual([]);
  });

  it('may have headers that cannot be changed, as in a service worker', async () => {
    // Immutable, as those are: https://fetch.spec.whatwg.org/#concept-headers-guard
    const { headers } = Response.redirect('http://kept.example/');
    const withThem = (request: Request): Request =>
      Object.defineProperties(request, {
        headers: { value: headers },
        clone: { value: () => withThem(Request.prototype.clone.call(request)) },
      });
    const request = withThem(
      new Request(`${server.origin}/api/me`, { method: 'POST', body: 'text' }),
    );
    expect(await echoOf(await api(request))).toMatchObject({ body: 'text' });
    const sent = server.log.filter(({ kind }) => kind === 'request');
    expect(sent.map((each) => each.headers.location)).toEqual(
      Array(2).fill('http://kept.example/'),
    );
  });

  it('is not cloned beside headers and without a body: it is not used up', async () => {
    const clone = vi.spyOn(Request.prototype, 'clone');
    const request = new Request(`${server.origin}/api/me`);
    expect((await api(request, { headers: { 'x-own': 'kept' } })).status).toBe(200);
    expect(clone).not.toHaveBeenCalled();
    clone.mockRestore();
    expect(request.headers.has('authorization')).toBe(false);
    const sent = server.log.filter(({ kind }) => kind === 'request');
    expect(sent.map(({ headers }) => headers['x-own'])).toEqual(['kept', 'kept']);
  });

  it('rejects as fetch does when it was used before', async () => {
    const request = new Request(`${server.origin}/api/me`, { method: 'POST', body: 'text' });
    await request.text();
    await expect(api(request)).rejects.toThrow(TypeError);
    expect(server.log).toEqual([]);
  });
});

describe('§5.4 The unused 401 is released', () => {
  it.each([
    ['HEAD', '/api/me'],
    ['GET', '/api/empty'],
  ])('%s %s has no body, and is replayed', async (method, path) => {
    const response = await api(server.origin + path, { method });
    expect(response.ok).toBe(true);
    expect(await response.text()).toBe('');
    expect(server.paths()).toEqual([path, path]);
  });

  it('so one connection is enough for refusals, refreshes and replays', async () => {
    for (let expiry = 0; expiry < 5; expiry++) {
      server.expireAccessTokens();
      const response = await api(`${server.origin}/api/${expiry}`);
      expect(await response.json()).toMatchObject({ path: `/api/${expiry}` });
    }
    expect(session.refreshes).toBe(5);
    // The refresh may begin before the refused answer has been read to its end.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  it('before the refresh, which may need its connection', async () => {
    const release = server.holdRefreshes();
    const refused = api(`${server.origin}/api/refused?pad=60000`);
    await server.arrival('refresh');
    expect(server.connections).toBe(2);
    // The connection of the refused answer is free by now: another request takes it.
    await (await fetch(`${server.origin}/api/other`)).text();
    expect(server.connections).toBe(2);
    release();
    expect((await refused).status).toBe(200);
  });

  it('nor is it closed when the refusal comes late, and its body later', async () => {
    const held: ServerResponse[] = [];
    const all = gate();
    const origin = await refusing((response) => {
      held.push(response);
      if (held.length === 3) all.open();
    });
    const tokens = createTokenSource({ token: 'first', refresh: () => 'second' });
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [origin.url] });
    const waiting = [1, 2, 3].map(() => client(origin.url));
    await all.promise;
    await tokens.renew(await tokens.get());
    let closed = 0;
    for (const response of held) {
      response.socket!.once('close', () => closed++);
      // A part of it: the request is sent again before the rest is there.
      response.setHeader('content-length', 2).write('a');
    }
    for (const answer of waiting) expect(await (await answer).text()).toBe('fine');
    for (const response of held) response.end('b');
    await Promise.all(
      held.map(async (response) => response.writableFinished || once(response, 'finish')),
    );
    // By then a socket that was given up would be closed.
    expect(await (await client(origin.url)).text()).toBe('fine');
    expect(closed).toBe(0);
    await origin.close();
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['never ends', (response) => response.write('and so on')],
    ['is large', (response) => response.end('x'.repeat(2 ** 22))],
    ['breaks off', (response) => response.write('x', () => response.destroy())],
  ])('even when it %s: its connection is closed', async (_, refuse) => {
    const closed = gate();
    const origin = await refusing((response) => {
      response.once('close', () => closed.open());
      refuse(response);
    });
    const tokens = createTokenSource({ token: 'first', refresh: () => 'second' });
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [origin.url] });
    expect(await (await client(origin.url)).text()).toBe('fine');
    await closed.promise;
    await origin.close();
  });

  it('and one that breaks off while the refresh runs goes unheard', async () => {
    const broken = new ReadableStream({
      start: (stream: any) => stream.error(new Error('broken off')),
    });
    const answers = [new Response(broken, { status: 401 }), new Response('fine')];
    const tokens = createTokenSource({
      token: 'first',
      refresh: () => settled().then(() => 'next'),
    });
    const fetch = async (_url: unknown) => answers.shift()!;
    const client = withTokenRefresh(fetch, tokens, {
      allowedOrigins: ['https://api.example'],
    });
    // A rejection that nobody handles would fail the run.
    expect(await (await client('https://api.example/me')).text()).toBe('fine');
  });

  it.each([0, 10, 2 ** 16, 2 ** 20])(
    'and whoever gets it all the same has it whole, with %i bytes of body',
    async (length) => {
      const body = Buffer.alloc(length, 'abc').toString();
      const origin = await refusing((response) => {
        response.statusMessage = 'Expired';
        response.setHeader('x-reason', 'late').end(body);
      });
      const refused = await fetch(origin.url);
      const { url, redirected, type, status, statusText } = refused;
      await refused.text();
      const error = new Error('no network');
      const tokens = createTokenSource({
        token: 'first',
        refresh: () => Promise.reject(error),
        retry: { retries: 0 },
      });
      const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [origin.url] });
      const failure = await client(origin.url).catch((caught) => caught);
      const { response } = failure as { response: Response };
      expect(response).toBeInstanceOf(Response);
      expect(response).toMatchObject({ url, redirected, type, status, statusText });
      expect(response.headers.get('x-reason')).toBe('late');
      expect(await response.text()).toBe(body);
      await origin.close();
    },
  );

  it('and the very one where there is nothing to be read ahead', async () => {
    const used = new Response('read by isRefused', { status: 401 });
    for (const refused of [new Response(null, { status: 401 }), used]) {
      const tokens = createTokenSource({
        token: 'first',
        refresh: () => Promise.reject(new Error('no network')),
        retry: { retries: 0 },
      });
      const client = withTokenRefresh(async (_url: unknown) => refused, tokens, {
        allowedOrigins: ['https://api.example'],
        isRefused: async (response) => !!(await (response === used ? response.text() : 'yes')),
      });
      const failure = await client('https://api.example/me').catch((caught) => caught);
      expect(failure.response).toBe(refused);
    }
  });

  it('but not read without end, while a refresh takes its time', async () => {
    let written = 0;
    const chunk = Buffer.alloc(2 ** 16);
    const stalled = gate();
    const origin = await refusing((response) => {
      const write = () => {
        while (!response.destroyed && written < 2 ** 26) {
          written += chunk.length;
          if (response.write(chunk)) continue;
          response.once('drain', write);
          return;
        }
        stalled.fail(new Error('64 megabytes were read'));
      };
      write();
    });
    // Nothing tells that no more is read; unbounded, it takes far less time than this.
    setTimeout(() => stalled.open(), 500);
    const refresh = () => stalled.promise.then(() => 'second');
    const tokens = createTokenSource({ token: 'first', refresh, retry: { retries: 0 } });
    const client = withTokenRefresh(fetch, tokens, { allowedOrigins: [origin.url] });
    expect(await (await client(origin.url)).text()).toBe('fine');
    expect(written).toBeLessThan(2 ** 24);
    await origin.close();
  });
});

/** A server that takes the token `second`, and refuses any other as the test says. */
async function refusing(refuse: (response: ServerResponse) => void) {
  const { origin, close } = await listen((request, response) => {
    if (request.headers.authorization === 'Bearer second') {
      response.end('fine');
      return;
    }
    response.statusCode = 401;
    refuse(response);
  });
  return { url: origin, close };
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
