import { expect, it, vi } from 'vitest';
import { createTokenSource, type Exchange, type TokenSource } from '../src/index.ts';
import { gate } from './gate.ts';

/** A client of one's own, as an adapter is written: it answers with the token that it was sent with. */
function client<Token>(tokens: TokenSource<Token>, options = {}) {
  const exchange = tokens.connect<Headers, { status: number; sent: string | null }>(
    options,
    'https://api.example.com/v1',
  );
  const request: Exchange<Headers, { status: number; sent: string | null }> = {
    url: 'https://api.example.com/me',
    method: undefined,
    signal: undefined,
    body: undefined,
    pass: async () => ({ status: 200, sent: 'untouched' }),
    prepare() {
      const headers = new Headers();
      const send = async () => {
        const sent = headers.get('authorization');
        return { status: sent === 'Bearer first' ? 401 : 200, sent };
      };
      return { headers, send };
    },
    redirectedTo: () => undefined,
    setAside: (response) => ({ response, release() {} }),
  };
  return (given: Partial<typeof request> = {}) => exchange({ ...request, ...given });
}

/** A request that such a `send` sends, whatever its headers. */
const preparedTo =
  <Sent>(send: (headers: Headers) => Promise<Sent>) =>
  () => {
    const headers = new Headers();
    return { headers, send: () => send(headers) };
  };

it('carries any client: an adapter says how it sends, the source decides', async () => {
  const refresh = vi.fn(() => 'second');
  const send = client(createTokenSource({ token: 'first', refresh }));
  expect((await send()).sent).toBe('Bearer second');
  expect(refresh).toHaveBeenCalledTimes(1);
  for (const url of ['https://example.com', undefined, 'not a URL', '/relative']) {
    expect((await send({ url })).sent).toBe('untouched');
  }
});

it('parses no URL that begins with an allowed origin: nothing else would take as long', async () => {
  const send = client(createTokenSource({ token: 'good', refresh: () => 'good' }));
  let parsed = 0;
  class CountingUrl extends URL {
    constructor(url: string, base?: string) {
      super(url, base);
      parsed++;
    }
  }
  vi.stubGlobal('URL', CountingUrl);
  try {
    // axios tells of an end though nothing was redirected.
    for (const end of [undefined, 'https://api.example.com/me']) {
      expect((await send({ redirectedTo: () => end })).sent).toBe('Bearer good');
    }
    expect(parsed).toBe(0);
    expect((await send({ url: 'HTTPS://api.example.com/me' })).sent).toBe('Bearer good');
    expect(parsed).toBeGreaterThan(0);
  } finally {
    vi.unstubAllGlobals();
  }
});

it('sends in the same tick while the token is good, as the bare client does', () => {
  const sent = vi.fn(async () => ({ status: 200, sent: null }));
  const send = client(createTokenSource({ token: 'good', refresh: () => 'good' }));
  void send({ prepare: preparedTo(sent) });
  expect(sent).toHaveBeenCalledTimes(1);
});

it('tells `skip` of a request in one form: absolute, in upper case, GET by default', async () => {
  const skip = vi.fn(() => true);
  const tokens = createTokenSource({ token: 'first', refresh: () => 'second' });
  const send = client(tokens, { skip });
  expect((await send({ url: 'https://API.example.com', method: 'post' })).sent).toBe('untouched');
  expect((await send()).sent).toBe('untouched');
  expect(skip.mock.calls).toEqual([
    [{ url: 'https://api.example.com/', method: 'POST' }],
    [{ url: 'https://api.example.com/me', method: 'GET' }],
  ]);
});

it('takes any visible ASCII for a token, and nothing else', async () => {
  for (const token of ['!', '~', 'a!~9', { access_token: 'a' }, { accessToken: 'a' }]) {
    const send = client(createTokenSource<unknown>({ token, refresh: () => token }));
    const { access_token, accessToken } = Object(token);
    expect((await send()).sent).toBe(`Bearer ${access_token ?? accessToken ?? token}`);
  }
  for (const token of ['', ' a', 'a ', 'a b', 'a\n', '\u007f', 'é', 5, { access_token: 5 }]) {
    const send = client(createTokenSource<unknown>({ token, refresh: () => token }));
    await expect(send()).rejects.toThrow(
      new TypeError('a token must be visible ASCII; else give "authorize"'),
    );
  }
});

it('waits for `authorize`, whatever it promises by, and sends once', async () => {
  for (const given of [
    async (headers: Headers) => headers.set('authorization', 'Bearer own'),
    // All that `await` asks of it.
    (headers: Headers) => ({
      // oxlint-disable-next-line no-thenable
      then(resolve: () => void) {
        headers.set('authorization', 'Bearer own');
        resolve();
      },
    }),
    // As a setter that returns its object.
    (headers: Headers) => {
      headers.set('authorization', 'Bearer own');
      return headers;
    },
  ]) {
    const sent = vi.fn(async (headers: Headers) => ({
      status: 200,
      sent: headers.get('authorization'),
    }));
    const tokens = createTokenSource({ token: 'first', refresh: () => 'second' });
    const send = client(tokens, { authorize: given });
    expect((await send({ prepare: preparedTo(sent) })).sent).toBe('Bearer own');
    expect(sent).toHaveBeenCalledTimes(1);
  }
});

