import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  sharedTokens,
  type RefreshFailedError,
  type StoredSession,
  type TokenLocks,
  type TokenSource,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { gate, settled, type Gate } from '../gate.ts';
import { timerOf } from '../timer.ts';
import { MemoryTokens } from './memory-tokens.ts';

/** A place where a test can come between a realm and the store. */
class Place extends MemoryTokens<string> {
  beforeRead: () => unknown = () => {};
  beforeWrite: (stored: StoredSession<string>) => unknown = () => {};
  afterWrite: (isWritten: boolean) => unknown = () => {};

  override async read() {
    await this.beforeRead();
    return super.read();
  }

  override async write(...args: Parameters<MemoryTokens<string>['write']>) {
    await this.beforeWrite(args[0]);
    const isWritten = await super.write(...args);
    await this.afterWrite(isWritten);
    return isWritten;
  }
}

/** Calls a function the first time only. */
const once = (action: () => unknown) => {
  let isOver = false;
  return () => {
    if (isOver) return undefined;
    isOver = true;
    return action();
  };
};

/** Fails the first time only, before anything is written. */
const notSent = () =>
  once(() => {
    throw new Error('not even sent');
  });

const sources: TokenSource<string>[] = [];

/** Another realm that shares the place. Its tokens are named after it. */
function open(
  place: Place,
  name: string,
  options: Partial<TokenSourceOptions<string>> = {},
  locks: TokenLocks = place,
): TokenSource<string> {
  let number = 0;
  const source = createTokenSource<string>({
    refresh: () => `${name}${++number}`,
    retry: { retries: 0 },
    shared: sharedTokens({ name: 'session', locks, store: place }),
    ...options,
  });
  sources.push(source);
  return source;
}

const tokenOf = async (source: TokenSource<string>) => (await source.get()).token;
const renew = async (source: TokenSource<string>) => source.renew(await source.get());
const errorOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );

/** Waits until the lock has been asked for. */
const arrival = (requests: unknown[], count: number) =>
  vi.waitFor(() => expect(requests).toHaveLength(count), { interval: 1 });

/** Locks that one test holds and gives. */
function heldLocks() {
  const requests: { signal: AbortSignal; grant: (grant?: unknown) => Promise<unknown> }[] = [];
  const locks: TokenLocks = {
    request: (_name, { signal }, callback) =>
      new Promise((resolve, reject) => {
        const grant = (given: unknown) => {
          const done = callback(given);
          done.then(resolve, reject);
          return done;
        };
        requests.push({ signal, grant });
      }),
  };
  return { locks, requests };
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const source of sources.splice(0)) source.close();
});

/** Two realms of one session, while the clock stands. */
async function signedIn() {
  vi.useFakeTimers({ now: 1_000_000 });
  const place = new Place();
  const [one, other] = [open(place, 'a'), open(place, 'b')];
  await one.set('first');
  await other.get();
  return { place, one, other };
}

