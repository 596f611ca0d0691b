import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, type RefreshContext, type TokenSourceOptions } from '../src/index.ts';
import { gate, type Gate } from './gate.ts';

interface Token {
  name: string;
  expiresAt?: number;
}

const answered = (status: number, headers: Record<string, string> = {}) =>
  Object.assign(new Error('refused'), { response: new Response(null, { status, headers }) });

/** A source on a clock of the test's own, whose refreshes wait for the test. */
function timed(options: Partial<TokenSourceOptions<Token>> = {}) {
  const refreshes: (Gate<Token> & RefreshContext<Token | undefined>)[] = [];
  const tokens = createTokenSource<Token>({
    token: { name: 'first' },
    expiresAt: (token) => token.expiresAt,
    ...options,
    refresh: (context) => {
      const refresh = { ...gate<Token>(), ...context };
      refreshes.push(refresh);
      return refresh.promise;
    },
  });
  const name = async () => (await tokens.get()).token.name;
  const renew = async () => (await tokens.renew(await tokens.get())).token.name;
  return { tokens, refreshes, name, renew };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Lets promises run on a clock that stands still. */
const flush = () => vi.advanceTimersByTimeAsync(0);

describe('§4.3 Ahead of time', () => {
  const token = () => ({ name: 'first', expiresAt: Date.now() + MINUTE });

  it('sends with the token until it expires, then waits for one refresh', async () => {
    const { tokens, refreshes, name } = timed({ token: token() });
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(0);

    await vi.advanceTimersByTimeAsync(1);
    const waiting = [name(), name()];
    expect(tokens.refreshing).toBe(true);
    refreshes[0]!.open({ name: 'second' });
    expect(await Promise.all(waiting)).toEqual(['second', 'second']);
    expect(refreshes).toHaveLength(1);
  });

  it('begins one refresh in the background, and sends with the old token meanwhile', async () => {
    const onRefresh = vi.fn();
    const { tokens, refreshes, name } = timed({
      token: token(),
      refreshAhead: 10 * SECOND,
      onRefresh,
    });
    await vi.advanceTimersByTimeAsync(49 * SECOND);
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(0);

    await vi.advanceTimersByTimeAsync(2 * SECOND);
    expect([await name(), await name(), await name()]).toEqual(['first', 'first', 'first']);
    expect(refreshes).toHaveLength(1);
    expect(tokens.refreshing).toBe(true);
    refreshes[0]!.open({ name: 'second', expiresAt: Date.now() + MINUTE });
    await flush();
    expect(await name()).toBe('second');
    expect(refreshes).toHaveLength(1);
    expect(onRefresh).toHaveBeenCalledWith(expect.objectContaining({ callers: 0, attempts: 1 }));
  });

  it('begins up to a tenth later, by chance', async () => {
    const { refreshes, name } = timed({ token: token(), refreshAhead: 10 * SECOND });
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const jittered = timed({ token: token(), refreshAhead: 10 * SECOND });
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const early = timed({ token: token(), refreshAhead: 10 * SECOND });
    await vi.advanceTimersByTimeAsync(50 * SECOND);
    await Promise.all([early.name(), jittered.name()]);
    expect([early.refreshes.length, jittered.refreshes.length]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(0.5 * SECOND);
    await jittered.name();
    expect(jittered.refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(0.5 * SECOND);
    await name();
    expect(refreshes).toHaveLength(1);
  });

  it('lets a refused request and an expired token wait for the background refresh', async () => {
    const { tokens, refreshes, name } = timed({ token: token(), refreshAhead: 10 * SECOND });
    const first = await tokens.get();
    await vi.advanceTimersByTimeAsync(51 * SECOND);
    await name();
    const renewal = tokens.renew(first);
    const held = name();
    refreshes[0]!.open({ name: 'second' });
    expect((await renewal).token.name).toBe('second');
    expect(await held).toBe('second');
    expect(refreshes).toHaveLength(1);
  });

  it('costs nothing when it fails: the token lives out its time', async () => {
    const { refreshes, name } = timed({
      token: token(),
      refreshAhead: 10 * SECOND,
      retry: { retries: 0 },
    });
    await vi.advanceTimersByTimeAsync(50 * SECOND + 1000);
    await name();
    refreshes[0]!.fail(answered(503));
    await flush();
    expect(await name()).toBe('first');
    await vi.advanceTimersByTimeAsync(9 * SECOND - 1);
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    void name();
    expect(refreshes).toHaveLength(2);
  });

  it('lets the token live out its time when it fails for good; only then the session ends', async () => {
    const onSessionExpired = vi.fn();
    const { refreshes, name } = timed({
      token: token(),
      refreshAhead: 10 * SECOND,
      onSessionExpired,
    });
    await vi.advanceTimersByTimeAsync(51 * SECOND);
    await name();
    refreshes[0]!.fail(answered(400));
    await flush();
    await vi.advanceTimersByTimeAsync(9 * SECOND - 1);
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(1);
    expect(onSessionExpired).not.toHaveBeenCalled();

    await vi.advanceTimersByTimeAsync(1);
    const waiting = name();
    refreshes[1]!.fail(answered(400));
    await expect(waiting).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    expect(onSessionExpired).toHaveBeenCalledTimes(1);
  });

  it('begins on time all the same when a refresh for a refusal has failed before', async () => {
    const { tokens, refreshes, name } = timed({
      token: token(),
      refreshAhead: 10 * SECOND,
      retry: { retries: 0 },
    });
    const renewal = tokens.renew(await tokens.get());
    refreshes[0]!.fail(answered(503));
    await expect(renewal).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    await vi.advanceTimersByTimeAsync(51 * SECOND);
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(2);
  });

  it('ends the session when someone waits for the background refresh that fails for good', async () => {
    const { tokens, refreshes, name } = timed({ token: token(), refreshAhead: 10 * SECOND });
    const first = await tokens.get();
    await vi.advanceTimersByTimeAsync(51 * SECOND);
    await name();
    const renewal = tokens.renew(first);
    refreshes[0]!.fail(answered(400));
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
  });

  it('goes by the wall clock at each use, so a sleeping machine wakes with an expired token', async () => {
    const { refreshes, name } = timed({ token: token() });
    vi.setSystemTime(Date.now() + 60 * MINUTE);
    const waiting = name();
    refreshes[0]!.open({ name: 'second' });
    expect(await waiting).toBe('second');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not refresh in circles when `refreshAhead` is longer than a token lives', async () => {
    const { refreshes, name, renew } = timed({ refreshAhead: 60 * MINUTE });
    const renewal = renew();
    await flush();
    refreshes[0]!.open({ name: 'second', expiresAt: Date.now() + MINUTE });
    expect(await renewal).toBe('second');
    await name();
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    await name();
    expect(refreshes).toHaveLength(2);
  });

  it.each([1, 1e15])('refreshes first when the first token expired %i ms ago', async (ago) => {
    const expiresAt = () => Math.max(Date.now() - ago, 0);
    const { refreshes, name } = timed({ token: token(), expiresAt });
    void name();
    expect(refreshes).toHaveLength(1);
  });

  it('uses a fresh token until it is refused when by this clock it has expired already', async () => {
    const { refreshes, name, renew } = timed();
    const renewal = renew();
    await flush();
    refreshes[0]!.open({ name: 'second', expiresAt: Date.now() - 60 * MINUTE });
    expect(await renewal).toBe('second');
    expect([await name(), await name()]).toEqual(['second', 'second']);
    expect(refreshes).toHaveLength(1);
  });
});

describe('`expiresAt`', () => {
  it.each([
    [Number.NaN, 'NaN (number)'],
    [new Date('2026-01-01T00:00:00Z'), /\(object\)$/],
    [1_767_225_600, '1767225600 (number)'],
    ['2026', '"2026" (string)'],
  ])('must give epoch milliseconds, not %s', async (wrong, got) => {
    const expiresAt = () => wrong as number;
    const message = /^"expiresAt\(\)" must be epoch milliseconds, not seconds, got/;
    expect(() => timed({ expiresAt })).toThrow(message);
    expect(() => timed({ expiresAt })).toThrow(got);
    const tokens = createTokenSource<Token>({ refresh: () => ({ name: 'x' }), expiresAt });
    await expect(tokens.set({ name: 'y' })).rejects.toThrow(message);
  });

  it('takes for seconds what is from 1e9 to 1e11, and nothing else', () => {
    const message = 'not seconds';
    for (const at of [1e9, 1e11 - 1]) {
      expect(() => timed({ expiresAt: () => at })).toThrow(message);
    }
    for (const at of [0, 1e9 - 1, 1e11]) expect(() => timed({ expiresAt: () => at })).not.toThrow();
  });

  it('loses no token when it throws: `get` says so until it is mended', async () => {
    const tokens = createTokenSource<Token>({
      refresh: () => ({ name: 'second' }),
      expiresAt: () => {
        throw new RangeError('no JWT');
      },
    });
    expect((await tokens.get()).token.name).toBe('second');
    await expect(tokens.get()).rejects.toThrow(new RangeError('no JWT'));
  });

  it.each([undefined, null, Number.POSITIVE_INFINITY])('%s means that nobody knows', async (at) => {
    const { name, refreshes } = timed({ expiresAt: () => at, refreshAhead: MINUTE });
    expect(await name()).toBe('first');
    expect(refreshes).toHaveLength(0);
  });
});

describe('§4.4 Retries inside the flight', () => {
  it.each([
    ['a network error', new TypeError('fetch failed')],
    ['no status', new Error('socket hang up')],
    ['nothing at all', undefined],
    ['status 0, which is no answer', Object.assign(new Error('x'), { response: { status: 0 } })],
    ['status 408', answered(408)],
    ['status 429', answered(429)],
    ['status 503', answered(503)],
  ])('retries %s, for all who wait', async (_, error) => {
    const onRefresh = vi.fn();
    const { refreshes, renew, tokens } = timed({ onRefresh });
    const renewals = [renew(), renew()];
    await flush();
    refreshes[0]!.fail(error);
    await flush();
    expect(tokens.refreshing).toBe(true);
    await vi.advanceTimersByTimeAsync(SECOND);
    refreshes[1]!.open({ name: 'second' });
    expect(await Promise.all(renewals)).toEqual(['second', 'second']);
    expect(onRefresh).toHaveBeenCalledWith(expect.objectContaining({ attempts: 2, callers: 2 }));
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([400, 401, 403, 404])('does not retry status %i', async (status) => {
    const { refreshes, renew } = timed();
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(answered(status));
    await expect(renewal).rejects.toMatchObject({ name: expect.any(String) });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(refreshes).toHaveLength(1);
  });

  it('does not retry what `isFinal` calls final, whatever its status', async () => {
    const { refreshes, renew } = timed({ isFinal: () => true });
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(answered(503));
    await expect(renewal).rejects.toMatchObject({ code: 'SESSION_EXPIRED' });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(refreshes).toHaveLength(1);
  });

  it('does not retry a programming error', async () => {
    const { refreshes, renew } = timed();
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(new TypeError("Cannot read properties of undefined (reading 'x')"));
    await expect(renewal).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(refreshes).toHaveLength(1);
  });

  it('waits as the options of p-retry say, and gives up after `retries`', async () => {
    const retry = { retries: 2, minTimeout: 100, factor: 3, randomize: false };
    const { refreshes, renew } = timed({ retry });
    const renewal = renew();
    const outcome = expect(renewal).rejects.toThrow('refresh failed with status 500');
    for (const [attempt, wait] of [
      [1, 100],
      [2, 300],
    ] as const) {
      await flush();
      expect(refreshes).toHaveLength(attempt);
      refreshes[attempt - 1]!.fail(answered(500));
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(refreshes).toHaveLength(attempt);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(refreshes).toHaveLength(3);
    refreshes[2]!.fail(answered(500));
    await outcome;
  });

  it('begins no attempt after `maxRetryTime`', async () => {
    const retry = {
      minTimeout: SECOND,
      maxTimeout: SECOND,
      maxRetryTime: 2.5 * SECOND,
      randomize: false,
    };
    const { refreshes, renew } = timed({ retry: { ...retry, retries: Infinity } });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
    for (let attempt = 0; attempt < 10; attempt++) {
      await flush();
      refreshes.at(-1)!.fail(answered(500));
      await vi.advanceTimersByTimeAsync(SECOND);
    }
    await outcome;
    expect(refreshes.length).toBeLessThanOrEqual(4);
    expect(refreshes.length).toBeGreaterThan(2);
  });

  it('waits longer than by default when `minTimeout` says so', async () => {
    const { refreshes, renew } = timed({ retry: { minTimeout: 8 * SECOND, randomize: false } });
    void renew();
    await flush();
    refreshes[0]!.fail(answered(500));
    await vi.advanceTimersByTimeAsync(8 * SECOND - 1);
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(refreshes).toHaveLength(2);
  });

  it.each([
    ['seconds', () => '7'],
    ['a date', () => new Date(Date.now() + 7 * SECOND).toUTCString()],
  ])('waits as long as Retry-After says, in %s', async (_, retryAfter) => {
    const { refreshes, renew } = timed({ retry: { minTimeout: 0 } });
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(answered(429, { 'retry-after': retryAfter() }));
    await vi.advanceTimersByTimeAsync(7 * SECOND - 1);
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    refreshes[1]!.open({ name: 'second' });
    expect(await renewal).toBe('second');
  });

  it('reads Retry-After from plain headers, as axios 0 has them', async () => {
    const { refreshes, renew } = timed({ retry: { minTimeout: 0 } });
    void renew();
    await flush();
    const response = { status: 503, headers: { 'retry-after': '3' } };
    refreshes[0]!.fail(Object.assign(new Error('x'), { response }));
    await vi.advanceTimersByTimeAsync(3 * SECOND - 1);
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(refreshes).toHaveLength(2);
  });

  it('fails at once when Retry-After is longer than there is time', async () => {
    const { refreshes, renew } = timed();
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(answered(503, { 'retry-after': '31536000' }));
    await expect(renewal).rejects.toMatchObject({ code: 'REFRESH_FAILED' });
  });

  it('waits as Retry-After says where timers are numbers, as in a browser', async () => {
    const { setTimeout } = globalThis;
    vi.stubGlobal('setTimeout', (...args: Parameters<typeof setTimeout>) =>
      Number(setTimeout(...args)),
    );
    const { refreshes, renew } = timed({ retry: { minTimeout: 0 } });
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(answered(429, { 'retry-after': '7' }));
    await vi.advanceTimersByTimeAsync(7 * SECOND + 1);
    refreshes[1]!.open({ name: 'second' });
    expect(await renewal).toBe('second');
  });

  it('waits up to twice as long, by chance, unless `randomize` is false', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const { refreshes, renew } = timed();
    void renew();
    await flush();
    refreshes[0]!.fail(answered(503));
    await vi.advanceTimersByTimeAsync(749);
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(refreshes).toHaveLength(2);
  });

  it('waits for Retry-After to the end of `timeout`, and no longer', async () => {
    const { refreshes, renew } = timed({ timeout: 7 * SECOND });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await flush();
    refreshes[0]!.fail(answered(503, { 'retry-after': '7' }));
    await vi.advanceTimersByTimeAsync(7 * SECOND);
    await outcome;
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(refreshes).toHaveLength(1);
  });

  it.each(['soon', '-5', ''])('retries as usual when Retry-After is %j', async (retryAfter) => {
    const { refreshes, renew } = timed();
    void renew();
    await flush();
    refreshes[0]!.fail(answered(503, { 'retry-after': retryAfter }));
    await vi.advanceTimersByTimeAsync(SECOND);
    expect(refreshes).toHaveLength(2);
  });

  it.each(['set', 'clear'] as const)(
    'ends with `%s`, also while it waits to retry',
    async (method) => {
      const { tokens, refreshes, renew } = timed();
      const renewal = renew();
      await flush();
      refreshes[0]!.fail(answered(503));
      await flush();
      void tokens[method]({ name: 'other' });
      await expect(renewal).rejects.toMatchObject({ name: 'SessionExpiredError' });
      await vi.advanceTimersByTimeAsync(MINUTE);
      expect(refreshes).toHaveLength(1);
    },
  );
});

describe('§4.10 onRefresh', () => {
  it('is told how long the refresh took, in milliseconds, retries included', async () => {
    const onRefresh = vi.fn();
    const { refreshes, renew } = timed({ onRefresh, retry: { minTimeout: 250, randomize: false } });
    await vi.advanceTimersByTimeAsync(SECOND);
    const renewal = renew();
    await vi.advanceTimersByTimeAsync(40);
    refreshes[0]!.fail(answered(503));
    await vi.advanceTimersByTimeAsync(250);
    refreshes[1]!.open({ name: 'second' });
    await renewal;
    expect(onRefresh).toHaveBeenCalledWith(expect.objectContaining({ duration: 290 }));
  });
});

describe('§4.6 A hung refresh ends', () => {
  it('at 30 seconds by default, retries included; the message says what usually causes it', async () => {
    const { tokens, refreshes, renew } = timed();
    const waiting = [renew(), renew()];
    await flush();
    refreshes[0]!.fail(answered(503));
    await vi.advanceTimersByTimeAsync(30 * SECOND - 1);
    expect(tokens.refreshing).toBe(true);
    expect(refreshes[1]!.signal.aborted).toBe(false);
    const outcomes = Promise.allSettled(waiting);
    await vi.advanceTimersByTimeAsync(1);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: {
          name: 'RefreshFailedError',
          code: 'REFRESH_TIMEOUT',
          message: expect.stringContaining(
            'sent through the wrapped client, refresh awaits itself',
          ),
        },
      });
    }
    expect(refreshes[1]!.signal.aborted).toBe(true);
    expect(tokens.refreshing).toBe(false);
  });

  it('at `timeout`, and the next caller tries again', async () => {
    const { refreshes, renew } = timed({ timeout: 50 });
    const hung = renew();
    const outcome = expect(hung).rejects.toThrow('"timeout" is reached');
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    const again = renew();
    await flush();
    refreshes[1]!.open({ name: 'second' });
    expect(await again).toBe('second');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('a second later when its realm was stopped, as a frozen tab is: the answer may be there', async () => {
    const { refreshes, renew } = timed({ timeout: 50 });
    const answered = renew();
    await flush();
    // Time alone goes on, and the timer comes late.
    vi.setSystemTime(Date.now() + 60_000);
    await vi.advanceTimersByTimeAsync(50);
    expect(refreshes[0]!.signal.aborted).toBe(false);
    refreshes[0]!.open({ name: 'there already' });
    expect(await answered).toBe('there already');
    expect(vi.getTimerCount()).toBe(0);

    const hung = renew();
    const outcome = expect(hung).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await flush();
    vi.setSystemTime(Date.now() + 60_000);
    await vi.advanceTimersByTimeAsync(50 + 999);
    expect(refreshes[1]!.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await outcome;
    expect(refreshes[1]!.signal.aborted).toBe(true);
  });

  it('on time when the timer is late by no more than 100 ms, as any may be', async () => {
    const { refreshes, renew } = timed({ timeout: 50 });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await flush();
    vi.setSystemTime(Date.now() + 100);
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    expect(refreshes[0]!.signal.aborted).toBe(true);
  });

  it('loses no token that comes after the timeout: the server has rotated', async () => {
    const { refreshes, renew, name } = timed({ timeout: 50 });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    refreshes[0]!.open({ name: 'late' });
    await flush();
    expect(await name()).toBe('late');
    expect(refreshes).toHaveLength(1);
  });

  it('lets no late token overwrite that of a refresh that began after it', async () => {
    const { refreshes, renew, name } = timed({ timeout: 50 });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    const again = renew();
    await flush();
    refreshes[1]!.open({ name: 'newer' });
    expect(await again).toBe('newer');
    refreshes[0]!.open({ name: 'late' });
    await flush();
    expect(await name()).toBe('newer');
  });

  it('uses a late token when the refresh that began after it fails', async () => {
    const { refreshes, renew, name } = timed({ timeout: 50 });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    const again = renew();
    await flush();
    refreshes[0]!.open({ name: 'late' });
    await flush();
    refreshes[1]!.fail(answered(400));
    expect(await again).toBe('late');
    expect(await name()).toBe('late');
  });

  it('discards a late token of a session that is over', async () => {
    const { tokens, refreshes, renew, name } = timed({ timeout: 50 });
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await vi.advanceTimersByTimeAsync(50);
    await outcome;
    await tokens.set({ name: 'other user' });
    refreshes[0]!.open({ name: 'late' });
    await flush();
    expect(await name()).toBe('other user');
  });
});

describe('An OAuth token response works as it is', () => {
  const response = (name: string, more: object = {}) => ({
    access_token: name,
    expires_in: 60,
    ...more,
  });

  it('expires `expires_in` seconds after it came (RFC 6749 §5.1)', async () => {
    let refreshes = 0;
    const tokens = createTokenSource({
      token: response('first'),
      refresh: () => response(`refreshed ${++refreshes}`),
    });
    const sent = async () => (await tokens.get()).token.access_token;
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect(await sent()).toBe('first');
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent()).toBe('refreshed 1');
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect(await sent()).toBe('refreshed 1');
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent()).toBe('refreshed 2');
  });

  it('takes `expires_in` as a string too, and does without it', async () => {
    const tokens = createTokenSource<object>({
      token: { access_token: 'a', expires_in: '60' },
      refresh: () => ({ access_token: 'b' }),
    });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect((await tokens.get()).token).toEqual({ access_token: 'b' });
    await vi.advanceTimersByTimeAsync(1000 * MINUTE);
    expect((await tokens.get()).token).toEqual({ access_token: 'b' });
  });

  it('is used until it is refused when `expires_in` is 0', async () => {
    const refresh = vi.fn(() => ({ access_token: 'second', expires_in: 0 }));
    const tokens = createTokenSource<{ access_token: string; expires_in: number }>({ refresh });
    for (let count = 0; count < 3; count++) {
      expect((await tokens.get()).token.access_token).toBe('second');
    }
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it('keeps the old refresh token when the response has none (RFC 6749 §6)', async () => {
    const seen: unknown[] = [];
    const answers = [response('b'), response('c', { refresh_token: 'R2' }), response('d')];
    const tokens = createTokenSource<ReturnType<typeof response> & { refresh_token?: string }>({
      token: { ...response('a'), refresh_token: 'R1' },
      refresh: ({ token }) => {
        seen.push(token.refresh_token);
        return answers.shift()!;
      },
    });
    for (let count = 0; count < 3; count++) await tokens.renew(await tokens.get());
    expect(seen).toEqual(['R1', 'R1', 'R2']);
    expect((await tokens.get()).token).toEqual({ ...response('d'), refresh_token: 'R2' });
  });

  it('is otherwise the very object that `refresh` returned, with whatever hangs on it', async () => {
    const answer = { ...response('b'), refresh_token: 'R2' };
    Object.defineProperty(answer, 'claims', { value: () => 'hidden, as openid-client has it' });
    const tokens = createTokenSource({
      token: { ...response('a'), refresh_token: 'R1' },
      refresh: () => answer,
    });
    await tokens.renew(await tokens.get());
    expect((await tokens.get()).token).toBe(answer);
  });
});
