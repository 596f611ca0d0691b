import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, FlightGroup, type TokenSourceOptions } from '../../src/index.ts';
import { gate, type Gate } from '../gate.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

interface Token {
  name: string;
  expiresAt?: number;
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const flush = () => vi.advanceTimersByTimeAsync(0);

/** Sets the clock of the machine, as the user or NTP does. The monotonic one goes on as it was. */
const jump = (by: number) => vi.setSystemTime(Date.now() + by);

function timed(options: Partial<TokenSourceOptions<Token>> = {}) {
  const refreshes: (Gate<Token> & { signal: AbortSignal })[] = [];
  const tokens = createTokenSource<Token>({
    token: { name: 'first' },
    expiresAt: (token) => token.expiresAt,
    retry: { retries: 0 },
    ...options,
    refresh: ({ signal }) => {
      const refresh = { ...gate<Token>(), signal };
      refreshes.push(refresh);
      return refresh.promise;
    },
  });
  const name = async () => (await tokens.get()).token.name;
  const renew = async () => (await tokens.renew(await tokens.get())).token.name;
  return { tokens, refreshes, name, renew };
}

describe.each([
  ['forward', HOUR],
  ['back', -HOUR],
])('A clock that jumps an hour %s during a refresh', (_, by) => {
  it('neither ends it early nor keeps it: it lands for all who wait', async () => {
    const { refreshes, name, renew } = timed();
    const waiting = [renew(), name()];
    await flush();
    jump(by);
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(refreshes[0]!.signal.aborted).toBe(false);
    refreshes[0]!.open({ name: 'second' });
    expect(await Promise.all(waiting)).toEqual(['second', expect.any(String)]);
    expect(refreshes).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends a hung one at `timeout`, or a second later when it looks like a machine that slept', async () => {
    const { tokens, refreshes, renew } = timed();
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await flush();
    jump(by);
    await vi.advanceTimersByTimeAsync(30 * SECOND - 1);
    expect(refreshes[0]!.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(by > 0 ? 1001 : 1);
    await outcome;
    expect(tokens.refreshing).toBe(false);
  });

  it('does not change how long a retry waits', async () => {
    const { refreshes, renew } = timed({
      retry: { retries: 1, minTimeout: 5 * SECOND, randomize: false, maxRetryTime: 10 * SECOND },
    });
    const renewal = renew();
    await flush();
    refreshes[0]!.fail(Object.assign(new Error('busy'), { status: 503 }));
    await flush();
    jump(by);
    await vi.advanceTimersByTimeAsync(5 * SECOND - 1);
    expect(refreshes).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    refreshes[1]!.open({ name: 'second' });
    expect(await renewal).toBe('second');
  });

  it('lets an OAuth token live from the moment it came, by the clock as it is then', async () => {
    const answers = [gate<object>(), gate<object>()];
    let count = 0;
    const tokens = createTokenSource<object>({
      token: { access_token: 'first', expires_in: 60 },
      refresh: () => answers[count++]!.promise,
    });
    const renewal = tokens.get().then(tokens.renew);
    await flush();
    jump(by);
    answers[0]!.open({ access_token: 'second', expires_in: 60 });
    await renewal;
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    expect((await tokens.get()).token).toMatchObject({ access_token: 'second' });
    expect(count).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    const next = tokens.get();
    answers[1]!.open({ access_token: 'third', expires_in: 60 });
    expect((await next).token).toMatchObject({ access_token: 'third' });
  });

  it('does not loosen `refreshLimit`, nor make it last', async () => {
    const tokens = createTokenSource({ token: 0, refresh: () => 1, refreshLimit: { count: 2 } });
    const renew = () => tokens.get().then(tokens.renew);
    await renew();
    jump(by);
    await renew();
    jump(by);
    await expect(renew()).rejects.toMatchObject({ code: 'REFRESH_LIMIT' });
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect((await renew()).token).toBe(1);
  });
});

describe('A clock that is an hour off', () => {
  it('ahead: a fresh token that looks expired is used until it is refused', async () => {
    const { refreshes, name, renew } = timed();
    const renewal = renew();
    await flush();
    refreshes[0]!.open({ name: 'second', expiresAt: Date.now() - HOUR + MINUTE });
    expect(await renewal).toBe('second');
    expect([await name(), await name()]).toEqual(['second', 'second']);
    const refused = renew();
    await flush();
    refreshes[1]!.open({ name: 'third' });
    expect(await refused).toBe('third');
  });

  it('set right while a token is good: back, it is used until it is refused; forward, it is replaced', async () => {
    const { refreshes, name } = timed({ token: { name: 'first', expiresAt: Date.now() + MINUTE } });
    jump(-HOUR);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(await name()).toBe('first');
    jump(HOUR);
    const waiting = name();
    refreshes[0]!.open({ name: 'second' });
    expect(await waiting).toBe('second');
  });

  it('set back after a token was refreshed ahead of time: one refresh, and no more', async () => {
    const { refreshes, name } = timed({
      token: { name: 'first', expiresAt: Date.now() + MINUTE },
      refreshAhead: 10 * SECOND,
    });
    await vi.advanceTimersByTimeAsync(55 * SECOND);
    await name();
    jump(-HOUR);
    refreshes[0]!.open({ name: 'second', expiresAt: Date.now() + MINUTE });
    await flush();
    expect([await name(), await name()]).toEqual(['second', 'second']);
    expect(refreshes).toHaveLength(1);
  });
});

describe('A clock that stands still', () => {
  it('the monotonic one: flights last 0 ms, and refreshes are as many as are allowed', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(5);
    const onLand = vi.fn();
    await new FlightGroup({ onLand }).run('a', () => 1);
    expect(onLand).toHaveBeenCalledWith(expect.objectContaining({ duration: 0 }));
    let count = 0;
    const tokens = createTokenSource({ token: 0, refresh: () => ++count });
    const renew = () => tokens.get().then(tokens.renew);
    for (let n = 0; n < 10; n++) await renew();
    await expect(renew()).rejects.toMatchObject({ code: 'REFRESH_LIMIT' });
    expect((await tokens.get()).token).toBe(10);
  });

  it('the wall clock: no token expires, a refused one is replaced, and a hung refresh ends', async () => {
    const { refreshes, name, renew } = timed({
      token: { name: 'first', expiresAt: Date.now() + MINUTE },
    });
    vi.spyOn(Date, 'now').mockReturnValue(Date.now());
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(await name()).toBe('first');
    const refused = renew();
    await flush();
    refreshes[0]!.open({ name: 'second' });
    expect(await refused).toBe('second');
    const outcome = expect(renew()).rejects.toMatchObject({ code: 'REFRESH_TIMEOUT' });
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    await outcome;
  });

  it('the wall clock, for a server that says until when to wait', async () => {
    const { refreshes, renew } = timed({ retry: { retries: 1, minTimeout: 0 } });
    const renewal = renew();
    await flush();
    const until = new Date(Date.now() + 7 * SECOND).toUTCString();
    vi.spyOn(Date, 'now').mockReturnValue(Date.now());
    refreshes[0]!.fail({ status: 429, headers: { 'retry-after': until } });
    await vi.advanceTimersByTimeAsync(7 * SECOND);
    refreshes[1]!.open({ name: 'second' });
    expect(await renewal).toBe('second');
  });
});

describe('Retry-After, beside what test/token-source-time.test.ts says,', () => {
  it.each<[string, 'at once' | 'never']>([
    ['0', 'at once'],
    ['-1', 'at once'],
    ['NaN', 'at once'],
    ['  ', 'at once'],
    ['soon', 'at once'],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 'at once'],
    ['Wed, 31 Dec 2025 23:59:59 GMT', 'at once'],
    ['1e999', 'never'],
    ['Infinity', 'never'],
    ['31536000', 'never'],
    ['30.001', 'never'],
    ['Fri, 01 Jan 2027 00:00:00 GMT', 'never'],
    ['Fri, 31 Dec 9999 23:59:59 GMT', 'never'],
  ])('of %j: is tried again %s', async (value, when) => {
    const { refreshes, renew } = timed({ retry: { retries: 1, minTimeout: 0 } });
    const renewal = renew().catch((error: { code: string }) => error.code);
    await flush();
    refreshes[0]!.fail({ status: 503, headers: new Headers({ 'retry-after': value }) });
    await flush();
    expect(refreshes).toHaveLength(when === 'never' ? 1 : 2);
    refreshes[1]?.open({ name: 'second' });
    expect(await renewal).toBe(when === 'never' ? 'REFRESH_FAILED' : 'second');
    expect(vi.getTimerCount()).toBe(0);
  });
});
