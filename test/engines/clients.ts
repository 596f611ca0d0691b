import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import postgres from 'postgres';
import { createClient } from 'redis';
import type { PostgresClient } from '../../src/realms/postgres.ts';
import type { RedisClient } from '../../src/realms/redis.ts';

/** The clients that the adapters are for, by engine; the first of each is measured at length. */
export const CLIENTS = {
  redis: ['ioredis', 'node-redis'],
  postgres: ['pg', 'postgres.js'],
} as const;

export type ClientName = (typeof CLIENTS)['redis' | 'postgres'][number];

export const isRedis = (name: ClientName): boolean =>
  (CLIENTS.redis as readonly string[]).includes(name);

export interface OpenClient {
  client: RedisClient | PostgresClient;
  /** Closes all that the app itself has opened: no more. */
  close: () => Promise<unknown>;
}

/** Opens a client as an app does: connected, and with a listener for its errors where it needs one. */
export async function openClient(
  name: ClientName,
  port: number,
  { max = 10, prepare = true }: { max?: number | undefined; prepare?: boolean | undefined } = {},
): Promise<OpenClient> {
  const host = '127.0.0.1';
  switch (name) {
    case 'ioredis': {
      const client = new Redis(port, host);
      client.on('error', () => {});
      return { client, close: async () => client.disconnect() };
    }
    case 'node-redis': {
      const client = createClient({ socket: { host, port } });
      client.on('error', () => {});
      await client.connect();
      return {
        client: client as unknown as RedisClient,
        close: async () => client.destroy(),
      };
    }
    case 'pg': {
      const pool = new pg.Pool({ host, port, user: 'postgres', database: 'postgres', max });
      pool.on('error', () => {});
      return { client: pool as unknown as PostgresClient, close: () => pool.end() };
    }
    default: {
      const options = { host, port, user: 'postgres', database: 'postgres', max, prepare };
      const sql = postgres({ ...options, backoff: () => 0.1, onnotice: () => {} });
      return {
        client: sql as unknown as PostgresClient,
        async close() {
          // Ended while it opens its listening connection again, as after a crash of the server, postgres.js
          // opens that all the same, and its process never ends. By default it may wait 20 s to open it.
          const listening = sql.listen('closing', () => {}).catch(() => {});
          await Promise.race([listening, setTimeout(1_000)]);
          await sql.end({ timeout: 1 });
        },
      };
    }
  }
}

/** What a command of an adapter does, by what is in its text and in no other's. */
const KINDS = {
  take: /'EXISTS'|WITH taken/,
  write: /HDEL|SET version/,
  renew: /'PEXPIRE', KEYS\[2\]|^UPDATE/,
  release: /~= ARGV|WITH freed/,
  read: /HMGET|^SELECT version/,
};

export type CommandKind = keyof typeof KINDS;

const kindOf = (text: string): CommandKind =>
  (Object.keys(KINDS) as CommandKind[]).find((kind) => KINDS[kind].test(text))!;

/** Whether the answer to a `take` grants the lease. */
function isGrant(answer: any): boolean {
  const row = answer?.rows?.[0] ?? answer?.[0];
  return Number(row?.fence ?? row) > 0;
}

export interface Command {
  kind: CommandKind;
  /** The script or statement. */
  text: string;
  /** For a `take`: whether the lease was granted. */
  isGranted: boolean;
}

/**
 * The client, with an eye on its commands.
 *
 * @param before Called with each before it is sent, and may throw or wait.
 * @param after Called with each that was answered, and may hold the answer back.
 */
export function watched<Client extends object>(
  client: Client,
  before: (kind: CommandKind) => unknown,
  after: (command: Command) => unknown = () => {},
): Client {
  return new Proxy(client, {
    get(target, property) {
      const own = Reflect.get(target, property);
      if (typeof own !== 'function') return own;
      if (!['call', 'sendCommand', 'query', 'unsafe'].includes(property as string)) {
        return own.bind(target);
      }
      return async (...args: any[]) => {
        const [first, second] = args.flat();
        const text = String(first === 'EVAL' ? second : first);
        const kind = kindOf(text);
        await before(kind);
        const answer = await own.apply(target, args);
        await after({ kind, text, isGranted: kind === 'take' && isGrant(answer) });
        return answer;
      };
    },
  });
}
