import pg from 'pg';
import postgres from 'postgres';
import { afterAll, beforeAll } from 'vitest';
import { postgresTable, postgresTokens, type PostgresClient } from '../../src/realms/postgres.ts';
import { describeEngine, type Engine } from '../shared/contract/contract.ts';
import { startPostgres, type Server } from './servers.ts';

let server: Server;
let admin: pg.Pool;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startPostgres();
  admin = new pg.Pool({ port: server.port, host: '127.0.0.1', user: 'postgres', max: 1 });
  admin.on('error', () => {});
  await admin.query(postgresTable());
  await admin.query('CREATE SCHEMA app');
  await admin.query(postgresTable('app.tokens'));
});

afterAll(async () => {
  for (const close of closes) await close();
  await admin?.end();
  await server?.stop();
});

/** The contract over a client. */
function engineOf(
  client: PostgresClient,
  options: { table?: string; listen?: boolean } = {},
): Engine {
  const { table = 'oneflight_tokens' } = options;
  let failures = 0;
  const failing = new Proxy(client, {
    get(target, property) {
      const own = Reflect.get(target, property);
      if (typeof own !== 'function') return own;
      return (text: any, ...args: any[]) => {
        if (failures && String(text).includes('SET version')) {
          failures--;
          return Promise.reject(new Error('the connection broke'));
        }
        return own.call(target, text, ...args);
      };
    },
  });
  return {
    open: (given) => postgresTokens(failing, { ...options, ...given }),
    failWrites: (count) => {
      failures = count;
    },
    wipe: async () => {
      await admin.query(`TRUNCATE ${table}`);
    },
    dump: async (name) => {
      const { rows } = await admin.query(`SELECT * FROM ${table} WHERE name = $1`, [name]);
      return JSON.stringify(rows);
    },
  };
}

const openPool = (max = 10) => {
  const pool = new pg.Pool({ port: server.port, host: '127.0.0.1', user: 'postgres', max });
  pool.on('error', () => {});
  closes.push(() => pool.end());
  return pool;
};

describeEngine('Tokens shared by PostgreSQL, with pg', async () => engineOf(openPool()));

describeEngine('Tokens shared by PostgreSQL, in a table of a schema', async () =>
  engineOf(openPool(), { table: 'app.tokens' }),
);

describeEngine('Tokens shared by PostgreSQL, with postgres.js', async () => {
  const sql = postgres({
    port: server.port,
    host: '127.0.0.1',
    user: 'postgres',
    database: 'postgres',
    max: 10,
    onnotice: () => {},
  });
  closes.push(() => sql.end({ timeout: 1 }));
  return engineOf(sql as unknown as PostgresClient);
});
