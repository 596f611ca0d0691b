import pRetry from 'p-retry';
import { isTransientFailure, retryAfterOf } from './refresh-failure.ts';
import { RefreshFailedError, type TokenRefreshError } from './token-refresh-error.ts';
import { succeed } from './token-response.ts';
import type { readTokenSourceOptions } from './token-source-options.ts';

type RefreshOptions<Token> = Pick<
  ReturnType<typeof readTokenSourceOptions<Token>>,
  'refresh' | 'retry' | 'timeout' | 'isFinal'
>;

/** What is usually wrong when a refresh hangs. */
export const SENT_THROUGH_CLIENT =
  'a refresh that is sent through the wrapped client waits for itself: send it with the bare client, ' +
  'pass on its "signal", or name its endpoint in "skip"';

/** One refresh of one token: the attempts, the waits between them, and their end. */
export class Refresh<Token> {
  /** Its place among the refreshes of its session, from 1. */
  readonly order: number;
  /** True while nobody needs it: then it may fail without a trace. */
  ahead: boolean;
  attempts = 0;
  /** What the last attempt threw, and whether that ends the session. */
  failure: unknown;
  final = false;

  readonly #options: RefreshOptions<Token>;
  /** What is replaced. Dropped when it is over: a session remembers its last refresh. */
  #token: Token | undefined;
  readonly #controller = new AbortController();
  #reject!: (reason: unknown) => void;

  constructor(
    options: RefreshOptions<Token>,
    token: Token | undefined,
    order: number,
    ahead: boolean,
  ) {
    this.#options = options;
    this.#token = token;
    this.order = order;
    this.ahead = ahead;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it for those who wait. A token that comes all the same still lands. */
  giveUp(reason: TokenRefreshError): void {
    this.#reject(reason);
    this.#controller.abort(reason);
  }

  /**
   * Runs it, once.
   *
   * @param land Called with the token: before this resolves or, when it comes after the refresh was
   *   given up, after this has rejected.
   * @returns Rejects with the reason it was given up for, or else with anything: see `failure`.
   */
  async run(land: (token: Token) => void): Promise<void> {
    const { timeout, retry } = this.#options;
    const deadline = performance.now() + timeout;
    const gaveUp = new Promise<never>((_, reject) => {
      this.#reject = reject;
    });
    const timer = setTimeout(() => this.giveUp(timeoutError(timeout)), timeout);
    try {
      // p-retry stays pending while an attempt hangs: hence the race. It gets no signal, since React
      // Native's lacks the methods it calls; its timers keep no process alive.
      const attempts = pRetry(() => this.#attempt(land), {
        ...retry,
        unref: true,
        shouldRetry: () => this.#mayRetry(deadline),
      });
      await Promise.race([gaveUp, attempts]);
    } finally {
      clearTimeout(timer);
      this.#token = undefined;
    }
  }

  async #attempt(land: (token: Token) => void): Promise<void> {
    const { refresh, isFinal } = this.#options;
    const { signal } = this;
    if (signal.aborted) throw signal.reason;
    const token = this.#token;
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
      throw error instanceof Error ? error : new Error('not an Error', { cause: error });
    }
  }

  /** Whether another attempt may help; after the wait that the server asks for. */
  async #mayRetry(deadline: number): Promise<boolean> {
    if (this.signal.aborted || this.final || !isTransientFailure(this.failure)) return false;
    const wait = retryAfterOf(this.failure);
    if (performance.now() + wait > deadline) return false;
    if (wait > 0) {
      await new Promise((resolve) => {
        // In a browser a number, which has no `unref`.
        setTimeout(resolve, wait).unref?.();
      });
    }
    return !this.signal.aborted;
  }
}

function timeoutError(timeout: number): RefreshFailedError {
  const message = `refresh did not end within ${timeout} ms ("timeout"); ${SENT_THROUGH_CLIENT}`;
  return new RefreshFailedError(message, { code: 'REFRESH_TIMEOUT' });
}
