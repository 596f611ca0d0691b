import pRetry from 'p-retry';
import { check } from './check.ts';
import type { Credential } from './credential.ts';
import { Flight, tell, until } from './flight.ts';
import { answerOf, isTransient, retryAfter } from './refresh-failure.ts';
import type { Membership } from './shared-tokens.ts';
import {
  RefreshFailedError,
  SessionExpiredError,
  type TokenRefreshErrorCode,
} from './token-refresh-error.ts';
import { succeed, type expiryOf } from './token-response.ts';
import type { readTokenSourceOptions } from './token-source-options.ts';

type Reason = [message: string, code: TokenRefreshErrorCode, cause?: unknown, response?: unknown];

/** From a sign-in to the next one, or to its end. */
export interface Session<Token> {
  /** Its name among realms that share it. Missing until it has been read or written there. */
  id(): string | undefined;
  /**
   * Begins it with a token.
   *
   * @throws {TypeError} When `expiresAt` gives no instant; or what it throws.
   */
  begin(token: Token): void;
  /** Takes a newer token from another realm. @returns False when this session is over, or another. */
  adopt(token: Token, age: number, id: string): boolean;
  /**
   * A credential to send with: another one than `refused`. At once while there is a good one.
   *
   * @throws `signal.reason`, or a `TypeError` when `expiresAt` gave no instant. All else is rejected.
   */
  get(
    signal?: AbortSignal | null,
    refused?: Credential<Token>,
  ): Credential<Token> | Promise<Credential<Token>>;
  /** Ends it for everyone who waits, and for ever. */
  end(...reason: Reason): void;
  /** The same when this realm did not ask for it: the app is told. */
  expire(...reason: Reason): void;
  /** That of the refresh that is running, if one is. */
  refreshSignal(): AbortSignal | undefined;
}

/**
 * Makes a {@link Session} without a token.
 *
 * @param issue Makes a credential of a token.
 */
