import { check } from '../check.ts';
import {
  sharedTokens,
  type ReadSession,
  type SharedTokens,
  type StoredSession,
  type TokenLocks,
  type TokenStore,
} from '../shared-tokens.ts';

export interface BrowserTokensOptions<Token, Encoded = Token> {
  /**
   * Tabs and workers of one origin that give the same name share a session. Whatever tells sessions
   * apart belongs in it: the user, the tenant, the audience.
   */
  name: string;
  /**
   * Locks of your own. A SharedWorker that refreshes for its pages needs some, since a page holds the
   * page's lock while it asks.
   * @default navigator.locks
   */
  locks?: TokenLocks | undefined;
  /**
   * What is stored for a token: anything that can be cloned (`structuredClone`). May be asynchronous.
   * @default The token.
   */
  encode?: ((token: Token) => Encoded | Promise<Encoded>) | undefined;
  /** The way back. */
  decode?: ((stored: Encoded) => Token | Promise<Token>) | undefined;
}

/**
 * Shares a session over the tabs and workers of one origin: `navigator.locks` for the refresh,
 * IndexedDB (database `oneflight`) for the token, a BroadcastChannel for the news, which is a version
 * and nothing else. Nothing is opened before it is needed, or left open once the source is closed.
 *
 * It does not hide the token from scripts of the page: those can read IndexedDB. And it cannot repair
 * a tab that dies when the server has rotated but not yet answered: a SharedWorker can.
 *
 * Without `navigator.locks` (a page without https) or IndexedDB (refused, or absent as on a server),
 * each realm refreshes for itself and `coordination` is `none`. Whether IndexedDB is refused shows
 * when it is first used, and holds until the page is loaded again.
 *
 * @throws {TypeError} When an option is not what it must be.
 *
 * @example
 * const tokens = createTokenSource({ shared: browserTokens({ name: 'session' }), refresh });
 * // At sign-in and sign-out, in whichever tab:
 * await tokens.set(token);
 * await tokens.clear();
 */
export function browserTokens<Token, Encoded = Token>({
  name,
  encode,
  decode,
  locks = ambient(() => navigator.locks),
}: BrowserTokensOptions<Token, Encoded>): SharedTokens<Token> {
  check('locks', locks, 'locks such as navigator.locks', !locks || 'request' in locks);
  /** Missing when this realm works alone. */
  let factory = ambient(() => indexedDB);
  /** The connection, which is open or being opened. */
  let database: Promise<IDBDatabase> | undefined;
  /** Once it has, it can: a later failure passes, and is no reason to work alone. */
  let hasOpened = false;
  let listeners = 0;

  const open = () =>
    new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory!.open('oneflight');
      const fail = () => reject(request.error);
      request.addEventListener('upgradeneeded', () => request.result.createObjectStore(SESSIONS));
      request.addEventListener('blocked', fail);
      request.addEventListener('error', fail);
      request.addEventListener('success', () => {
        hasOpened = true;
        // The data are being deleted, which is not to wait: the next use opens it again.
        request.result.addEventListener('versionchange', close);
        resolve(request.result);
      });
    });

  const close = () => {
    database?.then(
      (opened) => opened.close(),
      () => {},
    );
    database = undefined;
  };

  /** Does some work in one transaction, with what is stored; or gives `alone` where nothing can be. */
  const run = async <Result>(
    mode: IDBTransactionMode,
    alone: Result,
    work: (row: Row<Encoded> | undefined, sessions: IDBObjectStore) => Result,
  ): Promise<Result> => {
    for (let isSecond = false; factory; isSecond = true) {
      try {
        return await transact(await (database ??= open()), mode, name, work);
      } catch (error) {
        // The browser may have closed the connection, with all data: nothing was written, so once more.
        close();
        if (isSecond && hasOpened) throw error;
        if (isSecond) factory = undefined;
      } finally {
        if (!listeners) close();
      }
    }
    return alone;
  };

  const channelName = `oneflight:${name}`;
  const connect = () => ambient(() => new BroadcastChannel(channelName));

  const store: TokenStore<Encoded> = {
    read: () =>
      run<ReadSession<Encoded> | undefined>(
        'readonly',
        undefined,
        // The clock may have been set back since.
        (row) => row && { ...row, age: Math.max(0, Date.now() - row.writtenAt) },
      ),
    async write(stored, { expected }) {
      const isWritten = await run('readwrite', true, (row, sessions) => {
        if ((row?.version ?? 0) !== expected) return false;
        sessions.put({ ...stored, writtenAt: Date.now() }, name);
        return true;
      });
      if (isWritten && factory) {
        // By a channel of its own, so that every listener hears, also of this realm.
        const channel = connect();
        channel?.postMessage(stored.version);
        channel?.close();
      }
      return isWritten;
    },
    subscribe(listener) {
      if (!factory) return () => {};
      let channel: BroadcastChannel | undefined;
      const listen = () => {
        channel = connect();
        channel?.addEventListener('message', listener);
      };
      const rest = () => {
        channel?.close();
        close();
      };
      // A page may be put aside to be shown again (bfcache): not with anything open; and it hears nothing.
      const wake = ({ persisted }: PageTransitionEvent) => {
        if (!persisted) return;
        listen();
        listener();
      };
      globalThis.addEventListener?.('pagehide', rest);
      globalThis.addEventListener?.('pageshow', wake);
      listen();
      listeners++;
      return () => {
        globalThis.removeEventListener?.('pagehide', rest);
        globalThis.removeEventListener?.('pageshow', wake);
        listeners--;
        rest();
      };
    },
  };
  return sharedTokens(
    {
      name,
      store,
      encode,
      decode,
      locks: {
        request: (lock, options, callback) =>
          locks && factory ? locks.request(lock, options, callback) : callback(null),
      },
    },
    () => !!locks && !!factory,
  );
}

const SESSIONS = 'sessions';

type Row<Encoded> = StoredSession<Encoded> & {
  /** In epoch milliseconds, by the clock that all realms of a machine share. */
  readonly writtenAt: number;
};

/** Resolves when it is committed: what is then read in another process sees it. */
function transact<Encoded, Result>(
  database: IDBDatabase,
  mode: IDBTransactionMode,
  name: string,
  work: (row: Row<Encoded> | undefined, sessions: IDBObjectStore) => Result,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(SESSIONS, mode);
    const sessions = transaction.objectStore(SESSIONS);
    const request: IDBRequest<Row<Encoded> | undefined> = sessions.get(name);
    let result: Result;
    request.addEventListener('success', () => {
      try {
        result = work(request.result, sessions);
      } catch (error) {
        reject(error);
        transaction.abort();
      }
    });
    transaction.addEventListener('complete', () => resolve(result));
    transaction.addEventListener('abort', () => reject(transaction.error));
  });
}

/** What the realm has; `undefined` where that is absent, or refused by a throw. */
function ambient<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
