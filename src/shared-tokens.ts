import { check } from './check.ts';
import { renewShared, type SharedRefresh } from './shared-refresh.ts';
import { SharedSession } from './shared-session.ts';

/** What a store keeps under one name: the newest token of a session, or why that is over. */
export interface StoredSession<Token> {
  /** Grows with every write; by the writer's clock, so that it does even when a store lost its data. */
  readonly version: number;
  /** Names the session. A sign-in begins another one; a refresh does not. */
  readonly session: string;
  readonly token?: Token | undefined;
  /** Present when the session is over. */
  readonly over?: 'SIGNED_OUT' | 'SESSION_EXPIRED' | undefined;
}

/** A session as it was read. */
export interface ReadSession<Token> extends StoredSession<Token> {
  /** How many milliseconds ago it was written, by the store's own clock: those of realms differ. */
  readonly age: number;
}

/** Where realms find each other's tokens: one place for one name. */
export interface TokenStore<Token> {
  /** What was written last; `undefined` when there is nothing. */
  read(): Promise<ReadSession<Token> | undefined>;
  /**
   * Compare and set: writes if the version that is there is `expected`, 0 meaning nothing.
   *
   * @returns False, with nothing written, when it is another.
   */
  write(stored: StoredSession<Token>, options: { expected: number }): Promise<boolean>;
  /**
   * Calls the listener after each write, and whenever one may have been missed. A message carries no
   * secret; one that is lost costs time, never a second refresh: on use, a realm looks every minute for
   * a sign-in or sign-out of another, and every 5 seconds where there are no messages.
   *
   * @returns Stops it.
   */
  subscribe?: ((listener: () => void) => () => void) | undefined;
}

/** A lock that is held. The lock of `navigator.locks` has neither of its parts. */
export interface LockGrant {
  /**
   * For a lock that ends by itself: throws when it may have ended. Synchronous, and called last before
   * `refresh`: a process that was stopped finds out before it sends.
   */
  assertHeld?(): void;
  /** Counts the grants of this name. */
  readonly fence?: number;
  /** What was stored when the lock was granted: saves a look. */
  readonly stored?: ReadSession<unknown> | undefined;
}

/** Exclusive locks by name, as `navigator.locks` has them. */
export interface TokenLocks {
  /**
   * Calls `callback` while the lock is held, waiting for it as long as `signal` lets it.
   *
   * @returns What the callback returns. Rejects with `signal.reason` when that aborts while waiting;
   *   once the lock is held, the signal means nothing.
   */
  request<Result>(
    name: string,
    options: { signal: AbortSignal },
    callback: (grant: any) => Promise<Result>,
  ): Promise<Result>;
}

/** @see {@link sharedTokens}. `Encoded` is what the store keeps for a token. */
export interface SharedTokensOptions<Token, Encoded = Token> {
  /**
   * Realms that give the same name share a session. Whatever tells sessions apart belongs in it: the
   * user, the tenant, the audience.
   */
  name: string;
  locks: TokenLocks;
  store: TokenStore<Encoded>;
  /** What is stored for a token, for example encrypted. @default The token. */
  encode?: ((token: Token) => Encoded | Promise<Encoded>) | undefined;
  /** The way back. @default What is stored. */
  decode?: ((stored: Encoded) => Token | Promise<Token>) | undefined;
  /** How many milliseconds a lock outlives its holder, if it does. Less than `timeout` of the source. */
  lease?: number | undefined;
}

/** What realms share. Made by `browserTokens`, `redisTokens`, `postgresTokens` or {@link sharedTokens}. */
export interface SharedTokens<Token> {
  readonly name: string;
  /** `none` where the means are missing: each realm refreshes for itself. */
  readonly coordination: 'shared' | 'none';
  /** For a token source, which calls it once. */
  join(realm: Realm<Token>): Membership<Token>;
}

/** One token source among those that share a name. */
export interface Realm<Token> {
  /** Called with what another realm wrote, the newest only, in order. */
  readonly adopt: (stored: ReadSession<Token>) => void;
  /** Milliseconds to wait for the lock. */
  readonly timeout: number;
}

export interface Membership<Token> {
  /** Listens to the other realms from now on. */
  watch(): void;
  /** Listens no more. */
  leave(): void;
  /**
   * Waits until there is a newer token, or runs the refresh.
   *
   * @returns Rejects with what `run` rejects with, or with a `RefreshFailedError` when there is no
   *   lock or store to be had; which means nothing when a newer token has been adopted.
   */
  renew(refresh: SharedRefresh): Promise<void>;
  /**
   * Writes the token that a refresh returned, unless another realm has written meanwhile: that counts,
   * and is adopted. When the store fails, it is written before it is read again.
   */
  land(stored: Omit<StoredSession<Token>, 'version'>): Promise<void>;
  /**
   * Writes a sign-in or sign-out, unless there is a later one.
   *
   * @param replaces The session that was there before, if it is known.
   * @returns Rejects with a `RefreshFailedError` when the store fails. It is then written before it is
   *   read again.
   */
  publish(
    stored: Omit<StoredSession<Token>, 'version'>,
    replaces: string | undefined,
  ): Promise<void>;
}

/**
 * Shares the tokens of one session over realms (tabs, processes, machines) by locks and a store of
 * your own. `oneflight/browser`, `oneflight/redis` and `oneflight/postgres` bring theirs.
 *
 * @throws {TypeError} When an option is not what it must be.
 *
 * @example
 * const shared = sharedTokens({ name: `session:${user}`, locks: navigator.locks, store });
 * const tokens = createTokenSource({ shared, refresh });
 */
export function sharedTokens<Token, Encoded = Token>(
  options: SharedTokensOptions<Token, Encoded>,
): SharedTokens<Token>;
/** @internal Tells whether the means are there. */
export function sharedTokens<Token, Encoded = Token>(
  options: SharedTokensOptions<Token, Encoded>,
  isCoordinated: () => boolean,
): SharedTokens<Token>;
export function sharedTokens(
  options: SharedTokensOptions<any>,
  isCoordinated = () => true,
): SharedTokens<any> {
  const { name, locks, store, encode, decode, lease = 0 } = options;
  check('name', name, 'a string that is not empty', typeof name === 'string' && !!name);
  // Written as methods, they may well need their object: only what they are is looked at.
  check('locks.request', (locks as any)?.request);
  check('store.read', (store as any)?.read);
  check('store.write', (store as any).write);
  if (encode ?? decode) {
    check('encode', encode);
    check('decode', decode);
  }
  return {
    name,
    get coordination() {
      return isCoordinated() ? 'shared' : 'none';
    },
    join(realm) {
      // A realm that waits for the lock of one that died would give up before it is free.
      const wanted = `a number of milliseconds below "timeout", which is ${realm.timeout}`;
      check('lease', lease, wanted, lease < realm.timeout);
      const session = new SharedSession(options, realm);
      return {
        watch: () => session.watch(),
        leave: () => session.leave(),
        land: (entry) => session.land(entry),
        publish: (...given) => session.publish(...given),
        renew: (refresh) => renewShared(options, session, realm.timeout, refresh),
      };
    },
  };
}
