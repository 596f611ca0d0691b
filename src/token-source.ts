import pRetry from 'p-retry';
import { check } from './check.ts';
import { Credential } from './credential.ts';
import { FlightGroup } from './flight-group.ts';
import {
  isFinalFailure,
  isTransientFailure,
  responseOf,
  retryAfterOf,
  statusOf,
} from './refresh-failure.ts';
import {
  RefreshFailedError,
  SessionExpiredError,
  type TokenRefreshError,
  type TokenRefreshErrorCode,
} from './token-refresh-error.ts';
import { expiryOf, succeed } from './token-response.ts';
import { readOptions, type RefreshLimit, type TokenSourceOptions } from './token-source-options.ts';

interface Waiting {
  /** The caller's own. Its abort makes this caller leave at once, and nobody else. */
  signal?: AbortSignal | null | undefined;
}

/**
 * Keeps the token of one session at a time and refreshes it exactly once per expiry, whoever asks
 * and in whatever order. One per signed-in user; any number of clients may share it. Its methods may
 * be passed on without it: `onClick={tokens.clear}`.
 */
export interface TokenSource<Token> {
  /**
   * A credential to send with. While the token is good: at once. When it has expired, or is being
   * refreshed because it was refused: the next one.
   *
   * @returns Rejects with `SessionExpiredError` when the session is over or ends meanwhile, with
   *   `RefreshFailedError` when there is no token for now, with `signal.reason`, or with a
   *   `TypeError` when `signal` is not an `AbortSignal` or `expiresAt` gave no instant.
   */
  get(this: void, options?: Waiting): Promise<Credential<Token>>;

  /**
   * "This one was refused": a newer credential of the same session. A refresh runs only when there is
   * no newer one yet, so an old refusal that comes late costs nothing.
   *
   * @returns Rejects as `get` does, and with a `TypeError` when `credential` is not from this source.
   */
  renew(this: void, credential: Credential<Token>, options?: Waiting): Promise<Credential<Token>>;

  /**
   * Signs in: begins a session with `token`. Done when it returns; whoever waits in the session
   * before gets `SessionExpiredError`, and a refresh that lands late is discarded.
   *
   * @returns Rejects, and changes nothing, when `expiresAt` throws or gives no instant.
   */
  set(this: void, token: Token): Promise<void>;

  /** Signs out: ends the session, as `set` does, and begins none. `refresh` is not called until `set`. */
  clear(this: void): Promise<void>;

  /** Whether a refresh is running, in the background or with callers waiting. */
  readonly refreshing: boolean;

  /**
   * Whether this is the signal given to the refresh that is running. For adapters: a request that
   * carries it is the refresh, and would wait for itself.
   */
  isRefreshSignal(this: void, signal: unknown): boolean;
}

/**
 * Makes a {@link TokenSource}.
 *
 * @throws {TypeError} When an option is unknown or not what it must be.
 *
 * @example
 * const tokens = createTokenSource({
 *   token: signedIn,
 *   refresh: async ({ token, signal }) => {
 *     const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token.refresh_token });
 *     const response = await fetch('/token', { method: 'POST', body, signal });
 *     if (!response.ok) throw new Error('refresh failed', { cause: response });
 *     return response.json();
 *   },
 * });
 */
export function createTokenSource<Token>(
  options: TokenSourceOptions<Token, Token> & { token: Token & {} },
): TokenSource<Token>;
export function createTokenSource<Token>(options: TokenSourceOptions<Token>): TokenSource<Token>;
export function createTokenSource<Token>(options: TokenSourceOptions<Token>): TokenSource<Token> {
  return new Source(options);
}

/** A session's newest token, and when to replace it. Replaced as a whole. */
interface Holding<Token> {
  readonly credential: Credential<Token>;
  /** The order of the refresh that gave it: an older refresh does not overwrite it. 0 for `set`. */
  readonly order: number;
  /** Epoch milliseconds. Infinity when nobody knows. */
  readonly expiresAt: number;
  /** From when on a use begins a refresh in the background. Moved by such a refresh that fails. */
  aheadAt: number;
  /** What is wrong with `expiresAt`. Told on use, since failing earlier would lose the token. */
  readonly problem?: unknown;
}