describe('A realm that waits for the lock', () => {
  it('goes on with the token of another realm while the lock is still held, and withdraws', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a');
    await one.set('first');
    const other = open(place, 'b', {}, locks);
    await other.get();
    const waiting = renew(other);
    await arrival(requests, 1);
    await renew(one);
    expect((await waiting).token).toBe('a1');
    expect(requests[0]!.signal.aborted).toBe(true);
  });

  it('reads once when a message comes, and goes on', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    const reads = vi.fn();
    place.beforeRead = reads;
    const { session, version } = place.stored!;
    place.stored = { version: version + 1, session, token: 'theirs', writtenAt: 0 };
    for (const listener of place.listeners) listener();
    expect((await waiting).token).toBe('theirs');
    await settled();
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('waits on when the token of another realm has expired already', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const expiresAt = (token: string) => (token === 'expired' ? Date.now() - 1_000 : undefined);
    const one = open(
      place,
      'a',
      { expiresAt, refresh: ({ token }) => `${token}, refreshed` },
      locks,
    );
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    const { session, version } = place.stored!;
    // It was good for a while when it was written.
    place.stored = {
      version: version + 1,
      session,
      token: 'expired',
      writtenAt: performance.now() - 60_000,
    };
    for (const listener of place.listeners) listener();
    await settled();
    expect(requests[0]!.signal.aborted).toBe(false);
    await requests[0]!.grant();
    expect((await waiting).token).toBe('expired, refreshed');
  });

  it('asks for the lock of its session', async () => {
    const place = new Place();
    const names: string[] = [];
    const locks: TokenLocks = {
      request: (name, options, callback) => {
        names.push(name);
        return place.request(name, options, callback);
      },
    };
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    await renew(one);
    expect(names).toEqual(['oneflight:session']);
  });

  it('finds the token of another realm though no message came', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a');
    await one.set('first');
    const other = open(place, 'b', {}, locks);
    await other.get();
    other.close();
    const waiting = renew(other);
    await arrival(requests, 1);
    await renew(one);
    expect((await waiting).token).toBe('a1');
  });

  it.each([
    ['at the earliest', 0, 1],
    ['by chance up to half of that later', 0.5, 1.25],
  ])('looks at the store less and less often, every second at last: %s', async (_, chance, by) => {
    vi.useFakeTimers({ now: 0 });
    vi.spyOn(Math, 'random').mockReturnValue(chance);
    const place = new Place();
    const { locks } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    await one.get();
    await vi.advanceTimersByTimeAsync(0);
    const waiting = errorOf(renew(one));
    await vi.advanceTimersByTimeAsync(0);
    const looks = [Date.now()];
    place.beforeRead = () => looks.push(Date.now());
    await vi.advanceTimersByTimeAsync(10_000);
    const waits = looks.slice(1).map((at, index) => at - looks[index]!);
    const expected = [40, 60, 90, 135, 202.5, 303.75, 455.6, 683.4, 1_000, 1_000, 1_000];
    for (const [index, wait] of expected.entries()) {
      expect(Math.abs(waits[index]! - wait * by)).toBeLessThan(2);
    }
    await one.clear();
    expect(await waiting).toMatchObject({ code: 'SIGNED_OUT' });
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not refresh when the lock comes after its time', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const refresh = vi.fn(() => 'next');
    const one = open(place, 'a', { timeout: 20, refresh }, locks);
    await one.set('first');
    const error: RefreshFailedError = await errorOf(renew(one));
    expect(error).toMatchObject({ code: 'REFRESH_TIMEOUT', name: 'RefreshFailedError' });
    await requests[0]!.grant();
    expect(refresh).not.toHaveBeenCalled();
  });

  it('looks once more before it gives up', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a');
    await one.set('first');
    const other = open(place, 'b', { timeout: 30 }, locks);
    await other.get();
    other.close();
    const waiting = renew(other);
    await arrival(requests, 1);
    place.stored = {
      version: Date.now() + 9,
      session: place.stored!.session,
      token: 'new',
      writtenAt: 0,
    };
    expect((await waiting).token).toBe('new');
  });

  it('stops waiting when its session is over', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    const waiting = errorOf(renew(one));
    await arrival(requests, 1);
    await one.clear();
    expect(await waiting).toMatchObject({ code: 'SIGNED_OUT' });
    expect(requests[0]!.signal.aborted).toBe(true);
  });

  it('tells of locks that fail, as a failure for now', async () => {
    const cause = new Error('no locks today');
    const locks: TokenLocks = { request: () => Promise.reject(cause) };
    const one = open(new Place(), 'a', {}, locks);
    await one.set('first');
    expect(await errorOf(renew(one))).toMatchObject({
      name: 'RefreshFailedError',
      code: 'STORE_FAILED',
      message: 'the lock or the store failed',
      cause,
    });
  });
});

