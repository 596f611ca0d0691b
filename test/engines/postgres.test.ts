import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { postgresTable, postgresTokens, type PostgresClient } from '../../src/realms/postgres.ts';
import { describeEngine, type Engine } from '../shared/contract/contract.ts';
import { openClient, type ClientName } from './clients.ts';
import { describeWith, startPgbouncer, startPostgres, type Server } from './servers.ts';

let server: Server;
let admin: pg.Pool;
const closes: (() => unknown)[] = [];

/** The contract over a client. */
function engineOf(
  client: PostgresClient,
  options: { table?: string; listen?: boolean } = {},
): Engine {
  const { table = 'oneflight_tokens', listen = true } = options;
  let failures = 0;
  let isWritten = false;
  const failing = new Proxy(client, {
    get(target, property) {
      const own = Reflect.get(target, property);
      if (typeof own !== 'function') return own;
      return async (text: any, ...args: any[]) => {
        const isFailing = failures && String(text).includes('SET version');
        if (isFailing) failures--;
        const answer = !isFailing || isWritten ? await own.call(target, text, ...args) : undefined;
        if (isFailing) throw new Error('the connection broke');
        return answer;
      };
    },
  });
  return {
    open: (given) => postgresTokens(failing, { ...options, ...given }),
    hears: listen,
    failWrites: (count, when) => {
      failures = count;
      isWritten = when === 'after';
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

const open = async (name: ClientName, { port } = server, prepare = true) => {
  const { client, close } = await openClient(name, port, { prepare });
  closes.push(close);
  return client as PostgresClient;
};

describeWith('postgresql')('In PostgreSQL', () => {
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

  describeEngine('Tokens shared by PostgreSQL, with pg', async () => engineOf(await open('pg')));

  describeEngine('Tokens shared by PostgreSQL, in a table of a schema', async () =>
    engineOf(await open('pg'), { table: 'app.tokens' }),
  );

  describeEngine('Tokens shared by PostgreSQL, with postgres.js', async () =>
    engineOf(await open('postgres.js')),
  );

  describeWith('pgbouncer')('Behind a pgbouncer that pools transactions', () => {
    let bouncer: Server;

    beforeAll(async () => {
      bouncer = await startPgbouncer(server);
    });

    afterAll(() => bouncer?.stop());

    describeEngine('Tokens shared by PostgreSQL that nobody listens to, with pg', async () =>
      engineOf(await open('pg', bouncer), { listen: false }),
    );

    // It prepares statements for a connection, which is another's with the next transaction.
    describeEngine(
      'Tokens shared by PostgreSQL that nobody listens to, with postgres.js',
      async () => engineOf(await open('postgres.js', bouncer, false), { listen: false }),
    );
  });
});
