import { check } from '../check.ts';
import { sharedTokens, type SharedTokens, type TokenStore } from '../shared-tokens.ts';
import { LeaseLocks } from './lease.ts';

/** A pool of `pg`, or a `sql` of `postgres` (postgres.js). */
export type PostgresClient =
  | { query(text: string, values: any[]): Promise<{ rows: any[] }>; connect(): Promise<any> }
  | { unsafe(text: string, values: any[]): PromiseLike<any>; listen(...args: any[]): Promise<any> };

export interface PostgresTokensOptions<Token> {
  /**
   * Sources with the same name share a session. Whatever tells sessions apart belongs in it: the user
   * or the id of the session, the tenant, the audience.
   */
  name: string;
  /** The table, as {@link postgresTable} makes it; a schema may precede it. @default oneflight_tokens */
  table?: string | undefined;
  /**
   * How many milliseconds a process that died blocks the others: 100 or more, and less than `timeout`
   * of the source. Renewed while a refresh runs.
   * @default 10000
   */
  lease?: number | undefined;
  /**
   * Whether one connection, for all names, listens for changes (`LISTEN`) while a source is in use: of
   * the pool of `pg`, or one more than that of postgres.js, which keeps it until its `end`. Without it, as behind a pgbouncer that pools transactions, a waiter looks from time to
   * time, and a sign-out elsewhere is heard of with the next refresh.
   * @default true
   */
  listen?: boolean | undefined;
  /** What is stored for a token, for example encrypted. May be asynchronous. @default JSON */
  encode?: ((token: Token) => string | Promise<string>) | undefined;
  /** The way back. */
  decode?: ((text: string) => Token | Promise<Token>) | undefined;
}

/**
 * The statement that creates the table. Nothing creates it for you: put it where your migrations are.
 *
 * @throws {TypeError} When the name is not one of letters, digits and `_`, with a schema or without.
 */
export function postgresTable(table = 'oneflight_tokens'): string {
  return `CREATE TABLE ${checkTable(table)} (
  name text PRIMARY KEY,
  version bigint NOT NULL DEFAULT 0,
  session text,
  token text,
  over text,
  written_at timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  leased_until timestamptz
)`;
}

/**
 * Shares a session over processes and machines by PostgreSQL: a row with the token, and a lease on it.
 * Not by advisory locks, which a process that is stopped would hold for ever.
 *
 * @param client The app's own pool. It stays open, and is the app's to end.
 * @throws {TypeError} When an argument or option is not what it must be.
 *
 * @example
 * const shared = postgresTokens(pool, { name: `session:${id}` });
 * const tokens = createTokenSource({ shared, refresh });
 */
export function postgresTokens<Token>(
  client: PostgresClient,
  {
    name,
    table = 'oneflight_tokens',
    lease = 10_000,
    listen = true,
    encode = JSON.stringify,
    decode = JSON.parse,
  }: PostgresTokensOptions<Token>,
): SharedTokens<Token> {
  const { unsafe, query, options } = Object(client);
  check('client', typeof client, 'a pool', !!(unsafe ?? query));
  // postgres.js opens a connection of its own.
  const isSingle = !unsafe && options?.max === 1;
  check('listen', listen, 'false for a pool of one connection', !listen || !isSingle);
  const sql = statements(checkTable(table));
  const run = async (text: string, ...values: unknown[]): Promise<any> => {
    if ('unsafe' in client) return (await client.unsafe(text, [name, ...values]))[0];
    return (await client.query(text, [name, ...values])).rows[0];
  };
  const subscribe = listen
    ? (listener: () => void) => notificationsOf(client, table).subscribe(name, listener)
    : undefined;

  const locks = new LeaseLocks(
    {
      async take() {
        // No row: another realm is about to insert it.
        const { fence = 0, left, first, ...row } = (await run(sql.take, lease)) ?? {};
        return { fence, left, isFirst: first, stored: parse(row) };
      },
      renew: async (fence) => !!(await run(sql.renew, fence, lease)),
      release: (fence) => run(sql.release, fence),
      subscribe,
    },
    lease,
  );
  const store: TokenStore<string> = {
    read: async () => parse(await run(sql.read)),
    async write({ version, session, token, over }, { expected }) {
      const values = [version, session, token ?? null, over ?? null, expected, locks.fence];
      const isWritten = !!(await run(sql.write, ...values));
      if (isWritten) locks.fence = 0;
      return isWritten;
    },
    subscribe,
  };
  return sharedTokens({ name, locks, store, lease, encode, decode });
}

function parse(row: any) {
  if (!row?.version) return undefined;
  const { version, session, token, over, age } = row;
  return { version, session, token: token ?? undefined, over: over ?? undefined, age };
}

function checkTable(table: string): string {
  check('table', table, 'a name such as app.oneflight_tokens', /^\w+(\.\w+)?$/.test(table));
  return table;
}

// The client would make strings of the other numbers.
const FIELDS = `version::float8, session, token, over,
  (extract(epoch FROM clock_timestamp() - written_at) * 1000)::float8 AS age`;

