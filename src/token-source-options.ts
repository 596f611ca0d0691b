import { check } from './check.ts';
import { readOptions } from './options.ts';
import { isFinalFailure } from './refresh-failure.ts';
import { expiryOf } from './token-response.ts';
import type { SharedTokens } from './shared-tokens.ts';
import type { SessionExpiredError } from './token-refresh-error.ts';

/** What `refresh` is given. `Held` is the token, or `undefined` in a source that may have none yet. */
export interface RefreshContext<Held> {
  /** The token to replace, with its refresh token if it has one. */
  readonly token: Held;
  /**
   * Aborts at `timeout`, and when a sign-in or sign-out ends the session; never by a caller. Pass it
   * on: an adapter lets a request that carries it through untouched.
   */
  readonly signal: AbortSignal;
}

/** One refresh that has ended, as `onRefresh` is told of it. */
export interface RefreshLanding {
  readonly status: 'fulfilled' | 'rejected';
  /** Milliseconds, retries included. */
  readonly duration: number;
  /** How many requests waited for it. 0 when it ran ahead of time and nobody did. */
  readonly callers: number;
  /** How often `refresh` was called: 1, and one more for each retry. 0 when another realm did it. */
  readonly attempts: number;
}

/** How transient failures are retried, by p-retry and in its terms. All within `timeout`. */
export interface RetryOptions {
  /** How many attempts may follow the first: 0 or more, or Infinity. @default 3 */
  retries?: number | undefined;
  /** What each wait is multiplied by to get the next: more than 0. @default 2 */
  factor?: number | undefined;
  /** Milliseconds before the first retry: 0 or more. @default 500 */
  minTimeout?: number | undefined;
  /**
   * The longest wait between two attempts in milliseconds: 0 or more, or Infinity.
   * @default Infinity
   */
  maxTimeout?: number | undefined;
  /** Milliseconds after which no further attempt begins: 0 or more. @default Infinity */
  maxRetryTime?: number | undefined;
  /** Whether each wait is multiplied by a random number from 1 to 2. @default true */
  randomize?: boolean | undefined;
}

/** No more than `count` refreshes of a session begin within `window` milliseconds. */
export interface RefreshLimit {
  /** @default 10 */
  count?: number | undefined;
  /** @default 30000 */
  window?: number | undefined;
}

export interface TokenSourceOptions<Token, Held = Token | undefined> {
  /**
   * Gets the next token and returns it; `set` is for sign-in, and would begin another session. Called
   * in one flight, whatever the number of callers; again only for the retries. Throw what the HTTP
   * client throws: its status tells whether the failure is final.
   */
  refresh: (context: RefreshContext<Held>) => Token | PromiseLike<Token>;

  /** The token of a session that is already signed in. Without one, the first `get` refreshes. */
  token?: Token | null | undefined;

  /**
   * Called once per token. When it expires, in epoch milliseconds; `undefined` when nobody knows.
   * @default What `expires_in` says from the moment the token came, for an OAuth token response.
   */
  expiresAt?: ((token: Token) => number | null | undefined) | undefined;

  /**
   * How many milliseconds before `expiresAt` a token is refreshed in the background, on use: 0 or
   * more; up to a tenth less, by chance, so that clients spread. Never more than half the life of a
   * token that `refresh` gave.
   * @default 0
   */
  refreshAhead?: number | undefined;

  /** Milliseconds after which a refresh, retries included, has failed: 1 to 2147483647. @default 30000 */
  timeout?: number | undefined;

  retry?: RetryOptions | undefined;

  /**
   * Called with what `refresh` threw, once per attempt. Whether it ends the session.
   * @default Status 400, 401 or 403.
   */
  isFinal?: ((error: unknown) => boolean) | undefined;

  /**
   * Keeps an API that refuses even fresh tokens from causing one refresh per request. `false` for
   * no limit.
   * @default { count: 10, window: 30000 }
   */
  refreshLimit?: RefreshLimit | false | undefined;

  /**
   * Shares the session with other tabs, processes or machines: one refresh for all of them. `token` is
   * then only for a session that they do not know yet.
   */
  shared?: SharedTokens<Token> | undefined;

  /**
   * Called once when a session has expired, before any caller hears; not for the source's own `set`
   * and `clear`, but for those of another realm. Never awaited; what it throws is ignored.
   */
  onSessionExpired?: ((error: SessionExpiredError) => unknown) | undefined;

  /** Called once per refresh, before any caller hears. Never awaited; what it throws is ignored. */
  onRefresh?: ((landing: RefreshLanding) => unknown) | undefined;
}

/** The options with their defaults. @throws {TypeError} When one of them is not what it must be. */
export function readTokenSourceOptions<Token>(given: TokenSourceOptions<Token>) {
  const options = readOptions(given, {
    refresh: undefined,
    token: undefined,
    expiresAt: expiryOf as (token: Token) => number | undefined,
    refreshAhead: 0,
    timeout: undefined,
    retry: undefined,
    isFinal: isFinalFailure,
    refreshLimit: undefined,
    shared: undefined,
    onSessionExpired: () => {},
    onRefresh: () => {},
  });
  const { refresh, shared, timeout = 30_000, retry = {}, refreshLimit = {} } = options;
  check('refresh', refresh);
  if (shared) check('shared', shared, 'made by "sharedTokens"', !!shared.join);
  // A longer timer fires at once.
  const isTimeout = typeof timeout === 'number' && timeout > 0 && timeout < 2 ** 31;
  check('timeout', timeout, 'a positive number of milliseconds', isTimeout);
  return {
    ...options,
    timeout,
    retry: readOptions(retry, RETRY, 'retry'),
    refreshLimit: readOptions(refreshLimit || { count: 0 }, REFRESH_LIMIT, 'refreshLimit'),
  };
}

const RETRY = {
  retries: 3,
  factor: 2,
  minTimeout: 500,
  maxTimeout: Infinity,
  maxRetryTime: Infinity,
  randomize: true,
};

const REFRESH_LIMIT = { count: 10, window: 30_000 };