describe('A realm that has the lock', () => {
  it('does not send when the lock is lost, and waits for it again', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const refresh = vi.fn(() => 'next');
    const one = open(place, 'a', { refresh, retry: { retries: 3 } }, locks);
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    const assertHeld = () => {
      throw new Error('lost');
    };
    await requests[0]!.grant({ assertHeld });
    expect(refresh).not.toHaveBeenCalled();
    await arrival(requests, 2);
    await requests[1]!.grant({ assertHeld: () => {} });
    expect((await waiting).token).toBe('next');
    expect(refresh).toHaveBeenCalledTimes(1);
  });

  it('sends at once when the lock does not end by itself', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    await requests[0]!.grant({});
    expect((await waiting).token).toBe('a1');
  });

  it('is not disturbed by a signal: that is for those who wait', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const sent = gate();
    const refresh = () => {
      sent.open();
      return gate<string>().promise;
    };
    const one = open(place, 'a', { refresh }, locks);
    await one.set('first');
    const waiting = errorOf(renew(one));
    await arrival(requests, 1);
    void requests[0]!.grant();
    await sent.promise;
    await one.clear();
    expect(await waiting).toMatchObject({ code: 'SIGNED_OUT' });
    expect(requests[0]!.signal.aborted).toBe(false);
  });

  it('writes nothing of a session that has ended while it refreshed', async () => {
    const place = new Place();
    const sent = gate();
    const answer = gate<string>();
    const refresh = () => {
      sent.open();
      return answer.promise;
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    const waiting = errorOf(renew(one));
    await sent.promise;
    await one.clear();
    answer.open('late');
    await waiting;
    await settled();
    expect(place.stored).toMatchObject({ over: 'SIGNED_OUT' });
  });

  it('tells of a refresh that failed with nothing at all as of any other', async () => {
    const one = open(new Place(), 'a', { refresh: () => Promise.reject(undefined) });
    await one.set('first');
    expect(await errorOf(renew(one))).toMatchObject({ code: 'REFRESH_FAILED' });
  });

  it('loses no token when `expiresAt` throws', async () => {
    let isBroken = false;
    const expiresAt = () => {
      if (isBroken) throw new RangeError('no JWT');
      return undefined;
    };
    const refresh = () => {
      isBroken = true;
      return 'next';
    };
    const one = open(new Place(), 'a', { expiresAt, refresh });
    await one.set('first');
    expect((await renew(one)).token).toBe('next');
  });

  it('reads nothing after its token is written', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    one.close();
    const waiting = renew(one);
    await arrival(requests, 1);
    const reads = vi.fn();
    place.beforeRead = reads;
    await requests[0]!.grant();
    expect((await waiting).token).toBe('a1');
    // Before it sent.
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('adopts what another realm has written first, instead of its own token', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    await one.get();
    const { session, version } = place.stored!;
    place.beforeWrite = once(() => {
      place.stored = { version: version + 5, session, token: 'theirs', writtenAt: 0 };
    });
    expect((await renew(one)).token).toBe('theirs');
    expect(await tokenOf(one)).toBe('theirs');
    expect(place.stored!.token).toBe('theirs');
  });

  it('keeps its own token when what another realm has written first is lost at once', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    await one.get();
    const { session, version } = place.stored!;
    let reads = 0;
    place.beforeWrite = once(() => {
      place.stored = { version: version + 5, session, token: 'theirs', writtenAt: 0 };
      // It is seen when the write is refused, and gone when it is to be adopted.
      place.beforeRead = () => {
        if (++reads === 2) place.stored = undefined;
      };
    });
    expect((await renew(one)).token).toBe('a1');
    expect(await tokenOf(one)).toBe('a1');
  });

  it('keeps its own token when the store loses the one before, and has it back at once', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    await one.get();
    const before = place.stored;
    place.beforeWrite = once(() => {
      place.stored = undefined;
      // It is missing when the write is refused, and there again at the next.
      place.beforeWrite = once(() => {
        place.stored = before;
      });
    });
    expect((await renew(one)).token).toBe('a1');
    expect(place.stored!.token).toBe('a1');
  });

  it('checks the lock before every attempt, last thing before it sends', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const order: string[] = [];
    const refresh = () => {
      order.push('send');
      if (order.length < 4) throw new Error('no network');
      return 'next';
    };
    const retry = { retries: 3, minTimeout: 1 };
    const one = open(place, 'a', { refresh, retry }, locks);
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    await requests[0]!.grant({ assertHeld: () => order.push('check') });
    await waiting;
    expect(order).toEqual(['check', 'send', 'check', 'send']);
  });

  it('uses what the grant says is stored instead of a look of its own', async () => {
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', {}, locks);
    await one.set('first');
    const waiting = renew(one);
    await arrival(requests, 1);
    const reads = vi.fn();
    place.beforeRead = reads;
    const { session, version } = place.stored!;
    const stored = { version: version + 1, session, token: 'theirs', age: 0 };
    await requests[0]!.grant({ stored });
    expect((await waiting).token).toBe('theirs');
    expect(reads).not.toHaveBeenCalled();
  });

  it('keeps it until the token is stored, while its callers have it already', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    await one.set('first');
    await other.get();
    const healed = gate();
    let isDown = true;
    place.beforeWrite = () => {
      if (isDown) throw new Error('down');
    };
    void healed.promise.then(() => (isDown = false));
    expect((await renew(one)).token).toBe('a1');
    const waiting = renew(other);
    await settled();
    healed.open();
    expect((await waiting).token).toBe('a1');
    expect(place.stored!.token).toBe('a1');
  });

  it('tries to write its token for as long as `timeout`, less and less often, then lets it go', async () => {
    vi.useFakeTimers({ now: 0 });
    const place = new Place();
    const { locks, requests } = heldLocks();
    const one = open(place, 'a', { timeout: 3_000 }, locks);
    await one.set('first');
    const waiting = renew(one);
    await vi.advanceTimersByTimeAsync(0);
    const tries: number[] = [];
    place.beforeWrite = () => {
      tries.push(Date.now());
      throw new Error('down');
    };
    const done = requests[0]!.grant().then(() => Date.now());
    expect((await waiting).token).toBe('a1');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(tries).toEqual([0, 0, 25, 100, 325, 1_000, 2_000, 3_000]);
    expect(await done).toBe(3_000);
  });

  it('lets it go though the store stays down, after `timeout`', async () => {
    const place = new Place();
    const one = open(place, 'a', { timeout: 60 });
    await one.set('first');
    place.beforeWrite = () => {
      throw new Error('down');
    };
    await renew(one);
    place.beforeWrite = () => {};
    place.stored = undefined;
    // Granted at last; the token that is unsaved yet is written before the store is read.
    const other = open(place, 'b', { token: 'first', timeout: 2_000 });
    await vi.waitFor(async () => expect((await renew(other)).token).toMatch(/a1|b1/), 2_000);
  });

  it('adopts the token of a realm that was faster, when its own refresh is refused', async () => {
    const place = new Place();
    const refusal = Object.assign(new Error('refused'), { status: 400 });
    const refresh = () => {
      // Without coordination another realm has used the token first, and is about to write.
      setTimeout(() => {
        place.stored = { ...place.stored!, version: place.stored!.version + 1, token: 'theirs' };
      }, 20);
      throw refusal;
    };
    const heard = vi.fn();
    const one = open(place, 'a', { refresh, onSessionExpired: heard });
    await one.set('first');
    expect((await renew(one)).token).toBe('theirs');
    expect(heard).not.toHaveBeenCalled();
    expect(place.stored).toMatchObject({ token: 'theirs' });
    expect(place.stored!.over).toBe(undefined);
  });

  it('ends no session whose next token comes at the last moment', async () => {
    vi.useFakeTimers();
    const place = new Place();
    let looks = 0;
    const refresh = () => {
      place.beforeRead = () => {
        // While the last look reads, a message comes: of what the look after that finds.
        if (++looks === 5) for (const listener of place.listeners) listener();
        if (looks !== 6) return;
        place.stored = { ...place.stored!, version: place.stored!.version + 1, token: 'theirs' };
      };
      throw Object.assign(new Error('refused'), { status: 400 });
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    const waiting = renew(one);
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await waiting).token).toBe('theirs');
    expect(place.stored!.over).toBe(undefined);
  });

  it('looks for the token of a faster realm for a second, when its own refresh is refused', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const looks: number[] = [];
    let refusedAt = 0;
    const refresh = () => {
      refusedAt = Date.now();
      place.beforeRead = () => looks.push(Date.now() - refusedAt);
      throw Object.assign(new Error('refused'), { status: 400 });
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    const outcome = errorOf(renew(one));
    await vi.advanceTimersByTimeAsync(999);
    expect(place.stored!.over).toBe(undefined);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toMatchObject({ code: 'SESSION_EXPIRED' });
    expect(new Set(looks)).toEqual(new Set([0, 50, 200, 500, 1_000]));
    expect(place.stored).toMatchObject({ over: 'SESSION_EXPIRED' });
  });

  it('adopts what comes while it is about to end the session, when its refresh is refused', async () => {
    const place = new Place();
    const refusal = Object.assign(new Error('refused'), { status: 400 });
    let looks = 0;
    const refresh = () => {
      looks = 0;
      throw refusal;
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    const read = place.read.bind(place);
    place.read = async () => {
      const seen = await read();
      // In the last of five looks, too late to be seen by it.
      if (++looks === 5) {
        place.stored = { ...place.stored!, version: place.stored!.version + 1, token: 'theirs' };
        for (const tell of place.listeners) tell();
      }
      return seen;
    };
    expect((await renew(one)).token).toBe('theirs');
    expect(place.stored).toMatchObject({ token: 'theirs' });
  });

  it('tells why the session is over, though the store cannot be told', async () => {
    const place = new Place();
    const refusal = Object.assign(new Error('refused'), { status: 400 });
    const refresh = () => {
      place.beforeRead = () => Promise.reject(new Error('down'));
      throw refusal;
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    expect(await errorOf(renew(one))).toMatchObject({ code: 'SESSION_EXPIRED', cause: refusal });
  });

  it('overwrites no newer token with its own', async () => {
    const place = new Place();
    const answered = gate<string>();
    const sent = gate();
    const refresh = () => {
      sent.open();
      return answered.promise;
    };
    const one = open(place, 'a', { refresh });
    await one.set('first');
    const waiting = renew(one);
    await sent.promise;
    // Another realm had the lease meanwhile; this one hears of it as its own answer comes.
    const { session, version } = place.stored!;
    place.stored = { version: version + 1, session, token: 'theirs', writtenAt: 0 };
    const reading = gate();
    const read = gate();
    place.beforeRead = once(() => {
      reading.open();
      return read.promise;
    });
    for (const listener of place.listeners) listener();
    await reading.promise;
    answered.open('mine');
    await settled();
    read.open();
    expect((await waiting).token).toBe('theirs');
    expect(place.stored.token).toBe('theirs');
  });

  it('writes its token though the store has gone back to what it was before', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    await one.set('first');
    const backup = place.stored!;
    await other.get();
    await renew(one);
    place.beforeWrite = once(() => {
      place.stored = { ...backup, version: backup.version - 5 };
    });
    expect((await renew(one)).token).toBe('a2');
    expect(place.stored!.token).toBe('a2');
  });

  it('gives up on a store that refuses every write, and does not hang', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    place.write = async () => false;
    expect((await renew(one)).token).toBe('a1');
    expect(await errorOf(one.set('next'))).toMatchObject({
      code: 'STORE_FAILED',
      cause: new Error('the store refuses every write'),
    });
    expect(await tokenOf(one)).toBe('next');
  });
});

