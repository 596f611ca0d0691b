import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaseLocks, type Lease } from '../../src/realms/lease.ts';
import type { LockGrant } from '../../src/index.ts';
import { gate } from '../gate.ts';

const DURATION = 900;

/** A lease of an engine that the test runs. */
class TestLease implements Lease {
  /** What the next `take` answers; the last one again and again. */
  answers: Awaited<ReturnType<Lease['take']>>[] = [{ fence: 1 }];
  readonly listeners = new Set<() => void>();
  takes = 0;
  take = async () => {
    this.takes++;
    return { ...(this.answers.length > 1 ? this.answers.shift()! : this.answers[0]!) };
  };
  renew = vi.fn<Lease['renew']>(async () => true);
  release = vi.fn<Lease['release']>(async () => {});
  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  tell() {
    for (const listener of this.listeners) listener();
  }
}

let lease: TestLease;
let locks: LeaseLocks;
const { signal } = new AbortController();

/** Holds the lock until the returned function is called. */
async function hold(given = signal) {
  const [held, letGo] = [gate<Required<LockGrant>>(), gate()];
  const done = locks.request('name', { signal: given }, async (grant) => {
    held.open(grant as Required<LockGrant>);
    await letGo.promise;
    return 'done';
  });
  const grant = await Promise.race([held.promise, done.then(() => expect.fail('not held'))]);
  const release = async () => {
    letGo.open();
    return done;
  };
  return { grant, release };
}

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
  });
  vi.spyOn(Math, 'random').mockReturnValue(0);
  lease = new TestLease();
  locks = new LeaseLocks(lease, DURATION);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('A lock by lease', () => {
  it('is held with the grant of the engine, and let go with its fence', async () => {
    const stored = { version: 1, session: 's', age: 0 };
    lease.answers = [{ fence: 7, stored }];
    const { grant, release } = await hold();
    expect(grant).toMatchObject({ fence: 7, stored });
    expect(grant).not.toHaveProperty('isFirst');
    expect(locks.fence).toBe(7);
    expect(await release()).toBe('done');
    expect(lease.release.mock.calls).toEqual([[7]]);
    expect(locks.fence).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is let go when what is done under it fails, whose error is passed on', async () => {
    const error = new Error('the work');
    const failing = locks.request('name', { signal }, () => Promise.reject(error));
    await expect(failing).rejects.toBe(error);
    expect(lease.release).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not let go twice when a write has done it', async () => {
    const { release } = await hold();
    locks.fence = 0;
    await release();
    expect(lease.release).not.toHaveBeenCalled();
  });

  it('does not fail when it cannot be let go: it ends by itself', async () => {
    lease.release.mockRejectedValue(new Error('gone'));
    const { release } = await hold();
    expect(await release()).toBe('done');
  });

  it('fails as the engine does', async () => {
    const error = new Error('gone');
    lease.take = () => Promise.reject(error);
    await expect(locks.request('name', { signal }, async () => {})).rejects.toBe(error);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('may end after 100 ms', () => {
    expect(() => new LeaseLocks(lease, 100)).not.toThrow();
  });

  it.each([99, Number.NaN, 'soon'])('takes no duration such as %s', (duration) => {
    expect(() => new LeaseLocks(lease, duration as number)).toThrow(
      /^"lease" must be a number of milliseconds, 100 or more, got /,
    );
  });
});

describe('A holder knows that its lease may have ended', () => {
  it('by the monotonic clock, though the wall clock was set back', async () => {
    lease.renew.mockRejectedValue(new Error('gone'));
    const { grant, release } = await hold();
    await vi.advanceTimersByTimeAsync(DURATION - 1);
    vi.setSystemTime(0);
    grant.assertHeld();
    await vi.advanceTimersByTimeAsync(1);
    expect(() => grant.assertHeld()).toThrow('the lock is lost');
    await release();
  });

  it('by the wall clock, though the monotonic one stood still while the machine slept', async () => {
    const { grant, release } = await hold();
    vi.setSystemTime(Date.now() + DURATION - 1);
    grant.assertHeld();
    vi.setSystemTime(Date.now() + 1);
    expect(() => grant.assertHeld()).toThrow('the lock is lost');
    await release();
  });

  it('counted from before the engine was asked', async () => {
    const { take } = lease;
    lease.take = async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      return take();
    };
    lease.renew.mockRejectedValue(new Error('gone'));
    const holding = hold();
    await vi.advanceTimersByTimeAsync(500);
    const { grant, release } = await holding;
    await vi.advanceTimersByTimeAsync(399);
    grant.assertHeld();
    await vi.advanceTimersByTimeAsync(1);
    expect(() => grant.assertHeld()).toThrow('the lock is lost');
    await release();
  });

  it('and makes it last, three times within its duration', async () => {
    lease.answers = [{ fence: 7 }];
    const { grant, release } = await hold();
    await vi.advanceTimersByTimeAsync(DURATION * 10);
    grant.assertHeld();
    expect(lease.renew.mock.calls.length).toBe(30);
    expect(lease.renew.mock.calls[0]).toEqual([7]);
    await release();
    await vi.advanceTimersByTimeAsync(DURATION);
    expect(lease.renew.mock.calls.length).toBe(30);
  });

  it('counted, when it is renewed, from before the engine was asked', async () => {
    lease.renew.mockImplementationOnce(async () => {
      await new Promise((resolve) => setTimeout(resolve, 250));
      return true;
    });
    lease.renew.mockRejectedValue(new Error('gone'));
    const { grant, release } = await hold();
    // Renewed at 300.
    await vi.advanceTimersByTimeAsync(300 + DURATION - 1);
    grant.assertHeld();
    await vi.advanceTimersByTimeAsync(1);
    expect(() => grant.assertHeld()).toThrow('the lock is lost');
    await release();
  });

  it('where timers are numbers, too', async () => {
    const { setInterval } = globalThis;
    vi.spyOn(globalThis, 'setInterval').mockImplementation(((...args: [() => void, number]) =>
      Number(setInterval(...args))) as never);
    const { grant, release } = await hold();
    await vi.advanceTimersByTimeAsync(DURATION * 2);
    grant.assertHeld();
    await release();
  });

  it('as soon as the engine says so', async () => {
    lease.renew.mockResolvedValue(false);
    const { grant, release } = await hold();
    await vi.advanceTimersByTimeAsync(DURATION / 3);
    expect(() => grant.assertHeld()).toThrow('the lock is lost');
    await release();
  });
});

describe('A waiter for a lease', () => {
  it('takes it when a message says that it is free', async () => {
    lease.answers = [{ fence: 0, left: 10_000 }, { fence: 2 }];
    const holding = hold();
    await vi.advanceTimersByTimeAsync(1);
    lease.tell();
    const { grant, release } = await holding;
    expect(grant.fence).toBe(2);
    expect(lease.listeners.size).toBe(0);
    await release();
  });

  it('takes it when it has ended by itself', async () => {
    lease.answers = [{ fence: 0, left: 20 }, { fence: 2 }];
    const holding = hold();
    await vi.advanceTimersByTimeAsync(20);
    expect(lease.takes).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    await (await holding).release();
    expect(lease.takes).toBe(2);
  });

  it('looks less and less often when no message comes, and once a second at least', async () => {
    lease.answers = [{ fence: 0, left: 1e6 }];
    const { abort, signal: own } = abortable();
    const waiting = locks.request('name', { signal: own }, async () => {});
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(1_000);
    // At 0, 50, 125, 238, 406, 659.
    expect(lease.takes).toBe(6);
    await vi.advanceTimersByTimeAsync(9_000);
    expect(lease.takes).toBeGreaterThanOrEqual(6 + 9);
    expect(lease.takes).toBeLessThanOrEqual(6 + 12);
    abort();
    await expect(waiting).rejects.toThrow('enough');
  });

  it('looks up to half of that later, by chance: not all waiters at once', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    lease.answers = [{ fence: 0, left: 1e6 }];
    const { abort, signal: own } = abortable();
    const waiting = locks.request('name', { signal: own }, async () => {});
    waiting.catch(() => {});
    // At 0, 62.5, 156.
    await vi.advanceTimersByTimeAsync(61);
    expect(lease.takes).toBe(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(lease.takes).toBe(2);
    await vi.advanceTimersByTimeAsync(90);
    expect(lease.takes).toBe(2);
    await vi.advanceTimersByTimeAsync(5);
    expect(lease.takes).toBe(3);
    abort();
    await expect(waiting).rejects.toThrow('enough');
  });

  it('leaves no listener with a signal that outlives it', async () => {
    lease.answers = [{ fence: 0, left: 20 }, { fence: 2 }];
    const { signal: own } = abortable();
    const holding = hold(own);
    await vi.advanceTimersByTimeAsync(21);
    await (await holding).release();
    expect(getEventListeners(own, 'abort')).toHaveLength(0);
  });

  it('leaves at once when its signal aborts, and leaves nothing behind', async () => {
    lease.answers = [{ fence: 0, left: 1e6 }];
    const { abort, signal: own } = abortable();
    const waiting = locks.request('name', { signal: own }, async () => {});
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(1);
    abort();
    await expect(waiting).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
    expect(lease.listeners.size).toBe(0);
    expect(lease.release).not.toHaveBeenCalled();
  });

  it('leaves when its signal had aborted before it began to wait', async () => {
    lease.answers = [{ fence: 0, left: 1e6 }];
    const aborted = AbortSignal.abort(new Error('enough'));
    const waiting = locks.request('name', { signal: aborted }, async () => {});
    await expect(waiting).rejects.toThrow('enough');
    expect(lease.listeners.size).toBe(0);
  });

  it('needs no messages', async () => {
    lease.answers = [{ fence: 0, left: 10_000 }, { fence: 2 }];
    lease.subscribe = undefined as never;
    const holding = hold();
    await vi.advanceTimersByTimeAsync(50);
    await (await holding).release();
  });
});

describe('A lease of which the engine has forgotten', () => {
  const stored = { version: 1, session: 's', age: 0 };

  it('is given the rest of its time before another is used', async () => {
    lease.answers = [
      { fence: 0, left: 400 },
      { fence: 9, isFirst: true, stored },
    ];
    const holding = hold();
    await vi.advanceTimersByTimeAsync(50);
    expect(lease.takes).toBe(2);
    let isHeld = false;
    void holding.then(() => (isHeld = true));
    // No message makes it shorter, and the new one is renewed meanwhile.
    await vi.advanceTimersByTimeAsync(100);
    lease.tell();
    await vi.advanceTimersByTimeAsync(249);
    expect(isHeld).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    const { grant, release } = await holding;
    // What was read then may not be there any more.
    expect(grant.stored).toBeUndefined();
    expect(lease.renew).toHaveBeenCalledWith(9);
    await release();
  });

  it('is let go when its waiter leaves meanwhile', async () => {
    lease.answers = [
      { fence: 0, left: 400 },
      { fence: 9, isFirst: true },
    ];
    const { abort, signal: own } = abortable();
    const waiting = locks.request('name', { signal: own }, async () => {});
    waiting.catch(() => {});
    await vi.advanceTimersByTimeAsync(60);
    abort();
    await expect(waiting).rejects.toThrow('enough');
    expect(lease.release.mock.calls).toEqual([[9]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('costs nobody anything who knows of no holder, or whose holder let it go', async () => {
    lease.answers = [{ fence: 1, isFirst: true, stored }];
    const first = await hold();
    expect(first.grant.stored).toBe(stored);
    await first.release();
    lease.answers = [{ fence: 0, left: 400 }, { fence: 2 }];
    const holding = hold();
    await vi.advanceTimersByTimeAsync(50);
    await (await holding).release();
  });
});

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) };
}