export function createSession<Token>(
  options: Omit<ReturnType<typeof readTokenSourceOptions<Token>>, 'token'>,
  issue: (token: Token) => Credential<Token>,
  membership: Membership<Token> | undefined,
  id?: string,
): Session<Token> {
  const { timeout } = options;
  /** The newest. Missing until there is one, and when the session is over. */
  let credential: Credential<Token> | undefined;
  /** When that came, in epoch milliseconds. */
  let receivedAt: number;
  /** Whether it came from a refresh, of this realm or another, and not from a sign-in. */
  let isRefreshed: boolean;
  /** When it expires: Infinity when nobody knows, and missing until it is first asked. */
  let expiresAt: number | undefined;
  /** From when on a use begins a refresh in the background: never again once that has failed. */
  let aheadAt: number;
  /** Why the session is over. Set once, before anyone hears. */
  let over: SessionExpiredError | undefined;
  /** When the last refreshes began, the newest first, by the monotonic clock: as many as may be. */
  let begun: number[] = [];
  /** The refresh that is running. Its abort ends it for those who wait. */
  let flight: Flight<void> | undefined;
  /** Its own, or that of the one that ran last. */
  let controller: AbortController | undefined;
  /** True while nobody needs it: then it may fail without a trace. */
  let ahead: boolean;
  /** How often it, or the one that ran last, has called `refresh`. */
  let attempts: number;

  const hold = (token: Token, age = 0) => {
    credential = issue(token);
    receivedAt = Date.now() - age;
    expiresAt = undefined;
    isRefreshed = true;
  };

  /** Works out when the token is to be replaced, once. Asked again after it threw, it tries again. */
  const schedule = () => {
    if (expiresAt !== undefined) return;
    const at = (options.expiresAt as typeof expiryOf)(credential!.token, receivedAt) ?? Infinity;
    // From 1e9 to 1e11 are the seconds of 2001 to 5138, and the milliseconds of 1970 to 1973.
    const isInstant = typeof at === 'number' && (at < 1e9 || at >= 1e11);
    check('expiresAt()', at, 'epoch milliseconds, not seconds', isInstant);

    const life = at - receivedAt;
    // A fresh token that has expired already tells of a clock that is off: only a refusal counts then.
    expiresAt = isRefreshed && life <= 0 ? Infinity : at;
    aheadAt = expiresAt - Math.min(options.refreshAhead * (1 - Math.random() / 10), life / 2);
  };

  const isExpired = () => {
    schedule();
    return Date.now() >= expiresAt!;
  };

  const end: Session<Token>['end'] = (...reason) => {
    if (over) return;
    over = new SessionExpiredError(...reason);
    credential = undefined;
    controller?.abort();
  };

  const expire: Session<Token>['end'] = (...reason) => {
    if (over) return;
    end(...reason);
    void tell(options.onSessionExpired, over!);
  };

  /** The task of a flight: one refresh, with its retries. */
  const fly = async (startedAt: number) => {
    let stale = credential;
    /** The token that is replaced: another realm may have replaced the stale one, which has expired. */
    let previous = stale;
    const { signal } = (controller = new AbortController());
    /** What the last attempt threw, and whether that ends the session. */
    let failure: unknown;
    let final = false;
    attempts = 0;
    const isAwaited = () => !over && credential === previous;
    const isDone = () => !!over || (credential !== stale && !isExpired());

    /**
     * A token may come after its refresh was given up. The server has rotated: it is not lost, unless
     * the session is over or another one has landed, here or in another realm.
     */
    const land = async (token: Token) => {
      if (!isAwaited()) return;
      await membership?.land({ session: (id ??= newId()), token });
      if (isAwaited()) hold(token);
    };
    const attempt = async (beforeSend?: () => void) => {
      if (signal.aborted || !isAwaited()) return;
      beforeSend?.();
      attempts++;
      try {
        const token = previous?.token;
        await land(succeed(token, await options.refresh({ token, signal })));
      } catch (error) {
        final = options.isFinal(error);
        failure = error;
        // p-retry takes nothing but errors.
        throw error instanceof Error ? error : new Error();
      }
    };
    /** Whether another attempt may help; after the wait that the server asks for. */
    const shouldRetry = async () => {
      const answer = answerOf(failure);
      const wait = retryAfter(answer);
      if (final || !isTransient(answer) || wait > timeout) return false;
      await new Promise((resolve) => {
        // In a browser a number, which has no `unref`.
        setTimeout(resolve, wait).unref?.();
      });
      return true;
    };

    const run = async (beforeSend?: () => void) => {
      previous = credential;
      const abort = () => controller!.abort();
      const dueAt = Date.now() + timeout;
      let timer = setTimeout(() => {
        // A timer that is late by 100 ms tells of a realm that was stopped, as a frozen tab is. The
        // answer may be there, and gets a second to come in; once, since in a hidden tab all are late.
        if (Date.now() - dueAt > 100) timer = setTimeout(abort, 1000);
        else abort();
      }, timeout);
      // p-retry stays pending while an attempt hangs: hence `until`. It gets no signal, since
      // React Native's lacks the methods it calls; its timers keep no process alive.
      const retrying = pRetry(() => attempt(beforeSend), {
        ...options.retry,
        unref: true,
        shouldRetry,
      });
      try {
        await until(signal, retrying);
      } finally {
        clearTimeout(timer);
      }
    };

    try {
      await (membership?.renew({
        run,
        signal,
        isDone,
        verdict: () => final && !ahead && { session: (id ??= newId()), over: 'SESSION_EXPIRED' },
      }) ?? run());
    } catch (error) {
      if (isDone()) return;
      stale = credential;
      // Ahead of time it costs nothing: the token lives out its time.
      if (ahead) aheadAt = Infinity;
      if (signal.aborted) {
        throw new RefreshFailedError(
          '"timeout" is reached: sent through the wrapped client, refresh awaits itself',
          'REFRESH_TIMEOUT',
        );
      }
      // The lock or the store has failed, not the refresh.
      if (!failure && error instanceof RefreshFailedError) throw error;
      const cause = failure ?? error;
      const answer = answerOf(cause);
      const message = answer.status
        ? `refresh failed with status ${answer.status}`
        : 'refresh failed';
      const response = answer.headers && answer;
      if (final && !ahead) expire(message, 'SESSION_EXPIRED', cause, response);
      throw over ?? new RefreshFailedError(message, 'REFRESH_FAILED', cause, response);
    } finally {
      const callers = flight!.callers;
      // Here it is over before any caller hears: they do when this function has returned.
      flight = undefined;
      void tell(options.onRefresh, {
        status: credential && credential !== stale ? 'fulfilled' : 'rejected',
        duration: performance.now() - startedAt,
        callers,
        attempts,
      });
    }
  };

  /** Joins the refresh, or begins one. */
  const renew = async (isAhead: boolean, signal?: AbortSignal | null) => {
    if (over) throw over;
    ahead = isAhead;
    if (!flight) {
      const now = performance.now();
      if (now - begun.at(options.refreshLimit.count - 1)! < options.refreshLimit.window) {
        throw new RefreshFailedError(
          '"refreshLimit" is reached: are fresh tokens refused?',
          'REFRESH_LIMIT',
        );
      }
      begun = [now, ...begun].slice(0, options.refreshLimit.count);
      flight = new Flight();
      flight.promise = fly(now);
    }
    // The use that begins it ahead of time does not wait for it.
    if (ahead) flight.callers--;
    await flight.join(signal);
    if (over) throw over;
    return credential!;
  };

  return {
    id: () => id,
    begin(token) {
      hold(token);
      isRefreshed = false;
      schedule();
    },
    adopt(token, age, its) {
      if (over || (id ??= its) !== its) return false;
      hold(token, age);
      return true;
    },
    get(signal, refused) {
      if (signal?.aborted) throw signal.reason;
      membership?.watch();
      const held = credential;
      if (!held || held === refused || (flight && !ahead) || isExpired()) {
        return renew(false, signal);
      }
      if (Date.now() >= aheadAt && !flight) renew(true).catch(() => {});
      return held;
    },
    end,
    expire,
    refreshSignal: () => flight && controller!.signal,
  };
}

/** A name for a session: unlikely to be another's under the same name. */
export function newId(): string {
  return `${Math.random()}`;
}