describe('A sign-in', () => {
  it('wins over a refresh of the session before that is written at the same time', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    await one.set('first');
    await other.get();
    place.beforeWrite = once(() => renew(other));
    await one.set('second');
    expect(place.stored!.token).toBe('second');
    await vi.waitFor(async () => expect(await tokenOf(other)).toBe('second'));
  });

  it('of a realm that has not looked yet wins over what was there', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    const newcomer = open(place, 'b');
    place.beforeWrite = once(() => renew(one));
    await newcomer.set('second');
    expect(place.stored!.token).toBe('second');
  });

  it('wins over an earlier one that this realm has not heard of', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    one.close();
    await open(place, 'b').set('second');
    await new Promise((resolve) => setTimeout(resolve, 5));
    await one.set('third');
    expect(place.stored!.token).toBe('third');
  });

  it('yields to a later one that is stored before it, in the same millisecond too', async () => {
    const { place, one, other } = await signedIn();
    place.beforeWrite = once(() => other.set('third'));
    await one.set('second');
    expect(place.stored!.token).toBe('third');
    expect(await tokenOf(one)).toBe('third');
  });

  it('is written too, when it comes while another of its realm is being written', async () => {
    const place = new Place();
    const one = open(place, 'a');
    let second: Promise<void> | undefined;
    place.beforeWrite = once(() => {
      second = one.set('second');
    });
    await one.set('first');
    await second;
    expect(place.stored!.token).toBe('second');
  });

  it('is known again by its realm, when its own answer was lost', async () => {
    const place = new Place();
    const one = open(place, 'a');
    place.afterWrite = once(() => {
      throw new Error('the answer was lost');
    });
    const signingIn = one.set('first');
    const credential = await one.get();
    await signingIn;
    expect(await one.get()).toBe(credential);
  });

  it('is written though the store has just lost all it had', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    place.beforeWrite = once(() => {
      place.stored = undefined;
    });
    const tries = vi.spyOn(place, 'write');
    await one.set('second');
    expect(place.stored!.token).toBe('second');
    expect(tries).toHaveBeenCalledTimes(2);
  });

  it.each([
    ['what forestalled it is gone before it can be read', false, 0],
    ['it is gone itself, when its own answer was lost', true, 25],
  ])('is written at once though %s', async (_, isAnswerLost, wait) => {
    vi.useFakeTimers();
    const place = new Place();
    if (!isAnswerLost) await open(place, 'a').set('first');
    const newcomer = open(place, 'b');
    place.afterWrite = once(() => {
      place.beforeRead = once(() => {
        place.stored = undefined;
      });
      if (isAnswerLost) throw new Error('the answer was lost');
    });
    const signedIn = vi.fn();
    void newcomer.set('second').then(signedIn);
    await vi.advanceTimersByTimeAsync(wait);
    expect(signedIn).toHaveBeenCalled();
    expect(place.stored!.token).toBe('second');
  });

  it('reaches realms that know a later clock, though the store has lost all it had', async () => {
    vi.useFakeTimers({ now: 1_000_000 });
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    await one.set('first');
    expect(await tokenOf(other)).toBe('first');
    place.stored = undefined;
    vi.setSystemTime(500_000);
    await one.set('second');
    await vi.advanceTimersByTimeAsync(0);
    expect(await tokenOf(other)).toBe('second');
  });

  it('and realms that have written since it was begun', async () => {
    const { place, one, other } = await signedIn();
    place.beforeWrite = notSent();
    const signingIn = one.set('second');
    await vi.advanceTimersByTimeAsync(10);
    await renew(other);
    place.stored = undefined;
    await vi.advanceTimersByTimeAsync(15);
    await signingIn;
    expect(await tokenOf(other)).toBe('second');
  });

  it('elsewhere is told to the app, but not where the user has signed out before', async () => {
    const place = new Place();
    const heard = vi.fn();
    const one = open(place, 'a', { onSessionExpired: heard });
    const other = open(place, 'b');
    await one.set('first');
    const credential = await one.get();
    await other.set('second');
    await vi.waitFor(async () => expect(await tokenOf(one)).toBe('second'));
    expect(heard.mock.calls).toMatchObject([
      [{ code: 'SESSION_REPLACED', message: 'ended elsewhere' }],
    ]);
    expect((await errorOf(one.renew(credential))).code).toBe('SESSION_REPLACED');
    await one.clear();
    await other.set('third');
    await vi.waitFor(async () => expect(await tokenOf(one)).toBe('third'));
    expect(heard).toHaveBeenCalledTimes(1);
  });

  it('yields to a later one, when its own answer was lost', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    place.afterWrite = once(async () => {
      await other.set('later');
      throw new Error('the answer was lost');
    });
    await one.set('earlier');
    expect(place.stored!.token).toBe('later');
    expect(await tokenOf(one)).toBe('later');
  });

  it('does not undo a refresh of its own session, when its own answer was lost', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    place.afterWrite = once(async () => {
      await renew(other);
      throw new Error('the answer was lost');
    });
    await one.set('first');
    expect(place.stored!.token).toBe('b1');
    expect(await tokenOf(one)).toBe('b1');
  });

  it.each<[string, (other: TokenSource<string>) => Promise<unknown>, string]>([
    ['refresh', renew, 'b1'],
    ['sign-out', (other) => other.clear(), 'SIGNED_OUT'],
  ])(
    'does not take a %s of the same millisecond for its own, when a second try breaks',
    async (_, write, outcome) => {
      vi.useFakeTimers({ now: 1_000_000 });
      const place = new Place();
      const [one, other] = [open(place, 'a'), open(place, 'b')];
      place.afterWrite = once(() => {
        place.beforeWrite = notSent();
        throw new Error('the answer was lost');
      });
      const signingIn = one.set('first');
      await vi.advanceTimersByTimeAsync(0);
      expect(await tokenOf(other)).toBe('first');
      // The second try.
      await vi.advanceTimersByTimeAsync(25);
      await write(other);
      await vi.advanceTimersByTimeAsync(75);
      await signingIn;
      expect(await tokenOf(one).catch(({ code }) => code)).toBe(outcome);
    },
  );

  it('that cannot be written rejects, holds in its realm, and is written later', async () => {
    const place = new Place();
    const one = open(place, 'a');
    let isDown = true;
    place.beforeWrite = () => {
      if (isDown) throw new Error('down');
    };
    const error = await errorOf(one.set('first'));
    expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'STORE_FAILED' });
    expect(error.cause).toEqual(new Error('down'));
    expect(await tokenOf(one)).toBe('first');
    isDown = false;
    expect((await renew(one)).token).toBe('a1');
    expect(place.stored!.token).toBe('a1');
  });
});