/** From a sign-in to the next one or to its end. */
class Session<Token> {
  /** Missing until there is a token, and when the session is over. */
  holding: Holding<Token> | undefined;
  /** Why it is over. Set once, before anyone hears. */
  over: SessionExpiredError | undefined;
  /** The refresh that is running, or ran last. */
  refresh: Refresh<Token> | undefined;
  /** When the refreshes within the limit's window began, by the monotonic clock. */
  begun: number[] = [];
}

/** One refresh: the state of one flight. */
class Refresh<Token> {
  readonly controller = new AbortController();
  readonly order: number;
  /** What was held when it began. */
  readonly replaced: Holding<Token> | undefined;
  readonly deadline: number;
  /** True while nobody needs it: then it may fail without a trace. */
  ahead: boolean;
  attempts = 0;
  /** What the last attempt threw, and whether that ends the session. */
  failure: unknown;
  final = false;
  /** Ends it for those who wait. What `refresh` still returns is used if it can be. */
  giveUp!: (reason: TokenRefreshError) => void;

  constructor(session: Session<Token>, ahead: boolean, timeout: number) {
    this.order = (session.refresh?.order ?? 0) + 1;
    this.replaced = session.holding;
    this.ahead = ahead;
    this.deadline = performance.now() + timeout;
  }
}

const SENT_THROUGH_CLIENT =
  'a refresh that is sent through the wrapped client waits for itself: send it with the bare client, ' +
  'pass on its "signal", or name its endpoint in "skip"';

class Source<Token> implements TokenSource<Token> {
  readonly #options: ReturnType<typeof readOptions<Token>>;
  /** One flight per session, so that a new session never waits for an old one's refresh. */
  readonly #flights: FlightGroup<Session<Token>, Credential<Token>>;
  /** The session of every credential given out. */
  readonly #sessions = new WeakMap<Credential<Token>, Session<Token>>();
  #session = new Session<Token>();
  #generation = 0;

