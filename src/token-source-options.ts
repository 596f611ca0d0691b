import { check, rejectUnknown } from './check.ts';
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
  /** How often `refresh` was called: 1, and one more for each retry. */
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
   * @default 5000, or `minTimeout` if that is more
   */
  maxTimeout?: number | undefined;
  /** Milliseconds after which no further attempt begins: 0 or more. @default Infinity */
  maxRetryTime?: number | undefined;
  /** Whether each wait is multiplied by a random number from 1 to 2. @default true */
  randomize?: boolean | undefined;
}

/** No more than `count` refreshes begin within `window` milliseconds. */
export interface RefreshLimit {
  count: number;
  window: number;
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
   * Called once when a session has expired, before any caller hears; not for `set` and `clear`. Never
   * awaited; what it throws is ignored.
   */
  onSessionExpired?: ((error: SessionExpiredError) => unknown) | undefined;

  /** Called once per refresh, before any caller hears. Never awaited; what it throws is ignored. */
  onRefresh?: ((landing: RefreshLanding) => unknown) | undefined;
}

/** The longest delay of a timer: a longer one fires at once. */
const LONGEST = 2_147_483_647;

const isOptionalFunction = (given: unknown) => given === undefined || typeof given === 'function';
const isDuration = (given: unknown) => typeof given === 'number' && given >= 0 && given <= LONGEST;

/** The options with their defaults. @throws {TypeError} When one of them is not what it must be. */
export function readOptions<Token>(options: TokenSourceOptions<Token>) {
  check('options', options, 'an object with "refresh"', Object(options) === options);
  const {
    refresh,
    token,
    expiresAt,
    refreshAhead = 0,
    timeout = 30_000,
    retry = {},
    isFinal,
    refreshLimit = { count: 10, window: 30_000 },
    onSessionExpired,
    onRefresh,
    ...unknown
  } = options;

  check('refresh', refresh);
  for (const [name, hook] of Object.entries({ expiresAt, isFinal, onSessionExpired, onRefresh })) {
    check(name, hook, 'a function', isOptionalFunction(hook));
  }
  check('refreshAhead', refreshAhead, 'a number of milliseconds from 0', isDuration(refreshAhead));
  check(
    'timeout',
    timeout,
    'a positive number of milliseconds',
    isDuration(timeout) && timeout > 0,
  );
  if (refreshLimit !== false) readLimit(refreshLimit);
  rejectUnknown(unknown, 'options');

  return {
    refresh,
    token,
    expiresAt,
    refreshAhead,
    timeout,
    retry: readRetry(retry),
    isFinal,
    refreshLimit,
    onSessionExpired,
    onRefresh,
  };
}

function readLimit(refreshLimit: RefreshLimit): void {
  const wanted = '{ count, window } or false';
  check('refreshLimit', refreshLimit, wanted, Object(refreshLimit) === refreshLimit);
  const { count, window, ...unknown } = refreshLimit;
  check('refreshLimit.count', count, 'a positive integer', Number.isInteger(count) && count > 0);
  check(
    'refreshLimit.window',
    window,
    'a positive number of milliseconds',
    isDuration(window) && window > 0,
  );
  rejectUnknown(unknown, 'options of "refreshLimit"');
}

function readRetry(retry: RetryOptions) {
  check('retry', retry, 'an object', Object(retry) === retry);
  const {
    retries = 3,
    factor = 2,
    minTimeout = 500,
    maxTimeout = Math.max(5000, minTimeout),
    maxRetryTime = Infinity,
    randomize = true,
    ...unknown
  } = retry;
  const isCount = Number.isInteger(retries) || retries === Infinity;
  check('retry.retries', retries, 'an integer from 0', isCount && retries >= 0);
  check('retry.factor', factor, 'a positive number', Number.isFinite(factor) && factor > 0);
  for (const [name, time] of Object.entries({ minTimeout, maxTimeout, maxRetryTime })) {
    const isTime = isDuration(time) || (time === Infinity && name !== 'minTimeout');
    check(`retry.${name}`, time, 'a number of milliseconds from 0', isTime);
  }
  check('retry.randomize', randomize, 'a boolean', typeof randomize === 'boolean');
  rejectUnknown(unknown, 'options of "retry"');
  // p-retry 7 and 8 fire at once what waits longer than a timer can.
  return {
    retries,
    factor,
    minTimeout,
    maxTimeout: Math.min(maxTimeout, LONGEST),
    maxRetryTime,
    randomize,
  };
}