it('sends nothing when `authorize` fails, now or later', async () => {
  const failure = new Error('no key');
  for (const authorize of [
    () => Promise.reject(failure),
    () => {
      throw failure;
    },
  ]) {
    const sent = vi.fn(async () => ({ status: 200, sent: null }));
    const send = client(createTokenSource({ token: 'first', refresh: () => 'second' }), {
      authorize,
    });
    await expect(send({ prepare: preparedTo(sent) })).rejects.toBe(failure);
    expect(sent).not.toHaveBeenCalled();
  }
});

it('asks `isRefused` whatever it promises by', async () => {
  const refusing = (isRefused: (response: { sent: string | null }) => unknown) =>
    client(createTokenSource({ token: 'first', refresh: () => 'second' }), { isRefused })();
  const isFirst = ({ sent }: { sent: string | null }) => sent === 'Bearer first';
  expect((await refusing(isFirst)).sent).toBe('Bearer second');
  expect((await refusing(async (answer) => isFirst(answer))).sent).toBe('Bearer second');
  expect((await refusing(() => false)).sent).toBe('Bearer first');
  expect((await refusing(async () => false)).sent).toBe('Bearer first');
});

it('takes for foreign what was redirected to another origin, and nothing else', async () => {
  for (const [end, statuses] of [
    ['https://other.example.com/', 1],
    ['https://api.example.com.evil.org/', 1],
    ['https://api.example.com/elsewhere', 2],
    ['https://api.example.com:443/elsewhere', 2],
    ['/elsewhere', 2],
    [undefined, 2],
  ] as const) {
    const sent = vi.fn(async () => ({ status: 401, sent: null }));
    const send = client(createTokenSource({ token: 'first', refresh: () => 'second' }));
    await send({
      prepare: preparedTo(sent),
      redirectedTo: () => end,
    });
    expect(sent).toHaveBeenCalledTimes(statuses);
  }
});

it('lets go of the refused response when its caller leaves', async () => {
  const release = vi.fn();
  const caller = new AbortController();
  const send = client(
    createTokenSource<string>({ token: 'first', refresh: () => new Promise(() => {}) }),
  );
  const waiting = send({
    signal: caller.signal,
    setAside: (response) => {
      queueMicrotask(() => caller.abort('left'));
      return { response, release };
    },
  });
  await expect(waiting).rejects.toBe('left');
  expect(release).toHaveBeenCalledTimes(1);
});

it('knows the signal of the running refresh, and no other', async () => {
  const second = gate<string>();
  const refresh = vi.fn<(context: { signal: AbortSignal }) => Promise<string>>(
    () => second.promise,
  );
  const tokens = createTokenSource({ token: 'first', refresh });
  const send = client(tokens);
  const renewal = tokens.renew(await tokens.get());
  const { signal } = refresh.mock.calls[0]![0];
  expect((await send({ signal })).sent).toBe('untouched');
  const waiting = [send(), send({ signal: new AbortController().signal })];
  second.open('second');
  await renewal;
  for (const answer of waiting) expect((await answer).sent).toBe('Bearer second');
  // It is a refresh no longer.
  expect((await send({ signal })).sent).toBe('Bearer second');
});

it('keeps the error of a source within another, with its own refused answer', async () => {
  const dead = createTokenSource<string>({
    token: 'first',
    refresh: () => Promise.reject(Object.assign(new Error('refused'), { status: 400 })),
  });
  const inner = client(dead);
  const outer = client(createTokenSource<string>({ token: 'outer', refresh: () => 'newer' }));
  await expect(outer({ prepare: preparedTo(() => inner()) })).rejects.toMatchObject({
    code: 'SESSION_EXPIRED',
    response: { status: 401, sent: 'Bearer first' },
  });
});

it('releases the refused response for a replay only: else its caller gets it', async () => {
  const release = vi.fn();
  const setAside = (response: { status: number; sent: string | null }) => ({ response, release });
  const open = () => client(createTokenSource<string>({ token: 'first', refresh: () => 'second' }));
  expect((await open()({ setAside, body: new ReadableStream() })).status).toBe(401);
  const dead = client(
    createTokenSource<string>({
      token: 'first',
      refresh: () => Promise.reject(Object.assign(new Error('refused'), { status: 400 })),
    }),
  );
  await expect(dead({ setAside })).rejects.toMatchObject({ response: { status: 401 } });
  expect(release).not.toHaveBeenCalled();
  await open()({ setAside });
  expect(release).toHaveBeenCalledTimes(1);
});

it('adds no listener to a signal while nothing has to be waited for: Node warns of more than ten', async () => {
  const { signal } = new AbortController();
  const listen = vi.spyOn(signal, 'addEventListener');
  const send = client(createTokenSource({ token: 'good', refresh: () => 'second' }));
  expect((await send({ signal })).sent).toBe('Bearer good');
  expect(listen).not.toHaveBeenCalled();
});