  constructor(options: TokenSourceOptions<Token>) {
    this.#options = readOptions(options);
    const { token, onRefresh } = this.#options;
    this.#flights = new FlightGroup({
      onLand:
        onRefresh &&
        (({ key, status, duration, callers }) =>
          onRefresh({ status, duration, callers, attempts: key.refresh!.attempts })),
    });
    if (token != null) this.#session.holding = this.#hold(this.#session, token, 0);
  }

  get refreshing(): boolean {
    return this.#flights.has(this.#session);
  }

  readonly isRefreshSignal = (signal: unknown): boolean =>
    this.refreshing && signal === this.#session.refresh!.controller.signal;

  readonly get = async (options?: Waiting): Promise<Credential<Token>> => {
    const signal = readSignal(options);
    const session = this.#session;
    const { holding, over } = session;
    if (over) throw over;
    if (holding?.problem) throw holding.problem;

    const now = Date.now();
    const needed = this.refreshing && !session.refresh!.ahead;
    if (!holding || needed || now >= holding.expiresAt) return this.#next(session, signal);
    if (now >= holding.aheadAt) this.#refreshAhead(session);
    return holding.credential;
  };

  readonly renew = async (
    credential: Credential<Token>,
    options?: Waiting,
  ): Promise<Credential<Token>> => {
    const signal = readSignal(options);
    const session = this.#sessions.get(credential);
    if (!session) {
      throw new TypeError(
        `"credential" must be one that this token source gave, got ${typeof credential}`,
      );
    }
    if (session.over) throw session.over;
    return credential === session.holding!.credential
      ? this.#next(session, signal)
      : this.get(options);
  };

  readonly set = async (token: Token): Promise<void> => {
    const session = new Session<Token>();
    session.holding = this.#hold(session, token, 0);
    const previous = this.#session;
    this.#session = session;
    this.#end(previous, 'SESSION_REPLACED', 'another session has begun');
  };

  readonly clear = async (): Promise<void> => {
    this.#end(this.#session, 'SIGNED_OUT', 'signed out');
  };

  /** The credential that the running refresh gives, or else a refresh that begins now. */
  async #next(session: Session<Token>, signal: Waiting['signal']): Promise<Credential<Token>> {
    if (this.refreshing) session.refresh!.ahead = false;
    else if (!this.#admit(session)) throw limitError(this.#options.refreshLimit as RefreshLimit);

    let flight;
    try {
      flight = this.#flights.run(session, () => this.#refresh(session, false), { signal });
    } catch (cause) {
      throw new TypeError(SENT_THROUGH_CLIENT, { cause });
    }
    const credential = await flight;
    if (session.over) throw session.over;
    return credential;
  }

  #refreshAhead(session: Session<Token>): void {
    if (this.refreshing || !this.#admit(session)) return;
    // A flight whose only caller has left: it runs on, and counts those who join it.
    const nobody = new AbortController();
    const flight = this.#flights.run(session, () => this.#refresh(session, true), nobody);
    nobody.abort();
    flight.catch(() => {});
  }

  /** Counts a refresh that is about to begin. False when there were too many. */
  #admit(session: Session<Token>): boolean {
    const { refreshLimit } = this.#options;
    if (!refreshLimit) return true;
    const now = performance.now();
    session.begun = session.begun.filter((at) => now - at < refreshLimit.window);
    return session.begun.length < refreshLimit.count && session.begun.push(now) > 0;
  }

  /** The task of a flight. */
  async #refresh(session: Session<Token>, ahead: boolean): Promise<Credential<Token>> {
    const { timeout, retry } = this.#options;
    const refresh = (session.refresh = new Refresh(session, ahead, timeout));
    // p-retry stays pending while an attempt hangs, so giving up is raced against it. It gets no
    // signal: React Native's lacks the methods it calls.
    const gaveUp = new Promise<never>((_, reject) => {
      refresh.giveUp = (reason) => {
        reject(reason);
        refresh.controller.abort(reason);
      };
    });
    const timer = setTimeout(() => refresh.giveUp(timeoutError(timeout)), timeout);
    try {
      const shouldRetry = () => mayRetry(refresh);
      await Promise.race([
        gaveUp,
        pRetry(() => this.#attempt(session, refresh), { ...retry, unref: true, shouldRetry }),
      ]);
    } catch (error) {
      this.#fail(session, refresh, error);
    } finally {
      clearTimeout(timer);
    }
    return session.holding!.credential;
  }

  async #attempt(session: Session<Token>, refresh: Refresh<Token>): Promise<void> {
    const { signal } = refresh.controller;
    if (signal.aborted) throw signal.reason;
    refresh.attempts++;
    try {
      const token = refresh.replaced?.credential.token;
      this.#land(session, refresh, succeed(token, await this.#options.refresh({ token, signal })));
    } catch (error) {
      refresh.failure = error;
      refresh.final = false;
      try {
        refresh.final = (this.#options.isFinal ?? isFinalFailure)(error);
      } catch (bug) {
        refresh.failure = bug;
      }
      // p-retry takes only errors; what was thrown is kept in `failure`.
      throw error instanceof Error ? error : new Error('refresh failed', { cause: error });
    }
  }

  /** Publishes what a refresh gave, even after it was given up: the server has rotated, the old token is dead. */
  #land(session: Session<Token>, refresh: Refresh<Token>, token: Token): void {
    if (session.over || refresh.order <= (session.holding?.order ?? 0)) return;
    session.holding = this.#hold(session, token, refresh.order);
  }

  /** Decides what a failed refresh means. Returns when a token is held after all. */
  #fail(session: Session<Token>, refresh: Refresh<Token>, error: unknown): void {
    const { replaced, failure, final, ahead, attempts, controller } = refresh;
    if (session.over) throw session.over;
    if (session.holding !== replaced) return;
    // Ahead of time it costs nothing: tried again half-way to the expiry, or then if it is hopeless.
    if (ahead) replaced!.aheadAt = final ? Infinity : (Date.now() + replaced!.expiresAt) / 2;
    if (controller.signal.aborted) throw error;

    const response = responseOf(failure);
    const status = statusOf(failure);
    const answer = status === undefined ? '' : ` with status ${status}`;
    if (final && !ahead) {
      this.#end(
        session,
        'SESSION_EXPIRED',
        `the session has expired: its refresh was refused${answer}`,
        {
          cause: failure,
          response,
        },
      );
      callHook(this.#options.onSessionExpired, session.over!);
      throw session.over!;
    }
    const hint =
      (failure as Partial<Error> | null)?.message === SENT_THROUGH_CLIENT
        ? `; ${SENT_THROUGH_CLIENT}`
        : '';
    throw new RefreshFailedError(`refresh failed${answer} after ${attempts} attempt(s)${hint}`, {
      code: 'REFRESH_FAILED',
      cause: failure,
      response,
    });
  }

  #end(
    session: Session<Token>,
    code: TokenRefreshErrorCode,
    message: string,
    details?: { cause: unknown; response: unknown },
  ): void {
    if (session.over) return;
    session.over = new SessionExpiredError(message, { code, ...details });
    session.holding = undefined;
    session.refresh?.giveUp(session.over);
  }

  /** @throws What `expiresAt` throws for a token from outside; for a refreshed one it is kept in `problem`. */
  #hold(session: Session<Token>, token: Token, order: number): Holding<Token> {
    let times;
    try {
      times = this.#times(token, order > 0);
    } catch (problem) {
      if (order === 0) throw problem;
      times = { expiresAt: Infinity, aheadAt: Infinity, problem };
    }
    const credential = new Credential(token, ++this.#generation);
    this.#sessions.set(credential, session);
    return { credential, order, ...times };
  }

  #times(token: Token, refreshed: boolean): { expiresAt: number; aheadAt: number } {
    const { expiresAt, refreshAhead } = this.#options;
    const now = Date.now();
    const at = expiresAt ? expiresAt(token) : expiryOf(token, now);
    check(
      'expiresAt()',
      at,
      'epoch milliseconds (not seconds) or undefined',
      at == null || isInstant(at),
    );
    const life = (at ?? Infinity) - now;
    // A fresh token that has expired already tells of a clock that is off: only a refusal counts then.
    if (at == null || (refreshed && life <= 0)) return { expiresAt: Infinity, aheadAt: Infinity };
    const ahead = refreshAhead * (1 - Math.random() / 10);
    return { expiresAt: at, aheadAt: at - (refreshed ? Math.min(ahead, life / 2) : ahead) };
  }
}