describe('A sign-out', () => {
  it('does not take a refresh of the same millisecond for itself, when its first try breaks', async () => {
    const { place, one, other } = await signedIn();
    await vi.advanceTimersByTimeAsync(1_000);
    place.beforeWrite = notSent();
    const signingOut = one.clear();
    await renew(other);
    await vi.advanceTimersByTimeAsync(25);
    await signingOut;
    expect(place.stored).toMatchObject({ over: 'SIGNED_OUT' });
    expect(await errorOf(other.get())).toMatchObject({ code: 'SIGNED_OUT' });
  });

  it('is that of the session that was there, and has a name where none is known', async () => {
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    const { session } = place.stored!;
    await one.clear();
    expect(place.stored).toMatchObject({ session, over: 'SIGNED_OUT' });
    const elsewhere = new Place();
    await open(elsewhere, 'b').clear();
    expect(elsewhere.stored).toMatchObject({ session: expect.any(String), over: 'SIGNED_OUT' });
  });

  it('that is still to be written keeps no process alive', async () => {
    const place = new Place();
    const one = open(place, 'a', { timeout: 20_000 });
    await one.set('first');
    place.beforeWrite = () => {
      throw new Error('down');
    };
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const outcome = errorOf(one.clear());
    expect((await timerOf(timers, 25)).hasRef()).toBe(false);
    expect(await outcome).toMatchObject({ code: 'STORE_FAILED' });
  });

  it('that cannot be written rejects, holds in its realm, and is written on a later use', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    await one.get();
    await vi.advanceTimersByTimeAsync(5_000);
    await one.get();
    place.beforeWrite = () => {
      throw new Error('down');
    };
    const outcome = errorOf(one.clear());
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await outcome).toMatchObject({ code: 'STORE_FAILED' });
    expect(place.stored!.token).toBe('first');
    place.beforeWrite = () => {};
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await errorOf(one.get())).toMatchObject({ code: 'SIGNED_OUT' });
    await vi.advanceTimersByTimeAsync(0);
    expect(place.stored).toMatchObject({ over: 'SIGNED_OUT' });
  });

  it('wins over a refresh that is written at the same time', async () => {
    const place = new Place();
    const [one, other] = [open(place, 'a'), open(place, 'b')];
    await one.set('first');
    await other.get();
    place.beforeWrite = once(() => renew(other));
    await one.clear();
    expect(place.stored).toMatchObject({ over: 'SIGNED_OUT' });
    expect(place.stored!.token).toBe(undefined);
  });
});

