import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  RefreshFailedError,
  SessionExpiredError,
  TokenRefreshError,
  type RefreshContext,
} from '../src/index.ts';
import { gate, settled } from './gate.ts';

/** What `refresh` throws when the server answers so: as an HTTP client's error has it. */
const answered = (status: number) => Object.assign(new Error('refused'), { status });

/** A source whose refreshes wait for the test: `refreshes[n]` is the gate of the n-th. */
function gated(options: Partial<Parameters<typeof createTokenSource<string>>[0]> = {}) {
  const refreshes: (ReturnType<typeof gate<string>> & RefreshContext<string | undefined>)[] = [];
  const tokens = createTokenSource<string>({
    token: 'first',
    retry: { retries: 0 },
    ...options,
    refresh: (context) => {
      const refresh = { ...gate<string>(), ...context };
      refreshes.push(refresh);
      return refresh.promise;
    },
  });
  return { tokens, refreshes };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('A credential', () => {
  it('is a token and its generation, and shows only the generation', async () => {
    const { tokens } = gated();
    const credential = await tokens.get();
    expect(credential.token).toBe('first');
    expect(credential.generation).toBe(1);
    expect(JSON.stringify(credential)).toBe('{"generation":1}');
    expect(Object.keys(credential)).toEqual(['generation']);
    expect(await tokens.get()).toBe(credential);
  });

  it('is of its own source alone, unless that shares: there is nothing to close', () => {
    const tokens = createTokenSource({ token: 'a', refresh: () => 'b' });
    expect(tokens.coordination).toBe('none');
    expect(tokens.close()).toBeUndefined();
  });

  it('counts generations over all sessions', async () => {
    const { tokens, refreshes } = gated();
    const first = await tokens.get();
    const renewed = tokens.renew(first);
    refreshes[0]!.open('second');
    expect((await renewed).generation).toBe(2);
    await tokens.set('third');
    expect((await tokens.get()).generation).toBe(3);
  });

  it('must be one of the source that it is given back to, and is not printed', async () => {
    const { tokens } = gated();
    const other = await gated().tokens.get();
    await expect(tokens.renew(other)).rejects.toThrow(
      new TypeError('"credential" is not from this token source'),
    );
    await expect(tokens.renew('eyJ.secret' as never)).rejects.toThrow(/^(?!.*secret)/);
  });
});

describe('A source without a token', () => {
  it.each([[undefined], [null]])('refreshes first, for all who ask: %s', async (token) => {
    const { tokens, refreshes } = gated({ token });
    const waiting = [tokens.get(), tokens.get(), tokens.get()];
    expect(refreshes).toHaveLength(1);
    expect(refreshes[0]!.token).toBe(undefined);
    refreshes[0]!.open('new');
    const [first, ...others] = await Promise.all(waiting);
    expect(first!.token).toBe('new');
    expect(others).toEqual([first, first]);
    expect(others[0]).toBe(first);
  });

  it('keeps sessions that have no token at all, as cookies do', async () => {
    const refresh = vi.fn(async () => {});
    const tokens = createTokenSource<void>({ refresh });
    const first = await tokens.get();
    expect(first.token).toBe(undefined);
    expect(refresh).toHaveBeenCalledTimes(1);
    await tokens.set();
    const signedIn = await tokens.get();
    expect(refresh).toHaveBeenCalledTimes(1);
    const renewed = await tokens.renew(signedIn);
    expect(refresh).toHaveBeenCalledTimes(2);
    expect(renewed.generation).toBeGreaterThan(signedIn.generation);
  });
});

describe('§4.1 Exactly one refresh per expiry', () => {
  it('answers all who were refused with one refresh', async () => {
    const { tokens, refreshes } = gated();
    const credential = await tokens.get();
    const renewals = Array.from({ length: 100 }, () => tokens.renew(credential));
    refreshes[0]!.open('second');
    const renewed = await Promise.all(renewals);
    expect(new Set(renewed.map(({ token }) => token))).toEqual(new Set(['second']));
    expect(refreshes).toHaveLength(1);
    expect(refreshes[0]!.token).toBe('first');
  });

  it('answers a refusal of an older generation with the newer credential', async () => {
    const { tokens, refreshes } = gated();
    const first = await tokens.get();
    const renewal = tokens.renew(first);
    refreshes[0]!.open('second');
    const second = await renewal;
    const another = tokens.renew(second);
    refreshes[1]!.open('third');
    const third = await another;

    expect(await tokens.renew(first)).toBe(third);
    expect(await tokens.renew(second)).toBe(third);
    expect(refreshes).toHaveLength(2);
  });

  it('lets an old refusal wait for the refresh that is running', async () => {
    const { tokens, refreshes } = gated();
    const first = await tokens.get();
    const renewal = tokens.renew(first);
    refreshes[0]!.open('second');
    const second = await renewal;
    void tokens.renew(second);
    const late = tokens.renew(first);
    refreshes[1]!.open('third');
    expect((await late).token).toBe('third');
    expect(refreshes).toHaveLength(2);
  });
});

describe('§4.2 Held, not wasted', () => {
  it('makes a request that begins while a refresh runs wait for it', async () => {
    const { tokens, refreshes } = gated();
    const renewal = tokens.renew(await tokens.get());
    expect(tokens.refreshing).toBe(true);
    const held = tokens.get();
    refreshes[0]!.open('second');
    expect(await held).toBe(await renewal);
    expect(tokens.refreshing).toBe(false);
  });
});

describe('§4.4 Transient or final', () => {
  const waysToTellAStatus: [string, (status: number) => unknown][] = [
    ['error.status', answered],
    ['error.response.status', (status) => Object.assign(new Error('x'), { response: { status } })],
    ['error.cause.status', (status) => new Error('x', { cause: new Response('', { status }) })],
    ['a thrown Response', (status) => new Response('', { status })],
    ['a plain object', (status) => ({ status })],
  ];

  it.each(waysToTellAStatus)('reads the status from %s', async (_, thrown) => {
    for (const [status, expected] of [
      [400, SessionExpiredError],
      [401, SessionExpiredError],
      [403, SessionExpiredError],
      [404, RefreshFailedError],
      [408, RefreshFailedError],
      [429, RefreshFailedError],
      [500, RefreshFailedError],
    ] as const) {
      const { tokens, refreshes } = gated();
      const renewal = tokens.renew(await tokens.get());
      const error = thrown(status);
      refreshes[0]!.fail(error);
      await expect(renewal).rejects.toBeInstanceOf(expected);
      await expect(renewal).rejects.toMatchObject({ cause: error });
      await expect(renewal).rejects.toThrow(`status ${status}`);
    }
  });

  it('tells of a failure without a status, and names none', async () => {
    const { tokens, refreshes } = gated();
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(new TypeError('fetch failed'));
    await expect(renewal).rejects.toThrow(/^refresh failed$/);
  });

  it('keeps the session after a transient failure, and the next caller tries again', async () => {
    const { tokens, refreshes } = gated();
    const first = await tokens.get();
    const failing = [tokens.renew(first), tokens.get()];
    refreshes[0]!.fail(answered(503));
    for (const renewal of failing) {
      await expect(renewal).rejects.toMatchObject({
        code: 'REFRESH_FAILED',
        name: 'RefreshFailedError',
      });
    }
    expect(await tokens.get()).toBe(first);
    const again = tokens.renew(first);
    refreshes[1]!.open('second');
    expect((await again).token).toBe('second');
  });

  it('lets `isFinal` decide instead', async () => {
    const isFinal = vi.fn((error: unknown) => (error as Error).message === 'invalid_grant');
    const { tokens, refreshes } = gated({ isFinal });
    const credential = await tokens.get();
    const first = tokens.renew(credential);
    refreshes[0]!.fail(answered(400));
    await expect(first).rejects.toBeInstanceOf(RefreshFailedError);
    const second = tokens.renew(credential);
    const error = new Error('invalid_grant');
    refreshes[1]!.fail(error);
    await expect(second).rejects.toBeInstanceOf(SessionExpiredError);
    expect(isFinal).toHaveBeenLastCalledWith(error);
    expect(isFinal).toHaveBeenCalledTimes(2);
  });

  it('keeps the session when `isFinal` itself throws, and shows what it threw', async () => {
    const bug = new Error('bug in isFinal');
    const { tokens, refreshes } = gated({
      isFinal: () => {
        throw bug;
      },
    });
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(answered(400));
    await expect(renewal).rejects.toMatchObject({ code: 'REFRESH_FAILED', cause: bug });
  });

  it('rejects when `refresh` throws instead of returning a promise', async () => {
    const error = answered(500);
    const tokens = createTokenSource<string>({
      retry: { retries: 0 },
      refresh: () => {
        throw error;
      },
    });
    await expect(tokens.get()).rejects.toMatchObject({ code: 'REFRESH_FAILED', cause: error });
  });

  it('keeps the session and its token when the answer held no token', async () => {
    const token = { access_token: 'a', refresh_token: 'r' };
    for (const [given, wrong] of [
      [token, undefined],
      [token, null],
      [token, { error: 'bad_refresh_token' }],
      [token, { access_token: 42 }],
      [token, 'a'],
      ['a', undefined],
      ['a', null],
    ]) {
      const tokens = createTokenSource<unknown>({ token: given, refresh: async () => wrong });
      const credential = await tokens.get();
      await expect(tokens.renew(credential)).rejects.toMatchObject({
        code: 'REFRESH_FAILED',
        cause: new TypeError('"refresh" must return a token'),
      });
      expect(await tokens.get()).toBe(credential);
    }
    const tokens = createTokenSource<string>({ token: 'a', refresh: () => undefined as never });
    await expect(tokens.renew(await tokens.get())).rejects.toMatchObject({
      cause: { name: 'TypeError' },
    });
    expect((await tokens.get()).token).toBe('a');
  });
});

describe('§4.5 A dead session is remembered', () => {
  it('gives every waiter and every later caller the same error, and refreshes no more', async () => {
    const onSessionExpired = vi.fn();
    const { tokens, refreshes } = gated({ onSessionExpired });
    const credential = await tokens.get();
    const waiters = [tokens.renew(credential), tokens.renew(credential), tokens.get()];
    refreshes[0]!.fail(answered(400));
    const errors = await Promise.all(
      [
        ...waiters,
        settled().then(() => tokens.get()),
        settled().then(() => tokens.renew(credential)),
      ].map((waiter) => waiter.catch((error: unknown) => error)),
    );
    const [error] = errors;
    expect(error).toBeInstanceOf(SessionExpiredError);
    expect(error).toMatchObject({ name: 'SessionExpiredError', code: 'SESSION_EXPIRED' });
    expect(errors.every((other) => other === error)).toBe(true);
    expect(refreshes).toHaveLength(1);
    expect(onSessionExpired).toHaveBeenCalledTimes(1);
    expect(onSessionExpired).toHaveBeenCalledWith(error);
  });

  it('lives again after `set`', async () => {
    const { tokens, refreshes } = gated();
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(answered(401));
    await expect(renewal).rejects.toBeInstanceOf(SessionExpiredError);
    await tokens.set('signed in');
    expect((await tokens.get()).token).toBe('signed in');
  });

  it('lets `onSessionExpired` sign in again at once', async () => {
    const { tokens, refreshes } = gated({ onSessionExpired: () => tokens.set('again') });
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(answered(401));
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    expect((await tokens.get()).token).toBe('again');
  });
});

describe('§4.7 The refresh belongs to no caller', () => {
  it("lets a caller leave at once with its reason; the refresh's signal does not abort", async () => {
    const { tokens, refreshes } = gated();
    const credential = await tokens.get();
    const [initiator, waiter] = [new AbortController(), new AbortController()];
    const first = tokens.renew(credential, initiator);
    const second = tokens.get(waiter);
    initiator.abort('initiator');
    await expect(first).rejects.toBe('initiator');
    waiter.abort('waiter');
    await expect(second).rejects.toBe('waiter');

    expect(refreshes[0]!.signal.aborted).toBe(false);
    refreshes[0]!.open('second');
    await settled();
    expect((await tokens.get()).token).toBe('second');
    expect(refreshes).toHaveLength(1);
  });

  it('starts nothing for a caller that has left already', async () => {
    const { tokens, refreshes } = gated({ token: undefined });
    const signal = AbortSignal.abort('gone');
    await expect(tokens.get({ signal })).rejects.toBe('gone');
    expect(refreshes).toHaveLength(0);
  });

  it('counts a caller who has left already for nothing', async () => {
    const { tokens, refreshes } = gated({ refreshLimit: { count: 1 } });
    const signal = AbortSignal.abort('gone');
    const credential = await tokens.get();
    await expect(tokens.renew(credential, { signal })).rejects.toBe('gone');
    expect(refreshes).toHaveLength(0);
    const renewal = tokens.renew(credential);
    refreshes[0]!.open('second');
    expect((await renewal).token).toBe('second');
  });

  it('rejects a signal that is none', async () => {
    const { tokens } = gated();
    const renewal = tokens.renew(await tokens.get(), { signal: 'now' as never });
    await expect(renewal).rejects.toThrow(TypeError);
  });
});

describe('§4.8 Sign-in and sign-out win, and no request crosses sessions', () => {
  it.each([
    ['set', 'SESSION_REPLACED'],
    ['clear', 'SIGNED_OUT'],
  ] as const)('`%s` rejects those who wait, at once, with %s', async (method, code) => {
    const onSessionExpired = vi.fn();
    const { tokens, refreshes } = gated({ onSessionExpired });
    const credential = await tokens.get();
    const waiters = [tokens.renew(credential), tokens.get(), tokens.get(new AbortController())];
    void tokens[method]('other user');
    for (const waiter of waiters) {
      await expect(waiter).rejects.toMatchObject({ name: 'SessionExpiredError', code });
    }
    await expect(tokens.renew(credential)).rejects.toMatchObject({ code });
    expect(refreshes).toHaveLength(1);
    expect(refreshes[0]!.signal.aborted).toBe(true);
    expect(onSessionExpired).not.toHaveBeenCalled();
  });

  it('discards a refresh that lands after `set`', async () => {
    const { tokens, refreshes } = gated();
    const renewal = tokens.renew(await tokens.get());
    await tokens.set('other user');
    refreshes[0]!.open("the first user's");
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_REPLACED' });
    await settled();
    expect((await tokens.get()).token).toBe('other user');
  });

  it('discards a refresh that lands or fails after `clear`', async () => {
    for (const end of ['open', 'fail'] as const) {
      const { tokens, refreshes } = gated();
      const renewal = tokens.renew(await tokens.get());
      await tokens.clear();
      refreshes[0]![end]('late');
      await expect(renewal).rejects.toMatchObject({ code: 'SIGNED_OUT' });
      await settled();
      await expect(tokens.get()).rejects.toMatchObject({ code: 'SIGNED_OUT' });
    }
  });

  it('says what to do instead when `refresh` itself calls `set`', async () => {
    const tokens = createTokenSource<string>({
      token: 'first',
      refresh: async () => {
        await tokens.set('second');
        return 'second';
      },
    });
    const renewal = tokens.renew(await tokens.get());
    await expect(renewal).rejects.toThrow('"set" began another session: refresh returns its token');
    expect((await tokens.get()).token).toBe('second');
  });

  it('does not make a new session wait for the refresh of an old one', async () => {
    const { tokens, refreshes } = gated();
    void tokens.renew(await tokens.get()).catch(() => {});
    await tokens.set('other user');
    const credential = await tokens.get();
    const renewal = tokens.renew(credential);
    expect(refreshes).toHaveLength(2);
    refreshes[1]!.open("the other user's second");
    expect((await renewal).token).toBe("the other user's second");
  });

  it('rejects when the session ends between the landing and its caller', async () => {
    const { tokens, refreshes } = gated({ onRefresh: () => tokens.set('other user') });
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.open('second');
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_REPLACED' });
  });

  it('keeps the first reason of a session that is over', async () => {
    const { tokens, refreshes } = gated();
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(answered(400));
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    await tokens.clear();
    await expect(tokens.get()).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
  });
});

describe('§4.9 No storm', () => {
  it('limits the refreshes in a window, and names the option', async () => {
    vi.useFakeTimers();
    let refreshes = 0;
    const tokens = createTokenSource({
      token: 0,
      refresh: () => ++refreshes,
      refreshLimit: { count: 3, window: 1000 },
    });
    const renew = async () => tokens.renew(await tokens.get());
    for (let count = 0; count < 3; count++) await renew();
    await expect(renew()).rejects.toMatchObject({
      code: 'REFRESH_LIMIT',
      message: expect.stringContaining('"refreshLimit"'),
    });
    expect(refreshes).toBe(3);
    vi.advanceTimersByTime(1000);
    await renew();
    expect(refreshes).toBe(4);
  });

  it('allows 10 in 30 seconds by default, any number with `false`, and starts anew with `set`', async () => {
    const count = async (options: object) => {
      let refreshes = 0;
      const tokens = createTokenSource({ token: 0, refresh: () => ++refreshes, ...options });
      const renewAll = async () => {
        for (let tries = 0; tries < 15; tries++)
          await tokens
            .get()
            .then(tokens.renew)
            .catch(() => {});
      };
      const before = await renewAll().then(() => refreshes);
      await tokens.set(0);
      await renewAll();
      return [before, refreshes];
    };
    expect(await count({})).toEqual([10, 20]);
    expect(await count({ refreshLimit: false })).toEqual([15, 30]);
  });
});

describe('§4.10 Hooks observe', () => {
  it('tells onRefresh of each refresh, before any caller hears', async () => {
    const onRefresh = vi.fn();
    const { tokens, refreshes } = gated({ onRefresh });
    const credential = await tokens.get();
    const heard = [tokens.renew(credential), tokens.get()].map((waiter) =>
      waiter.then(() => onRefresh.mock.calls.length),
    );
    refreshes[0]!.open('second');
    expect(await Promise.all(heard)).toEqual([1, 1]);
    expect(onRefresh).toHaveBeenCalledWith({
      status: 'fulfilled',
      duration: expect.any(Number),
      callers: 2,
      attempts: 1,
    });
    const failing = tokens.renew(await tokens.get());
    refreshes[1]!.fail(answered(500));
    await failing.catch(() => {});
    expect(onRefresh).toHaveBeenLastCalledWith(
      expect.objectContaining({ status: 'rejected', callers: 1 }),
    );
  });

  it('ignores what hooks throw or reject with', async () => {
    const hooks = [
      () => {
        throw new Error('hook');
      },
      () => Promise.reject(new Error('hook')),
    ];
    for (const hook of hooks) {
      const { tokens, refreshes } = gated({ onRefresh: hook, onSessionExpired: hook });
      const renewal = tokens.renew(await tokens.get());
      refreshes[0]!.open('second');
      expect((await renewal).token).toBe('second');
      const expiring = tokens.renew(await tokens.get());
      refreshes[1]!.fail(answered(400));
      await expect(expiring).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    }
    await settled();
  });
});

describe('§4.11 Secrets stay secret', () => {
  it('shows no response and no token in messages or fields of errors', async () => {
    const response = new Response('secret body', {
      status: 400,
      headers: { 'x-secret': 'secret' },
    });
    const { tokens, refreshes } = gated({ token: 'secret token' });
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(new Error('x', { cause: response }));
    const error: TokenRefreshError = await renewal.then(
      () => expect.unreachable(),
      (thrown: TokenRefreshError) => thrown,
    );
    expect(error).toBeInstanceOf(TokenRefreshError);
    expect(error.response).toBe(response);
    expect(Object.keys(error)).toEqual(['name', 'code']);
    expect(JSON.stringify(error) + error.message).not.toContain('secret');
  });
});

describe('An error of a source', () => {
  it('has a name of its own, which no minifier changes', () => {
    const errors = [TokenRefreshError, SessionExpiredError, RefreshFailedError].map(
      (Class) => new Class('message', 'REFRESH_FAILED').name,
    );
    expect(errors).toEqual(['TokenRefreshError', 'SessionExpiredError', 'RefreshFailedError']);
  });

  it('is the same for each request that waits, but for its own response', () => {
    const cause = new Error('cause');
    for (const Class of [SessionExpiredError, RefreshFailedError]) {
      const error = new Class('message', 'REFRESH_FAILED', cause, 'response').withResponse('own');
      expect(error).toBeInstanceOf(Class);
      const { message, code, response } = error;
      expect([message, code, error.cause, response]).toEqual([
        'message',
        'REFRESH_FAILED',
        cause,
        'own',
      ]);
    }
  });

  it('says in words why the session is over', async () => {
    const { tokens } = gated();
    await tokens.clear();
    await expect(tokens.get()).rejects.toThrow(/^signed out$/);
  });
});

describe('A source that is not shared', () => {
  it('says so, and can be closed all the same', () => {
    const { tokens } = gated();
    expect(tokens.coordination).toBe('none');
    expect(() => tokens.close()).not.toThrow();
  });
});

describe('The methods of a source', () => {
  it('can be passed on without it', async () => {
    const { get, renew, set, clear } = createTokenSource<string>({ refresh: () => 'refreshed' });
    const first = await get();
    expect((await renew(first)).token).toBe('refreshed');
    await set('signed in');
    expect((await get()).token).toBe('signed in');
    await clear();
    await expect(get()).rejects.toMatchObject({ code: 'SIGNED_OUT' });
  });
});
