import { check } from '../check.ts';
import type { LockGrant, TokenLocks } from '../shared-tokens.ts';

/** A lock in a server that ends by itself, so that a holder that died blocks nobody for long. */
export interface Lease {
  /**
   * Takes it if it is free.
   *
   * @returns Its fence, greater than any before, and whether the engine knows of none before. Or 0, and
   *   the milliseconds until it ends by itself.
   */
  take(): Promise<LockGrant & { fence: number; isFirst?: boolean; left?: number }>;
  /** Makes it end later, if it is still held. @returns Whether it is. */
  renew(fence: number): Promise<boolean>;
  /** Lets it go, if it is still held. */
  release(fence: number): Promise<unknown>;
  /** Calls the listener when it may be free. Missing where nothing tells. */
  subscribe: ((listener: () => void) => () => void) | undefined;
}

/** Milliseconds between two looks at a lease that another realm holds, should no message come: they grow. */
const FIRST_LOOK = 50;
const LAST_LOOK = 1_000;

/** Locks by leases, for one name. */
export class LeaseLocks implements TokenLocks {
  /** The fence of the lease that is held, 0 for none. A write that lets it go sets that. */
  fence = 0;
  /** Until when the lease of another realm lasts, as far as is known, by the monotonic clock. */
  #othersUntil = 0;
  readonly #lease: Lease;
  readonly #duration: number;

  /** @param duration Milliseconds after which a lease that is not renewed ends: 100 or more. */
  constructor(lease: Lease, duration: number) {
    check('lease', duration, 'a number of milliseconds, 100 or more', duration >= 100);
    this.#lease = lease;
    this.#duration = duration;
  }

  async request<Result>(
    _name: string,
    { signal }: { signal: AbortSignal },
    callback: (grant: LockGrant) => Promise<Result>,
  ): Promise<Result> {
    const lease = this.#lease;
    const duration = this.#duration;
    const until = instants();
    /** By both clocks, counted from before the engine was asked. */
    const extend = (asked: Instants) => {
      for (const clock of CLOCKS) until[clock] = asked[clock] + duration;
    };

    let look = FIRST_LOOK;
    for (;;) {
      const asked = instants();
      const { left = 0, isFirst, ...grant } = await lease.take();
      if (!grant.fence) {
        this.#othersUntil = performance.now() + left;
        // Not all at once.
        const wait = Math.min(left + 1, look * (1 + Math.random() / 2));
        look = Math.min(look * 1.5, LAST_LOOK);
        await this.#wake(wait, signal);
        continue;
      }
      extend(asked);
      this.fence = grant.fence;
      const timer = setInterval(() => {
        const renewed = instants();
        lease.renew(grant.fence).then(
          (isHeld) => extend(isHeld ? renewed : NEVER),
          // It may be renewed the next time; else it ends.
          () => {},
        );
      }, duration / 3);
      timer.unref?.();
      try {
        // The engine has lost its data and with it a lease, whose holder may still be at work. It is
        // given its time; should it write meanwhile, the signal aborts.
        const rest = () => (isFirst ? this.#othersUntil - performance.now() : 0);
        while (rest() > 0) {
          grant.stored = undefined;
          await this.#wake(rest(), signal);
        }
        const assertHeld = () => {
          const now = instants();
          if (CLOCKS.some((clock) => now[clock] >= until[clock]))
            throw new Error('the lock is lost');
        };
        return await callback({ ...grant, assertHeld });
      } finally {
        clearInterval(timer);
        if (this.fence === grant.fence) {
          this.fence = 0;
          // Should it fail, the lease ends by itself.
          await lease.release(grant.fence).catch(() => {});
        }
      }
    }
  }

  /** Resolves when the lease may be free; rejects when the signal aborts. */
  #wake(wait: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        unsubscribe?.();
        signal.removeEventListener('abort', end);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const timer = setTimeout(end, wait);
      const unsubscribe = this.#lease.subscribe?.(end);
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
  }
}

/** The wall clock also runs while a machine sleeps; the monotonic one is never set back. */
const CLOCKS = ['wall', 'monotonic'] as const;
type Instants = Record<(typeof CLOCKS)[number], number>;

const instants = (): Instants => ({ wall: Date.now(), monotonic: performance.now() });

const NEVER: Instants = { wall: -Infinity, monotonic: -Infinity };