describe('The store', () => {
  it('that does not answer is a failure for now after 5 seconds, and the next use tries again', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const one = open(place, 'a');
    let silence: Gate | undefined;
    await one.set('first');
    const credential = await one.get();
    await vi.advanceTimersByTimeAsync(0);
    silence = gate();
    place.beforeRead = () => silence?.promise;
    const outcome = errorOf(one.renew(credential));
    await vi.advanceTimersByTimeAsync(5_000);
    const error = await outcome;
    expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'STORE_FAILED' });
    expect(error.cause.message).toBe('no answer within 5000 ms');
    silence.open();
    silence = undefined;
    expect((await one.renew(credential)).token).toBe('a1');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that does not answer is a failure after a third of `timeout`, if that is sooner', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const one = open(place, 'a', { timeout: 3_000 });
    await one.set('first');
    const credential = await one.get();
    await vi.advanceTimersByTimeAsync(0);
    place.beforeRead = () => gate().promise;
    const outcome = errorOf(one.renew(credential));
    const heard = vi.fn();
    void outcome.then(heard);
    await vi.advanceTimersByTimeAsync(999);
    expect(heard).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect((await outcome).cause.message).toBe('no answer within 1000 ms');
  });

  it('is looked at on use every 5 seconds where it tells of no changes, every minute where it does', async () => {
    vi.useFakeTimers();
    for (const [isTelling, every] of [
      [false, 5_000],
      [true, 60_000],
    ] as const) {
      const place = new Place();
      if (!isTelling) place.subscribe = undefined as never;
      const one = open(place, 'a');
      await one.set('first');
      await one.get();
      await vi.advanceTimersByTimeAsync(every - 1);
      const reads = vi.fn();
      place.beforeRead = reads;
      await one.get();
      await vi.advanceTimersByTimeAsync(0);
      expect(reads).toHaveBeenCalledTimes(0);
      await vi.advanceTimersByTimeAsync(1);
      await one.get();
      await one.get();
      await vi.advanceTimersByTimeAsync(0);
      expect(reads).toHaveBeenCalledTimes(1);
    }
  });

  it('is not looked at, nor heard, after `close`', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const one = open(place, 'a');
    await one.set('first');
    one.close();
    const reads = vi.fn();
    place.beforeRead = reads;
    await vi.advanceTimersByTimeAsync(100_000);
    await one.get();
    expect(reads).not.toHaveBeenCalled();
    expect(place.listeners.size).toBe(0);
  });

  it('is read once by a realm that opens and is used at once', async () => {
    const place = new Place();
    await open(place, 'a').set('first');
    const reads = vi.fn();
    place.beforeRead = reads;
    const one = open(place, 'b');
    const found = await Promise.all([tokenOf(one), tokenOf(one)]);
    expect(found).toEqual(['first', 'first']);
    expect(reads).toHaveBeenCalledTimes(1);
  });
});

