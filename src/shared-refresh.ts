import { AbortError } from 'p-retry';
import { storeFailure, type Entry, type SharedSession } from './shared-session.ts';
import type { LockGrant, SharedTokensOptions } from './shared-tokens.ts';
import { RefreshFailedError } from './token-refresh-error.ts';

/** A refresh that at most one realm runs. */
export interface SharedRefresh {
  /** Whether it is not needed any more: there is a newer token, or the session is over. */
  readonly isDone: () => boolean;
  /** Runs it. Calls `beforeSend` last before each attempt, and fails with what that throws. */
  readonly run: (beforeSend: () => void) => Promise<void>;
  /** What the other realms are to know after it has failed for good. */
  readonly verdict: () => Entry<never> | false;
  /** Aborts when nobody needs it any more. */
  readonly signal: AbortSignal;
}

/** Milliseconds between looks at the store while waiting for the lock: they grow. */
const FIRST_LOOK = 40;
const LAST_LOOK = 1_000;

/** Milliseconds between looks for the token of a realm that was faster: a second in all. */
const SECOND_LOOKS = [0, 50, 150, 300, 500];

/**
 * Waits until there is a newer token, or runs the refresh under the lock. What it rejects with means
 * nothing when there is a newer token all the same.
 */
export async function renewShared<Token>(
  options: Pick<SharedTokensOptions<Token>, 'name' | 'locks'>,
  session: SharedSession<Token>,
  timeout: number,
  refresh: SharedRefresh,
): Promise<void> {
  const giveUpAt = performance.now() + timeout;
  await session.look();
  for (;;) {
    if (refresh.isDone()) return;
    let isLost = false;
    await underLock(options, session, timeout, refresh, async (grant) => {
      await session.look(grant?.stored);
      if (refresh.isDone()) return;
      try {
        await refresh.run(() => {
          try {
            grant?.assertHeld?.();
          } catch (error) {
            isLost = true;
            throw new AbortError(error as Error);
          }
        });
      } catch (error) {
        // What the others are told is a courtesy: that it fails changes nothing here.
        await lookAgain(session, refresh).catch(() => {});
        if (!isLost) throw error;
        // Lost again and again, it is itself at fault.
        if (performance.now() >= giveUpAt) throw storeFailure(error);
      }
    });
    if (!isLost) return;
  }
}

/** After a refusal for good: a realm that was faster may have caused it, and have a token. */
async function lookAgain<Token>(
  session: SharedSession<Token>,
  { isDone, verdict }: SharedRefresh,
): Promise<void> {
  const entry = verdict();
  if (!entry) return;
  for (const wait of SECOND_LOOKS) {
    await sleep(wait);
    await session.look();
    if (isDone()) return;
  }
  await session.close(entry);
}

/** Does some work under the lock, unless the refresh is done before that is free. */
async function underLock<Token>(
  { name, locks }: Pick<SharedTokensOptions<Token>, 'name' | 'locks'>,
  session: SharedSession<Token>,
  timeout: number,
  { isDone, signal }: SharedRefresh,
  work: (grant: LockGrant | null) => Promise<void>,
): Promise<void> {
  const withdrawal = new AbortController();
  const withdraw = () => withdrawal.abort();
  const listener = () => {
    if (isDone()) withdraw();
  };
  let poll: ReturnType<typeof setTimeout>;
  /** A message may be lost, and some stores have none. */
  const lookIn = (wait: number) => {
    poll = setTimeout(
      () => {
        session.look().catch(() => {});
        lookIn(Math.min(wait * 1.5, LAST_LOOK));
      },
      wait * (1 + Math.random() / 2),
    );
  };
  const timer = setTimeout(withdraw, timeout);
  const stopWaiting = () => {
    clearTimeout(timer);
    clearTimeout(poll);
    session.listeners.delete(listener);
    signal.removeEventListener('abort', withdraw);
  };
  lookIn(FIRST_LOOK);
  session.listeners.add(listener);
  signal.addEventListener('abort', withdraw);

  /** Whether the lock was had: the errors of the work are passed on as they are. */
  let isHeld = false;
  const result = new Promise<void>((resolve, reject) => {
    // Nobody waits longer than the signal lets them, even for locks that do.
    withdrawal.signal.addEventListener('abort', reject);
    const request = async () =>
      locks.request(`oneflight:${name}`, { signal: withdrawal.signal }, async (grant) => {
        // Too late: it is let go at once.
        if (withdrawal.signal.aborted) return;
        stopWaiting();
        isHeld = true;
        const working = work(grant);
        resolve(working);
        await working.catch(() => {});
        // Without the new token in the store, the next holder would use the old one again.
        await session.settle(timeout);
      });
    request().then(resolve, reject);
  });
  try {
    await result;
  } catch (error) {
    if (isHeld) throw error;
    if (!withdrawal.signal.aborted) throw storeFailure(error);
    if (isDone()) return;
    await session.look();
    const message = `no lock within ${timeout} ms: does the refresh of its holder hang?`;
    throw new RefreshFailedError(message, 'REFRESH_TIMEOUT');
  } finally {
    stopWaiting();
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
