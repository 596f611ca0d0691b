import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource } from '../../src/index.ts';
import { axiosClients, fetchClient, kyClients } from '../adapters/contract/clients.ts';
import { startHostileServer } from './hostile-server.ts';

const failureOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => expect.unreachable('it is answered'),
    (error: unknown) => error,
  );

/** A client on a `fetch` that answers with what it was sent, and refuses the token `refused`. */
function echoing<Token>(options: Parameters<typeof createTokenSource<Token>>[0]) {
  const sent: (string | null)[] = [];
  const echo = async (_: unknown, init?: RequestInit) => {
    const authorization = new Headers(init?.headers).get('authorization');
    sent.push(authorization);
    return new Response(authorization, { status: authorization === 'Bearer refused' ? 401 : 200 });
  };
  const tokens = createTokenSource<Token>(options);
  const api = withTokenRefresh(echo as typeof fetch, tokens, {
    allowedOrigins: ['https://api.example.com'],
  });
  return { sent, tokens, send: () => api('https://api.example.com/me') };
}

describe('A token that no header can take', () => {
  const injecting = 'secret\r\nX-Injected: 1';

  it.each([fetchClient, ...axiosClients.slice(0, 2), ...kyClients])(
    'injects none through an `authorize` of the app: $name',
    async (client) => {
      const server = await startHostileServer();
      const token = { ...server.firstToken, access_token: injecting };
      const tokens = createTokenSource({ token, refresh: () => token });
      const send = client.wrap(server.origin, tokens, {
        authorize: (headers, { access_token }) => headers.set('x-token', access_token),
      });
      await send('/api/me').catch(() => {});
      for (const headers of server.headers) expect(headers).not.toHaveProperty('x-injected');
    },
  );

  it.each([
    ['a tab', 'secret\ttoken'],
    ['a NUL', 'secret\0'],
    ['a DEL', 'secret\x7f'],
    ['a line separator', 'secret\u2028'],
    ['half of a surrogate pair', 'secret\ud800'],
    ['a leading space', ' secret'],
  ])('for %s in it is a TypeError, and nothing is sent', async (_, token) => {
    const { sent, send } = echoing({ token, refresh: () => token });
    const error = await failureOf(send());
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe('a token must be visible ASCII; else give "authorize"');
    expect(sent).toEqual([]);
  });

  it.each<[string, unknown]>([
    ['a String object', Object('abc')],
    ['a symbol', Symbol('secret')],
    ['a function', () => 'abc'],
    ['a promise', Promise.resolve('abc')],
    ['an array', ['abc']],
    ['NaN', Number.NaN],
    ['an object whose access token is one more', { access_token: { access_token: 'abc' } }],
  ])('since it is %s is a TypeError, and nothing is sent', async (_, token) => {
    const { sent, send } = echoing<unknown>({ token, refresh: () => token });
    expect(await failureOf(send())).toBeInstanceOf(TypeError);
    expect(sent).toEqual([]);
  });

  it('and that `refresh` gave is one for every caller, until the app signs in', async () => {
    const refresh = vi.fn(() => injecting);
    const { sent, tokens, send } = echoing({ token: 'refused', refresh });
    for (let n = 0; n < 3; n++) expect(await failureOf(send())).toBeInstanceOf(TypeError);
    expect([sent, refresh.mock.calls.length]).toEqual([['Bearer refused'], 1]);
    await tokens.set('good');
    expect(await (await send()).text()).toBe('Bearer good');
  });

  it('since reading it throws is the error that it throws', async () => {
    const error = new RangeError('own');
    const token = Object.defineProperty({}, 'access_token', {
      get() {
        throw error;
      },
    });
    expect(() => createTokenSource({ token, refresh: () => token })).toThrow(error);
    const { sent, send } = echoing<unknown>({
      token: new Proxy({}, { get: (_, name) => (name === 'access_token' ? 5 : 'secret') }),
      refresh: () => 'abc',
    });
    expect(await failureOf(send())).toBeInstanceOf(TypeError);
    expect(sent).toEqual([]);
  });

  it('at a second look is sent as it was at the first: what is checked is what is sent', async () => {
    let reads = 0;
    const { sent, send } = echoing<object>({
      token: {
        get accessToken() {
          return reads++ ? injecting : 'good';
        },
      },
      refresh: () => ({}),
    });
    await send();
    expect(sent).toEqual(['Bearer good']);
  });
});