describe('`encode` and `decode`', () => {
  /** A realm whose tokens are encoded, and what it has encoded and decoded. */
  function encoded(place: Place) {
    const [encode, decode] = [vi.fn((token: string) => `<${token}>`), vi.fn(unwrap)];
    const shared = sharedTokens<string, string>({
      name: 'session',
      locks: place,
      store: place,
      encode,
      decode,
    });
    return { source: open(place, 'a', { shared }), encode, decode };
  }
  const unwrap = (text: string) => text.slice(1, -1);

  it('are asked for each token once', async () => {
    const place = new Place();
    const [one, other] = [encoded(place), encoded(place)];
    await one.source.set('first');
    expect(await tokenOf(other.source)).toBe('first');
    await settled();
    for (const listener of place.listeners) listener();
    await settled();
    expect([one.encode.mock.calls, one.decode.mock.calls]).toEqual([[['first']], []]);
    expect([other.encode.mock.calls, other.decode.mock.calls]).toEqual([[], [['<first>']]]);
  });

  it('are not asked when there is no token', async () => {
    const place = new Place();
    const [one, other] = [encoded(place), encoded(place)];
    await one.source.clear();
    expect(await errorOf(other.source.get())).toMatchObject({ code: 'SIGNED_OUT' });
    for (const { encode, decode } of [one, other]) {
      expect(encode).not.toHaveBeenCalled();
      expect(decode).not.toHaveBeenCalled();
    }
  });

  it('that fail let nothing overwrite what is later and could not be read', async () => {
    const place = new Place();
    const { source, decode } = encoded(place);
    await source.set('first');
    await source.get();
    source.close();
    const version = Date.now() + 60_000;
    place.beforeWrite = once(() => {
      decode.mockImplementation(() => {
        throw new Error('no key for now');
      });
      place.stored = { version, session: 'other', token: '<theirs>', writtenAt: 0 };
    });
    await renew(source);
    expect(await errorOf(source.set('mine'))).toMatchObject({ code: 'STORE_FAILED' });
    expect(place.stored!.token).toBe('<theirs>');
    decode.mockImplementation(unwrap);
    expect((await errorOf(renew(source))).code).toBe('SESSION_REPLACED');
    expect(await tokenOf(source)).toBe('theirs');
  });
});

