import { check } from './check.ts';
import { Credential } from './credential.ts';
import { FlightGroup } from './flight-group.ts';
import { responseOf, statusOf } from './refresh-failure.ts';
import { Refresh, SENT_THROUGH_CLIENT } from './refresh.ts';
import { Session, timesOf, UNKNOWN, type Holding } from './session.ts';
import { RefreshFailedError } from './token-refresh-error.ts';
import {
  readTokenSourceOptions,
  type RefreshLimit,
  type TokenSourceOptions,
} from './token-source-options.ts';

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

class Source<Token> implements TokenSource<Token> {
  readonly #options: Omit<ReturnType<typeof readTokenSourceOptions<Token>>, 'token'>;
  /** One flight per session, so that a new session never waits for an old one's refresh. */
  readonly #flights: FlightGroup<Session<Token>, Credential<Token>>;
  /** The session of every credential given out. */
  readonly #sessions = new WeakMap<Credential<Token>, Session<Token>>();
  /** The only one that is not over, or the last one. */
  #session = new Session<Token>();
  #generation = 0;

  constructor(given: TokenSourceOptions<Token>) {
    // The token is not kept with the options, where it would outlive its session.
    const { token, ...options } = readTokenSourceOptions(given);
    this.#options = options;
    const { onRefresh } = options;
    this.#flights = new FlightGroup({
      onLand:
        onRefresh &&
        (({ key: { refresh }, status, duration, callers }) =>
          onRefresh({ status, duration, callers, attempts: refresh!.attempts })),
    });
    if (token != null) this.#session.holding = this.#hold(this.#session, token, 0);
  }

  get refreshing(): boolean {
    return this.#flights.has(this.#session);
  }

  readonly isRefreshSignal = (signal: unknown): boolean =>
    this.refreshing && signal === this.#session.refresh!.signal;

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
      // Not by `check`, which would print a token that was given instead.
      const given = typeof credential;
      throw new TypeError(`"credential" must be one that this token source gave, got ${given}`);
    }
    if (session.over) throw session.over;
    const isNewest = credential === session.holding!.credential;
    return isNewest ? this.#next(session, signal) : this.get(options);
  };

  readonly set = async (token: Token): Promise<void> => {
    const session = new Session<Token>();
    session.holding = this.#hold(session, token, 0);
    const previous = this.#session;
    this.#session = session;
    const message = '"set" has begun another session (a refresh returns its token instead)';
    previous.end(message, { code: 'SESSION_REPLACED' });
  };

  readonly clear = async (): Promise<void> => {
    this.#session.end('signed out', { code: 'SIGNED_OUT' });
  };

  /** The credential that the running refresh gives, or else one that begins now. */
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
    const { holding } = session;
    const order = (session.refresh?.order ?? 0) + 1;
    const refresh = new Refresh(this.#options, holding?.credential.token, order, ahead);
    session.refresh = refresh;
    try {
      // A token may come after its refresh was given up. The server has rotated: it is not lost,
      // unless the session is over or a refresh that began later has landed.
      await refresh.run((token) => {
        if (session.over || order <= (session.holding?.order ?? 0)) return;
        session.holding = this.#hold(session, token, order);
      });
    } catch (error) {
      if (session.over) throw session.over;
      if (session.holding === holding) throw this.#failed(session, refresh, error);
    }
    return session.holding!.credential;
  }

  /** What a failed refresh means, as an error for those who wait. */
  #failed(session: Session<Token>, refresh: Refresh<Token>, error: unknown): unknown {
    const { failure, final, ahead, attempts, signal } = refresh;
    const { holding } = session;
    // Ahead of time it costs nothing: again half-way to the expiry, or not before it if that is vain.
    if (ahead && holding) {
      holding.aheadAt = final ? Infinity : (Date.now() + holding.expiresAt) / 2;
    }
    if (signal.aborted) return error;

    const [status, response] = [statusOf(failure), responseOf(failure)];
    const answer = status === undefined ? '' : ` with status ${status}`;
    const details = { cause: failure, response };
    if (final && !ahead) {
      session.end(`the session has expired: its refresh was refused${answer}`, {
        code: 'SESSION_EXPIRED',
        ...details,
      });
      // Nothing waits for the hook, and what it throws, now or later, is ignored.
      (async () => this.#options.onSessionExpired?.(session.over!))().catch(() => {});
      return session.over;
    }
    const isOwnWait = failure instanceof TypeError && failure.message === SENT_THROUGH_CLIENT;
    const hint = isOwnWait ? `; ${SENT_THROUGH_CLIENT}` : '';
    const message = `refresh failed${answer} after ${attempts} attempt(s)${hint}`;
    return new RefreshFailedError(message, { code: 'REFRESH_FAILED', ...details });
  }

  /** @throws What `expiresAt` throws for a token from outside; a refreshed one is kept all the same. */
  #hold(session: Session<Token>, token: Token, order: number): Holding<Token> {
    let times;
    try {
      times = timesOf(token, this.#options, order > 0);
    } catch (problem) {
      if (order === 0) throw problem;
      times = { ...UNKNOWN, problem };
    }
    const credential = new Credential(token, ++this.#generation);
    this.#sessions.set(credential, session);
    return { credential, order, ...times };
  }
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

function limitError({ count, window }: RefreshLimit): RefreshFailedError {
  const message = `${count} refreshes began within ${window} ms ("refreshLimit"); does the API refuse fresh tokens?`;
  return new RefreshFailedError(message, { code: 'REFRESH_LIMIT' });
}
