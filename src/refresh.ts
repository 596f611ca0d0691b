import pRetry from 'p-retry';
import { answerOf, isTransient, retryAfter } from './refresh-failure.ts';
import { succeed } from './token-response.ts';
import type { readTokenSourceOptions } from './token-source-options.ts';

/** One refresh of one token. */
export interface Refresh {
  /** Aborted, it is over for those who wait; a token that comes all the same still lands. */
  readonly controller: AbortController;
  /** True while nobody needs it: then it may fail without a trace. */
  ahead: boolean;
  /** How often `refresh` was called. */
  attempts: number;
  /** What the last attempt threw, and whether that ends the session. */
  failure?: unknown;
  final?: boolean;
}

/**
 * Runs a refresh, once: the attempts, the waits between them, and their end.
 *
 * @param land Called with the token: before this resolves or, when it comes after the refresh was
 *   aborted, after this has rejected.
 * @param beforeSend Called last before each attempt. What it throws ends them.
 * @returns Rejects with anything: see `failure`.
 */
export async function runRefresh<Token>(
  self: Refresh,
  {
    refresh,
    retry,
    timeout,
    isFinal,
  }: Omit<ReturnType<typeof readTokenSourceOptions<Token>>, 'token'>,
  token: Token | undefined,
  land: (token: Token) => Promise<void>,
  beforeSend?: () => void,
): Promise<void> {
  const { controller } = self;
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(), timeout);

  const attempt = async () => {
    if (signal.aborted) return;
    beforeSend?.();
    self.attempts++;
    try {
      await land(succeed(token, await refresh({ token, signal })));
    } catch (error) {
      self.final = isFinal(error);
      self.failure = error;
      // p-retry takes nothing but errors.
      throw error instanceof Error ? error : new Error('', { cause: error });
    }
  };
  /** Whether another attempt may help; after the wait that the server asks for. */
  const shouldRetry = async () => {
    const answer = answerOf(self.failure);
    const wait = retryAfter(answer);
    if (self.final || !isTransient(answer) || wait > timeout) return false;
    await new Promise((resolve) => {
      // In a browser a number, which has no `unref`.
      setTimeout(resolve, wait).unref?.();
    });
    return true;
  };
  try {
    await Promise.race([
      // p-retry stays pending while an attempt hangs: hence the race. It gets no signal, since React
      // Native's lacks the methods it calls; its timers keep no process alive.
      pRetry(attempt, { ...retry, unref: true, shouldRetry }),
      new Promise((_, reject) => {
        signal.addEventListener('abort', reject);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
