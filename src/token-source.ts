import { connect, type ConnectOptions, type Connection, type HeaderSetter } from './connection.ts';
import type { Credential } from './credential.ts';
import { FlightGroup } from './flight-group.ts';
import { answerOf } from './refresh-failure.ts';
import { runRefresh, type Refresh } from './refresh.ts';
import { schedule, type Session } from './session.ts';
import {
  RefreshFailedError,
  SessionExpiredError,
  type TokenRefreshError,
} from './token-refresh-error.ts';
import { readTokenSourceOptions, type TokenSourceOptions } from './token-source-options.ts';

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
   * before gets `SessionExpiredError`, and a refresh that lands late is discarded. With `shared`, the
   * other realms follow, and it is done there when the promise resolves.
   *
   * @returns Rejects, and changes nothing, when `expiresAt` throws or gives no instant. Rejects with
   *   `RefreshFailedError` when the store failed: it holds in this realm, and will be written there
   *   before it is next read.
   */
  set(this: void, token: Token): Promise<void>;

  /** Signs out: ends the session, as `set` does, and begins none. `refresh` is not called until `set`. */
  clear(this: void): Promise<void>;

  /** Whether a refresh is running, in the background or with callers waiting. */
  readonly refreshing: boolean;

  /**
   * `shared` when other realms know this session and at most one of them refreshes at a time; `none`
   * without `shared`, and where the browser lacks the means.
   */
  readonly coordination: 'shared' | 'none';

  /** Stops to listen to other realms, for a source that is not used any more. */
  close(this: void): void;

  /**
   * For adapters: how the requests of one client are sent with the tokens of this source.
   *
   * @param baseUrl The client's, if it has one.
   * @throws {TypeError} When an option is not what it must be, or when there is neither
   *   `allowedOrigins` nor a base URL nor a page.
   */
  connect<Headers extends HeaderSetter, Response extends { status: number }>(
    this: void,
    options: ConnectOptions<Token, Headers, Response>,
    baseUrl?: string | URL,
  ): Connection<Headers, Response>;
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
export function createTokenSource<Token>(given: TokenSourceOptions<Token>): TokenSource<Token> {
  // The token is not kept with the options, where it would outlive its session.
  const { token: first, ...options } = readTokenSourceOptions(given);
  const { timeout, shared, onRefresh, onSessionExpired } = options;
  const { count, window } = options.refreshLimit;
  /** The session of every credential given out. */
  const sessions = new WeakMap<Credential<Token>, Session<Token>>();
  /** One flight per session, so that a new session never waits for an old one's refresh. */
  const flights = new FlightGroup<Session<Token>, Credential<Token>>({
    onLand: ({ key, ...landing }) => onRefresh({ ...landing, attempts: key.refresh!.attempts }),
  });
  let generation = 0;
  /** The only one that is not over, or the last one. */
  let session: Session<Token> = {};
  /** When its last refreshes began, the newest first, by the monotonic clock: as many as may be. */
  let begun: number[] = [];

  const isRefreshing = () => flights.has(session);

  const isExpired = (owner: Session<Token>) => {
    schedule(owner, options);
    return Date.now() >= owner.expiresAt!;
  };

  const hold = (owner: Session<Token>, token: Token, age = 0) => {
    const credential = { generation: ++generation } as Credential<Token>;
    Object.defineProperty(credential, 'token', { value: token });
    sessions.set(credential, owner);
    Object.assign(owner, { credential, receivedAt: Date.now() - age, expiresAt: undefined });
  };

  const begin = (token: Token, id?: string, age?: number) => {
    const next: Session<Token> = { id };
    hold(next, token, age);
    schedule(next, options);
    session = next;
    begun = [];
  };

  /** Ends a session for everyone who waits, and for ever. */
  const end = (
    owner: Session<Token>,
    ...reason: ConstructorParameters<typeof SessionExpiredError>
  ) => {
    if (owner.over) return;
    owner.over = new SessionExpiredError(...reason);
    owner.credential = undefined;
    owner.refresh?.controller.abort();
  };

  /** The same when this realm did not ask for it. */
  const expire = (
    owner: Session<Token>,
    ...reason: ConstructorParameters<typeof SessionExpiredError>
  ) => {
    if (owner.over) return;
    end(owner, ...reason);
    // Nothing waits for the hook, and what it throws, now or later, is ignored.
    (async () => onSessionExpired(owner.over!))().catch(() => {});
  };

  const membership = shared?.join({
    timeout,
    adopt({ session: id, token, over, age }) {
      const owner = session;
      if (over) return expire(owner, 'the session has ended in another realm', over);
      if (!owner.over && (owner.id ?? id) === id) {
        Object.assign(owner, { id, isRefreshed: true });
        hold(owner, token!, age);
      } else {
        begin(token!, id, age);
        expire(owner, 'another realm has begun another session', 'SESSION_REPLACED');
      }
    },
  });

  /** Joins the refresh of the session, or begins one. */
  const renew = async (ahead: boolean, signal?: AbortSignal | null): Promise<Credential<Token>> => {
    const owner = session;
    if (signal?.aborted) throw signal.reason;
    if (!isRefreshing()) {
      const now = performance.now();
      if (now - begun.at(count - 1)! < window) {
        const message = '"refreshLimit" is reached: are fresh tokens refused?';
        throw new RefreshFailedError(message, 'REFRESH_LIMIT');
      }
      begun = [now, ...begun].slice(0, count);
    } else if (!ahead) owner.refresh!.ahead = false;

    const credential = await flights.run(owner, () => refresh(owner, ahead), { signal });
    if (owner.over) throw owner.over;
    return credential;
  };

  /** The task of a flight. */
  const refresh = async (owner: Session<Token>, ahead: boolean): Promise<Credential<Token>> => {
    const stale = owner.credential;
    let replaced = stale;
    const self: Refresh = { controller: new AbortController(), ahead, attempts: 0 };
    owner.refresh = self;
    const isNeeded = () => !owner.over && owner.credential === replaced;
    // A token may come after its refresh was given up. The server has rotated: it is not lost,
    // unless the session is over or another one has landed.
    const land = async (token: Token) => {
      if (!isNeeded()) return;
      if (membership) {
        owner.id ??= newId();
        if (!(await membership.land({ session: owner.id, token })) || !isNeeded()) return;
      }
      owner.isRefreshed = true;
      hold(owner, token);
    };
    const run = (beforeSend?: () => void) => {
      replaced = owner.credential;
      return runRefresh(self, options, replaced?.token, land, beforeSend);
    };
    try {
      await (membership?.renew({
        run,
        signal: self.controller.signal,
        isDone: () => !!owner.over || (owner.credential !== stale && !isExpired(owner)),
        verdict: () =>
          self.final && !self.ahead
            ? { session: (owner.id ??= newId()), over: 'SESSION_EXPIRED' }
            : undefined,
      }) ?? run());
    } catch (error) {
      if (isNeeded()) throw fail(owner, self, error);
    }
    if (owner.over) throw owner.over;
    return owner.credential!;
  };

  /** What a failed refresh means, as an error for those who wait. */
  const fail = (owner: Session<Token>, self: Refresh, error: unknown): TokenRefreshError => {
    // Ahead of time it costs nothing: the token lives out its time.
    if (self.ahead) owner.aheadAt = Infinity;
    if (self.controller.signal.aborted) {
      const message = `refresh did not end within ${timeout} ms ("timeout"): sent through the wrapped client, it waits for itself`;
      return new RefreshFailedError(message, 'REFRESH_TIMEOUT');
    }
    // The lock or the store has failed, not the refresh.
    if (!self.failure && error instanceof RefreshFailedError) return error;
    const cause = self.failure ?? error;
    const answer = answerOf(cause);
    const message = `refresh failed${answer.status ? ` with status ${answer.status}` : ''}`;
    const response = answer.headers && answer;
    if (!self.final || self.ahead) {
      return new RefreshFailedError(message, 'REFRESH_FAILED', cause, response);
    }
    expire(owner, `session expired: ${message}`, 'SESSION_EXPIRED', cause, response);
    return owner.over!;
  };

  const get = async (waiting?: Waiting): Promise<Credential<Token>> => {
    const signal = waiting?.signal;
    if (signal?.aborted) throw signal.reason;
    membership?.watch();
    const { credential, over } = session;
    if (over) throw over;
    if (!credential || (isRefreshing() && !session.refresh!.ahead)) return renew(false, signal);

    if (isExpired(session)) return renew(false, signal);
    if (Date.now() >= session.aheadAt! && !isRefreshing()) {
      // A flight whose only caller leaves: it runs on, and counts those who join it.
      const nobody = new AbortController();
      renew(true, nobody.signal).catch(() => {});
      nobody.abort();
    }
    return credential;
  };

  if (first != null) begin(first);

  const isRefreshSignal = (signal: unknown) =>
    isRefreshing() && signal === session.refresh!.controller.signal;

  const source: TokenSource<Token> = {
    get,
    async renew(credential, waiting) {
      const owner = sessions.get(credential);
      // Not by `check`, which would print a token that was given instead.
      if (!owner) throw new TypeError('"credential" is not from this token source');
      if (owner.over) throw owner.over;
      return credential === owner.credential ? renew(false, waiting?.signal) : get(waiting);
    },
    async set(token) {
      const previous = session;
      const id = newId();
      begin(token, id);
      const message = '"set" has begun another session; "refresh" returns its token';
      end(previous, message, 'SESSION_REPLACED');
      await membership?.publish({ session: id, token }, previous.id);
    },
    async clear() {
      end(session, 'signed out', 'SIGNED_OUT');
      const id = (session.id ??= newId());
      await membership?.publish({ session: id, over: 'SIGNED_OUT' }, id);
    },
    get refreshing() {
      return isRefreshing();
    },
    get coordination() {
      return shared?.coordination ?? 'none';
    },
    close: () => membership?.leave(),
    connect: (adapterOptions, baseUrl) => connect(source, isRefreshSignal, adapterOptions, baseUrl),
  };
  return source;
}

/** A name for a session: unlikely to be another's under the same name. */
function newId(): string {
  return `${Math.random()}`;
}
