import pRetry from 'p-retry';
import { isTransient, readFailure, retryAfter } from './refresh-failure.ts';
import { RefreshFailedError, type TokenRefreshError } from './token-refresh-error.ts';
import { succeed } from './token-response.ts';
import type { readTokenSourceOptions } from './token-source-options.ts';

/** What is usually wrong when a refresh hangs. */
export const WAITS_FOR_ITSELF =
  'a refresh sent through the wrapped client waits for itself: pass on its "signal", or "skip" it';

/** One refresh of one token. */
export class Refresh {
  readonly controller = new AbortController();
  /** How often `refresh` was called. */
  attempts = 0;
  /** What the last attempt threw, and whether that ends the session. */
  failure: unknown;
  final = false;
  /** True while nobody needs it: then it may fail without a trace. */
  ahead: boolean;
  /** Ends it for those who wait. A token that comes all the same still lands. */
  giveUp!: (reason: TokenRefreshError) => void;
  readonly #gaveUp: Promise<never>;

  constructor(ahead: boolean) {
    this.ahead = ahead;
    // Here and not in `run`, whose token it would retain: a session remembers its last refresh.
    this.#gaveUp = new Promise((_, reject) => {
      this.giveUp = (reason) => {
        reject(reason);
        this.controller.abort(reason);
      };
    });
  }

  /**
   * Runs it, once: the attempts, the waits between them, and their end.
   *
   * @param land Called with the token: before this resolves or, when it comes after the refresh was
   *   given up, after this has rejected.
   * @returns Rejects with the reason it was given up for, or else with anything: see `failure`.
   */
  async run<Token>(
    {
      refresh,
      retry,
      timeout,
      isFinal,
    }: Omit<ReturnType<typeof readTokenSourceOptions<Token>>, 'token'>,
    token: Token | undefined,
    land: (token: Token) => void,
  ): Promise<void> {
    const { signal } = this.controller;
    const timer = setTimeout(() => {
      const message = `refresh did not end within ${timeout} ms ("timeout"); ${WAITS_FOR_ITSELF}`;
      this.giveUp(new RefreshFailedError(message, 'REFRESH_TIMEOUT'));
    }, timeout);

    const attempt = async () => {
      if (signal.aborted) return;
      this.attempts++;
      try {
        land(succeed(token, await refresh({ token, signal })));
      } catch (error) {
        this.failure = error;
        try {
          this.final = isFinal(error);
        } catch (bug) {
          this.failure = bug;
        }
        // p-retry takes nothing but errors.
        throw error instanceof Error ? error : new Error('', { cause: error });
      }
    };
    /** Whether another attempt may help; after the wait that the server asks for. */
    const shouldRetry = async () => {
      const failure = readFailure(this.failure);
      const wait = retryAfter(failure);
      if (this.final || !isTransient(failure) || wait > timeout) return false;
      await new Promise((resolve) => {
        // In a browser a number, which has no `unref`.
        setTimeout(resolve, wait).unref?.();
      });
      return !signal.aborted;
    };
    try {
      // p-retry stays pending while an attempt hangs: hence the race. It gets no signal, since React
      // Native's lacks the methods it calls; its timers keep no process alive.
      await Promise.race([this.#gaveUp, pRetry(attempt, { ...retry, unref: true, shouldRetry })]);
    } finally {
      clearTimeout(timer);
    }
  }
}