describe('Bad input', () => {
  const place = new Place();
  const good = { name: 'session', locks: place, store: place };

  it.each([
    [{ ...good, name: '' }, '"name" must be a string that is not empty, got "" (string)'],
    [{ ...good, name: 7 }, '"name" must be a string that is not empty, got 7 (number)'],
    [
      { ...good, locks: undefined },
      '"locks.request" must be a function, got undefined (undefined)',
    ],
    [
      { ...good, store: { read: () => {} } },
      '"store.write" must be a function, got undefined (undefined)',
    ],
    [{ ...good, locks: {} }, '"locks.request" must be a function, got undefined (undefined)'],
    [{ ...good, store: undefined }, '"store.read" must be a function, got undefined (undefined)'],
    [{ ...good, encode: String }, '"decode" must be a function, got undefined (undefined)'],
    [{ ...good, decode: String }, '"encode" must be a function, got undefined (undefined)'],
  ])('%#: is a TypeError', (options, message) => {
    expect(() => sharedTokens(options as never)).toThrow(new TypeError(message));
  });

  it('tells that nothing is shared where the means are missing', () => {
    const create = sharedTokens as (options: typeof good, isCoordinated?: () => boolean) => any;
    expect(create(good).coordination).toBe('shared');
    expect(create(good, () => false).coordination).toBe('none');
  });

  it('a lease that outlasts the timeout of the source is a TypeError', () => {
    const shared = sharedTokens({ ...good, lease: 2_000 });
    expect(() => createTokenSource({ refresh: () => '', timeout: 2_000, shared })).toThrow(
      new TypeError(
        '"lease" must be a number of milliseconds below "timeout", which is 2000, got 2000 (number)',
      ),
    );
  });

  it('what is not made by `sharedTokens` is a TypeError', () => {
    expect(() => createTokenSource({ refresh: () => '', shared: good as never })).toThrow(
      '"shared" must be made by "sharedTokens"',
    );
  });
});