const statements = (table: string) => ({
  read: `SELECT ${FIELDS} FROM ${table} WHERE name = $1`,
  /**
   * Takes the lease and reads what is stored in one round trip. The fence is by the clock, so that it
   * grows even when the row was lost; `xmax` tells an inserted row.
   */
  take: `WITH taken AS (
  INSERT INTO ${table} AS l (name, fence, leased_until)
  VALUES ($1, extract(epoch FROM clock_timestamp()) * 1000,
    clock_timestamp() + $2::float8 * interval '1 ms')
  ON CONFLICT (name) DO UPDATE SET fence = greatest(l.fence + 1, excluded.fence),
    leased_until = excluded.leased_until
  WHERE l.leased_until IS NULL OR l.leased_until <= clock_timestamp()
  RETURNING *, xmax = 0 AS first)
SELECT fence::float8, 0::float8 AS left, first, ${FIELDS} FROM taken
UNION ALL SELECT 0, extract(epoch FROM leased_until - clock_timestamp())::float8 * 1000,
  NULL, NULL, NULL, NULL, NULL, NULL FROM ${table} WHERE name = $1 AND NOT EXISTS (SELECT FROM taken)`,
  renew: `UPDATE ${table} SET leased_until = clock_timestamp() + $3::float8 * interval '1 ms'
WHERE name = $1 AND fence = $2 AND leased_until > clock_timestamp() RETURNING 1`,
  release: `WITH freed AS (UPDATE ${table} SET leased_until = NULL
  WHERE name = $1 AND fence = $2 RETURNING name)
SELECT pg_notify('${table}', name) FROM freed`,
  /** A write is the end of a refresh: it lets the lease go, so that one message says both. */
  write: `WITH written AS (
  INSERT INTO ${table} AS s (name, version, session, token, over, written_at)
  SELECT $1, $2, $3, $4, $5, clock_timestamp()
  WHERE $6::bigint = 0 OR EXISTS (SELECT FROM ${table} WHERE name = $1)
  ON CONFLICT (name) DO UPDATE SET version = $2, session = $3, token = $4, over = $5,
    written_at = clock_timestamp(),
    leased_until = CASE WHEN s.fence = $7 THEN NULL ELSE s.leased_until END
  WHERE s.version = $6
  RETURNING name)
SELECT pg_notify('${table}', name) FROM written`,
});

/** What comes over the one listening connection of a client, which is open while anyone listens. */
class Notifications {
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #client: any;
  readonly #table: string;
  /** Closes the connection, which is open or being opened. */
  #close: (() => void) | undefined;

  constructor(client: PostgresClient, table: string) {
    this.#client = client;
    this.#table = table;
  }

  subscribe(name: string, listener: () => void): () => void {
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Set()));
    // One function may listen twice.
    const own = () => listener();
    listeners.add(own);
    this.#close ??= this.#open();
    return () => {
      listeners.delete(own);
      if (!listeners.size) this.#listeners.delete(name);
      if (this.#listeners.size) return;
      this.#close!();
      this.#close = undefined;
    };
  }

  #tell(name: string): void {
    for (const listener of this.#listeners.get(name) ?? []) listener();
  }

  /** While there was no connection, anything may have changed. */
  #tellAll = (): void => {
    for (const name of this.#listeners.keys()) this.#tell(name);
  };

  #open(): () => void {
    let isClosed = false;
    let close = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    const again = () => {
      close = () => {};
      if (isClosed) return;
      // A connection that breaks tells so more than once.
      clearTimeout(timer);
      timer = setTimeout(open, RECONNECT);
      timer.unref?.();
    };
    const open = () => {
      const opening = this.#client.listen ? this.#listen() : this.#connect(again);
      opening.then((opened) => {
        close = opened;
        if (isClosed) close();
      }, again);
    };
    open();
    return () => {
      isClosed = true;
      clearTimeout(timer);
      close();
    };
  }

  /** postgres.js keeps a connection for this, and opens it again by itself. */
  async #listen(): Promise<() => void> {
    const tell = (name: string) => this.#tell(name);
    const { unlisten } = await this.#client.listen(this.#table, tell, this.#tellAll);
    return () => unlisten().catch(() => {});
  }

  async #connect(onEnd: () => void): Promise<() => void> {
    const connection = await this.#client.connect();
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      // Ended, rather than given back: it listens.
      connection.release(true);
    };
    const fail = () => {
      if (isReleased) return;
      release();
      onEnd();
    };
    connection.on('error', fail);
    connection.on('end', fail);
    // It keeps no process alive.
    connection.unref?.();
    connection.on('notification', ({ payload }: { payload: string }) => this.#tell(payload));
    try {
      await connection.query(`LISTEN "${this.#table}"`);
    } catch (error) {
      release();
      throw error;
    }
    this.#tellAll();
    return release;
  }
}

/** Milliseconds until a listening connection that broke is opened again. */
const RECONNECT = 1_000;

const notifications = new WeakMap<PostgresClient, Map<string, Notifications>>();

function notificationsOf(client: PostgresClient, table: string): Notifications {
  let tables = notifications.get(client);
  if (!tables) notifications.set(client, (tables = new Map()));
  let known = tables.get(table);
  if (!known) tables.set(table, (known = new Notifications(client, table)));
  return known;
}