describe('A refresh that gives an empty string', () => {
  it.each<[string, unknown, unknown]>([
    ['a token', 'refused', ''],
    ['an access token', { access_token: 'refused' }, { access_token: '' }],
  ])('for %s has failed: the session and its token are kept', async (_, token, empty) => {
    const answers = [empty, 'good'];
    if (typeof token === 'object') answers[1] = { access_token: 'good' };
    const refresh = vi.fn(() => answers.shift());
    const { send } = echoing<unknown>({ token, refresh });
    const error = await failureOf(send());
    expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'REFRESH_FAILED' });
    expect(error.cause).toEqual(new TypeError('"refresh" must return a token'));
    expect(await (await send()).text()).toBe('Bearer good');
    expect(refresh).toHaveBeenCalledTimes(2);
  });
});

describe('`expires_in`', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it.each<[unknown, 'never' | 'at once']>([
    ['soon', 'never'],
    [Number.NaN, 'never'],
    [Number.POSITIVE_INFINITY, 'never'],
    ['1e999', 'never'],
    [{}, 'never'],
    [undefined, 'never'],
    [0, 'at once'],
    [-1, 'at once'],
    [null, 'at once'],
    ['', 'at once'],
  ])('of %j says that the token of a sign-in expires %s', async (expires_in, when) => {
    const refresh = vi.fn(() => ({ access_token: 'second', expires_in }));
    const { send } = echoing<object>({ token: { access_token: 'first', expires_in }, refresh });
    expect(await (await send()).text()).toBe(when === 'never' ? 'Bearer first' : 'Bearer second');
    // A fresh one that has expired already tells of a clock that is off: no refresh per request.
    await send();
    vi.setSystemTime(Date.now() + 1e12);
    await send();
    expect(refresh).toHaveBeenCalledTimes(when === 'never' ? 0 : 1);
  });
});

describe('`expiresAt`, beside what test/token-source-time.test.ts says,', () => {
  it.each<[string, unknown]>([
    ['a symbol', Symbol('x')],
    ['a bigint', 1_767_225_600_000n],
    ['a promise', Promise.resolve(1_767_225_600_000)],
    ['a boolean', true],
    ['an object', {}],
    ['the last of the seconds', 99_999_999_999],
  ])('must give epoch milliseconds, not %s', async (_, wrong) => {
    const warned = vi.spyOn(console, 'warn');
    onTestFinished(() => warned.mockRestore());
    const expiresAt = () => wrong as number;
    const message = /^"expiresAt\(\)" must be epoch milliseconds, not seconds, got .+ \(\w+\)$/;
    expect(() => createTokenSource({ token: 'a', refresh: () => 'b', expiresAt })).toThrow(message);
    const refresh = vi.fn(() => 'secret');
    const tokens = createTokenSource<string>({ refresh, expiresAt });
    // The token has come, and is used; whoever asks when it expires hears what is wrong.
    await tokens.get();
    for (let n = 0; n < 2; n++) {
      const error = await failureOf(tokens.get());
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(message);
      expect(error.message).not.toContain('secret');
    }
    expect(refresh).toHaveBeenCalledTimes(1);
    expect(warned).not.toHaveBeenCalled();
  });

  it.each([Number.NEGATIVE_INFINITY, -1, -0, 0, 1e9 - 1])('may be long ago: %d', async (at) => {
    const tokens = createTokenSource({ token: 'old', refresh: () => 'new', expiresAt: () => at });
    expect((await tokens.get()).token).toBe('new');
    expect((await tokens.get()).token).toBe('new');
  });
});
