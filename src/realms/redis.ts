import { check } from '../check.ts';
import { sharedTokens, type SharedTokens, type TokenStore } from '../shared-tokens.ts';
import { LeaseLocks } from './lease.ts';

/** A client of Redis or Valkey: `ioredis` from 5, or `redis` (node-redis) from 4. Not a cluster's. */
export type RedisClient = { duplicate(): any } & (
  | { call(command: string, ...args: string[]): Promise<unknown> }
  | { sendCommand(args: string[]): Promise<unknown> }
);

export interface RedisTokensOptions<Token> {
  /**
   * Sources with the same name share a session. Whatever tells sessions apart belongs in it: the user
   * or the id of the session, the tenant, the audience.
   */
  name: string;
  /**
   * How many milliseconds a process that died blocks the others: 100 or more, and less than `timeout`
   * of the source. Renewed while a refresh runs.
   * @default 10000
   */
  lease?: number | undefined;
  /** Milliseconds after its last write at which the store forgets the session: 1 or more. @default never */
  ttl?: number | undefined;
  /** What is stored for a token, for example encrypted. May be asynchronous. @default JSON */
  encode?: ((token: Token) => string | Promise<string>) | undefined;
  /** The way back. */
  decode?: ((text: string) => Token | Promise<Token>) | undefined;
}

/**
 * Shares a session over processes and machines by Redis or Valkey. All it writes is under two keys,
 * `oneflight:{name}` and `oneflight:{name}:lease`; one more connection, duplicated from the client and
 * shared by all names, hears of changes while a source is in use.
 *
 * @param client The app's own, connected. It stays open, and is the app's to close.
 * @throws {TypeError} When an argument or option is not what it must be.
 *
 * @example
 * const shared = redisTokens(client, { name: `session:${id}`, ttl: 30 * 24 * 3_600_000 });
 * const tokens = createTokenSource({ shared, refresh });
 */
export function redisTokens<Token>(
  client: RedisClient,
  {
    name,
    lease = 10_000,
    ttl = 0,
    encode = JSON.stringify,
    decode = JSON.parse,
  }: RedisTokensOptions<Token>,
): SharedTokens<Token> {
  check('client', typeof client, 'a client of Redis', !!client?.duplicate);
  check('ttl', ttl, 'a number of milliseconds', ttl >= 0 && ttl < 2 ** 53);
  const key = `oneflight:{${name}}`;
  const leaseKey = `${key}:lease`;
  const run = (script: string, ...args: unknown[]): Promise<any> => {
    const command = ['EVAL', script, '2', key, leaseKey, ...args.map(String)];
    return 'call' in client
      ? client.call(...(command as ['EVAL', ...string[]]))
      : client.sendCommand(command);
  };
  // Redis takes whole numbers only.
  const [duration, forgetAfter] = [Math.ceil(lease), Math.ceil(ttl)];
  const subscribe = (listener: () => void) => channelsOf(client).subscribe(key, listener);

  const locks = new LeaseLocks(
    {
      async take() {
        const [fence, left, isFirst, ...fields] = await run(TAKE, duration, forgetAfter);
        return { fence, left, isFirst: !!isFirst, stored: parse(fields) };
      },
      renew: (fence) => run(RENEW, fence, duration).then(Boolean),
      release: (fence) => run(RELEASE, fence),
      subscribe,
    },
    lease,
  );
  const store: TokenStore<string> = {
    read: async () => parse(await run(READ)),
    async write({ version, session, token, over }, { expected }) {
      const given = { version, session, token, over };
      const fields = Object.entries(given).filter(([, value]) => value !== undefined);
      const isWritten = await run(WRITE, expected, forgetAfter, locks.fence, ...fields.flat());
      if (isWritten) locks.fence = 0;
      return !!isWritten;
    },
    subscribe,
  };
  return sharedTokens({ name, locks, store, lease, encode, decode });
}

function parse([version, session, token, over, age]: any[]) {
  // What Redis has not is `null`.
  return version
    ? { version: +version, session, token: token ?? undefined, over: over ?? undefined, age: +age }
    : undefined;
}

const NOW = `local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`;
const FIELDS = `local r = redis.call('HMGET', KEYS[1], 'version', 'session', 'token', 'over', 'at')
r[5] = now - (r[5] or now)
`;
const READ = `${NOW}${FIELDS}return r`;
/**
 * Takes the lease and reads what is stored in one round trip. The fence is by the clock, so that it
 * grows even when Redis lost its data.
 */
const TAKE = `if redis.call('EXISTS', KEYS[2]) == 1 then return {0, redis.call('PTTL', KEYS[2])} end
${NOW}${FIELDS}local last = redis.call('HGET', KEYS[1], 'fence')
local fence = math.max((last or 0) + 1, now)
redis.call('HSET', KEYS[1], 'fence', fence)
redis.call('SET', KEYS[2], fence, 'PX', ARGV[1])
if not last and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {fence, 0, last and 0 or 1, unpack(r)}`;
const RENEW = `return redis.call('GET', KEYS[2]) == ARGV[1] and redis.call('PEXPIRE', KEYS[2], ARGV[2])`;
const RELEASE = `if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[2])
redis.call('PUBLISH', KEYS[1], '')`;
/** A write is the end of a refresh: it lets the lease go, so that one message says both. */
const WRITE = `if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return 0 end
${NOW}redis.call('HDEL', KEYS[1], 'token', 'over')
redis.call('HSET', KEYS[1], 'at', now, unpack(ARGV, 4))
if ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
redis.call('PUBLISH', KEYS[1], '')
return 1`;

/** What comes over the one subscribed connection of a client, which is open while anyone listens. */
class Channels {
  readonly #client: RedisClient;
  readonly #listeners = new Map<string, Set<() => void>>();
  #connection: any;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  subscribe(channel: string, listener: () => void): () => void {
    let listeners = this.#listeners.get(channel);
    if (!listeners) {
      this.#listeners.set(channel, (listeners = new Set()));
      this.#connect();
      this.#send('subscribe', channel);
    }
    // One function may listen twice.
    const own = () => listener();
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size) return;
      this.#listeners.delete(channel);
      if (this.#listeners.size) return this.#send('unsubscribe', channel);
      const connection = this.#connection;
      this.#connection = undefined;
      // node-redis calls it `destroy`, and throws when it has given up.
      (async () => (connection.destroy ?? connection.disconnect).call(connection))().catch(
        () => {},
      );
    };
  }

  #connect(): void {
    if (this.#connection) return;
    const connection = (this.#connection = this.#client.duplicate());
    // What fails is tried again by the client, and a message that is lost costs time only.
    connection.on('error', () => {});
    connection.on('ready', () => {
      // It keeps no process alive.
      (connection.unref ? connection : connection.stream)?.unref();
      // While it was gone, anything may have changed.
      for (const channel of this.#listeners.keys()) this.#tell(channel);
    });
    if ('call' in connection) connection.on('message', (channel: string) => this.#tell(channel));
    else connection.connect().catch(() => {});
  }

  #send(command: 'subscribe' | 'unsubscribe', channel: string): void {
    // ioredis takes no listener here, and would call it with the outcome.
    const listener = 'call' in this.#connection ? [] : [() => this.#tell(channel)];
    this.#connection[command](channel, ...listener).catch(() => {});
  }

  #tell(channel: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener();
  }
}

const channels = new WeakMap<RedisClient, Channels>();

function channelsOf(client: RedisClient): Channels {
  let known = channels.get(client);
  if (!known) channels.set(client, (known = new Channels(client)));
  return known;
}
