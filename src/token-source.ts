import { connect, type ConnectOptions, type Connection, type HeaderSetter } from './connection.ts';
import type { Credential } from './credential.ts';
import { createSession, newId, type Session } from './session.ts';
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
  const { shared, timeout } = options;
  /** The session of every credential given out. */
  const sessions = new WeakMap<Credential<Token>, Session<Token>>();
  let generation = 0;

  const create = (id?: string) => {
    const issue = (token: Token) => {
      const credential = { generation: ++generation } as Credential<Token>;
      Object.defineProperty(credential, 'token', { value: token });
      sessions.set(credential, created);
      return credential;
    };
    const created = createSession(options, issue, membership, id);
    return created;
  };
  const membership = shared?.join({
    timeout,
    adopt({ session: id, token, over, age }) {
      const previous = session;
      if (!over) {
        if (session.adopt(token!, age, id)) return;
        session = create(id);
        session.adopt(token!, age, id);
      }
      previous.expire('ended elsewhere', over ?? 'SESSION_REPLACED');
    },
  });
  /** The only one that is not over, or the last one. */
  let session: Session<Token> = create();
  if (first != null) session.begin(first);

  const source: TokenSource<Token> = {
    get: async (waiting) => session.get(waiting?.signal),
    async renew(credential, waiting) {
      const owner = sessions.get(credential);
      // Not by `check`, which would print a token that was given instead.
      if (!owner) throw new TypeError('"credential" is not from this token source');
      return owner.get(waiting?.signal, credential);
    },
    async set(token) {
      const previous = session;
      const id = newId();
      const next = create(id);
      next.begin(token);
      session = next;
      const message = '"set" began another session: refresh returns its token';
      previous.end(message, 'SESSION_REPLACED');
      await membership?.publish({ session: id, token }, previous.id());
    },
    async clear() {
      session.end('signed out', 'SIGNED_OUT');
      const id = session.id();
      await membership?.publish({ session: id ?? newId(), over: 'SIGNED_OUT' }, id);
    },
    get refreshing() {
      return !!session.refreshSignal();
    },
    get coordination() {
      return shared ? shared.coordination : 'none';
    },
    close: () => membership?.leave(),
    connect: (adapterOptions, baseUrl) =>
      connect(() => session, source.renew, adapterOptions, baseUrl),
  };
  return source;
}