/** Whether another attempt may help; after the wait that the server asks for. */
async function mayRetry({
  failure,
  final,
  deadline,
  controller,
}: Refresh<unknown>): Promise<boolean> {
  if (final || !isTransientFailure(failure)) return false;
  const wait = retryAfterOf(failure);
  if (performance.now() + wait > deadline) return false;
  if (wait > 0) {
    await new Promise((resolve) => {
      const timer: { unref?: () => void } | number = setTimeout(resolve, wait);
      if (typeof timer === 'object') timer.unref?.();
    });
  }
  return !controller.signal.aborted;
}

function limitError({ count, window }: RefreshLimit): RefreshFailedError {
  const message = `more than ${count} refreshes in ${window} ms ("refreshLimit"): does the API refuse fresh tokens?`;
  return new RefreshFailedError(message, { code: 'REFRESH_LIMIT' });
}

function timeoutError(timeout: number): RefreshFailedError {
  return new RefreshFailedError(
    `refresh did not end within ${timeout} ms ("timeout"); ${SENT_THROUGH_CLIENT}`,
    {
      code: 'REFRESH_TIMEOUT',
    },
  );
}

/** Seconds, from 2001 to the year 5138, are no milliseconds of a token's time. */
function isInstant(at: number): boolean {
  return typeof at === 'number' && !Number.isNaN(at) && !(at >= 1e9 && at < 1e11);
}

/** @throws {TypeError} When it is no signal. @throws Its reason, when it has aborted. */
function readSignal(options: Waiting | undefined): Waiting['signal'] {
  const signal = options?.signal;
  if (signal) {
    check('signal', signal, 'an AbortSignal', typeof signal.addEventListener === 'function');
    if (signal.aborted) throw signal.reason;
  }
  return signal;
}

/** Tells an observer. Nothing waits for it, and what it throws, now or later, is ignored. */
function callHook<State>(hook: ((state: State) => unknown) | undefined, state: State): void {
  (async () => hook?.(state))().catch(() => {});
}
