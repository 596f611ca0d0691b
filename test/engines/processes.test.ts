import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { postgresTable } from '../../src/realms/postgres.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../authorization-server.ts';
import { quantile } from '../quantile.ts';
import { CLIENTS, type ClientName } from './clients.ts';
import type { RealmSetup } from './realm.ts';
import { burst, openRealm, type Realm } from './realms.ts';
import { RIVALS, type RivalName } from './rivals.ts';
import { describeWith, startPgbouncer, startPostgres, startRedis, type Server } from './servers.ts';

/** Milliseconds that a refresh takes at the server. */
const REFRESH = 100;
const CALLERS = 50;
/** `ROUNDS=1000 npm run test:engines processes` for the whole proof. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 200);

interface Figures {
  realms: string;
  rounds: number;
  refreshes: number;
  lost: number;
  /** Of the last caller, as ratios to one refresh of one process by itself. */
  quartile: number;
  median: number;
  p95: number;
  /** Milliseconds that the last caller waits longer than that. */
  beyond: number;
  /** Of the engine, by each process in each round. */
  commands: number;
}

const figures: Figures[] = [];
const notes: string[] = [];

let server: AuthorizationServer;
let realms: Realm[];
let bare: Realm;

beforeEach(async () => {
  realms = [];
  server = await startAuthorizationServer({ refreshDelay: REFRESH });
  bare = await openRealm({ origin: server.origin });
  await bare.call('signIn', server.signIn().token);
});

afterEach(async () => {
  await Promise.all([bare, ...realms].map((realm) => realm.kill()));
  await server.close();
});

afterAll(() => {
  const rows = figures.map(
    ({ realms: title, rounds, refreshes, lost, median, p95, beyond, commands }) =>
      `| ${title} | ${rounds} | ${refreshes} | ${lost} | ${median.toFixed(2)} | ${p95.toFixed(2)} | ${beyond.toFixed(1)} | ${commands.toFixed(1)} |`,
  );
  const text = [
    '| processes × callers, client | rounds | refreshes | sessions lost | last caller, median | p95 | ms beyond one refresh | commands per process and round |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
    ...notes,
  ].join('\n');
  const folder = join(import.meta.dirname, '../../coverage/engines');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'processes.md'), `${text}\n`);
  writeFileSync(join(folder, 'processes.json'), JSON.stringify({ figures, notes }, null, 2));
  console.log(`\n${text}\n`);
});

/** Expires the token of a session again and again, and measures. */
async function measure(
  title: string,
  sessionOf: () => { alive: boolean; refreshes: number },
  rounds: number,
  countCommands: () => Promise<number>,
  onRound: (outcomes: { token?: string }[]) => unknown,
): Promise<Figures> {
  const alone: number[] = [];
  const together: number[] = [];
  let lost = 0;
  const [commandsBefore, refreshesBefore] = [await countCommands(), sessionOf().refreshes];
  for (let round = 0; round < rounds; round++) {
    await Promise.all(realms.map((realm) => realm.call('hold')));
    // One refresh is measured in between, since this machine is not always as fast.
    if (round % 8 === 0) {
      await bare.call('hold');
      alone.push((await burst([bare], 1)).duration);
    }
    const { duration, outcomes } = await burst(realms, CALLERS);
    together.push(duration);
    if (!sessionOf().alive) lost++;
    await onRound(outcomes);
  }
  const one = quantile(alone, 0.5);
  const measured = {
    realms: `${realms.length} × ${CALLERS}, ${title}`,
    rounds,
    refreshes: sessionOf().refreshes - refreshesBefore,
    lost,
    quartile: quantile(together, 0.25) / one,
    median: quantile(together, 0.5) / one,
    p95: quantile(together, 0.95) / one,
    beyond: quantile(together, 0.5) - one,
    commands: ((await countCommands()) - commandsBefore) / realms.length / rounds,
  };
  figures.push(measured);
  return measured;
}

/** Opens realms until there are that many, of one session. */
async function openTo(
  count: number,
  client: ClientName,
  port: number,
  options: Partial<RealmSetup> = {},
): Promise<void> {
  const setup = { origin: server.origin, client, port, names: ['one'], max: 4, ...options };
  const opened = Array.from({ length: count - realms.length }, () => openRealm(setup));
  realms.push(...(await Promise.all(opened)));
}

async function countByRealms(): Promise<number> {
  const counts = await Promise.all(realms.map((realm) => realm.call('count')));
  return counts.reduce((sum, { commands }) => sum + commands, 0);
}

/** The same, when the last to hear has said all. */
async function countWhenQuiet(): Promise<number> {
  let count = -1;
  const isQuiet = async () => count === (count = await countByRealms());
  await expect.poll(isQuiet, { interval: 200, timeout: 10_000 }).toBe(true);
  return count;
}

/** The proof itself, over one client. */
async function prove(client: ClientName, port: number, rounds: number): Promise<void> {
  const { session, token } = server.signIn();
  await openTo(4, client, port);
  await realms[0]!.call('signIn', token);
  let expected = 0;
  const isAnswered = (outcomes: { token?: string }[]) => {
    // Everyone has the same new token, of one refresh.
    expect(outcomes).toHaveLength(realms.length * CALLERS);
    expect(new Set(outcomes.map((outcome) => outcome.token ?? outcome)).size).toBe(1);
    expect(outcomes[0]!.token).toBeDefined();
    expect(session).toMatchObject({ refreshes: ++expected, alive: true });
  };
  const few = Math.max(20, Math.round(rounds / 8));
  const by4 = await measure(client, () => session, few, countByRealms, isAnswered);
  await openTo(8, client, port);
  const by8 = await measure(client, () => session, rounds, countByRealms, isAnswered);
  await openTo(16, client, port);
  const by16 = await measure(client, () => session, few, countByRealms, isAnswered);

  // How fast it is depends on the machine and is told, not asserted; but nobody waits for two refreshes.
  for (const each of [by4, by8, by16]) expect(each.quartile).toBeLessThan(2);
  for (const each of [by4, by8, by16]) expect(each.commands).toBeLessThanOrEqual(16);
  expect(by16.commands / by4.commands).toBeLessThanOrEqual(1.5);
  // They end by themselves, without a word.
  for (const exit of await Promise.all(realms.map((realm) => realm.close()))) {
    expect(exit).toEqual({ code: 0, signal: null, output: '' });
  }
}

/** 200 sessions whose tokens expire at once, in one process with a pool of `max`. */
async function expireMany(
  client: ClientName,
  port: number,
  max: number,
  connections: () => Promise<number>,
): Promise<void> {
  // What 200 requests at once cost one process is no part of the ratio.
  await server.close();
  server = await startAuthorizationServer({ refreshDelay: 250 });
  await bare.kill();
  bare = await openRealm({ origin: server.origin });
  await bare.call('signIn', server.signIn().token);
  const names = Array.from({ length: 200 }, (_, n) => `many ${n}`);
  const [many] = (realms = [
    await openRealm({ origin: server.origin, client, port, names, max }),
  ]) as [Realm];
  const sessions = names.map(() => server.signIn());
  await Promise.all(sessions.map(({ token }, n) => many.call('signIn', token, n)));
  const ratios: number[] = [];
  const before = await connections();
  let most = 0;
  for (let round = 1; round <= 8; round++) {
    await bare.call('hold');
    const { duration: one } = await burst([bare], 1);
    await many.call('hold');
    const bursting = burst(realms, 1);
    most = Math.max(most, await connections());
    const { duration, outcomes } = await bursting;
    ratios.push(duration / one);
    expect(new Set(outcomes.map(({ token }) => token)).size).toBe(200);
    for (const { session } of sessions) {
      expect(session).toMatchObject({ refreshes: round, alive: true });
    }
  }
  most = Math.max(most, before, await connections());
  notes.push(
    `200 sessions at once in one process, ${client}: last caller after ${quantile(ratios, 0.5).toFixed(2)} T (best ${Math.min(...ratios).toFixed(2)}), ${most} connections.`,
  );
  expect(most).toBeLessThanOrEqual(10);
  // One after the other on 10 connections, it would be 20.
  expect(Math.min(...ratios)).toBeLessThan(5);
}

describeWith('redis-server')('Processes that share a session by Redis', () => {
  let redis: Server;
  let admin: Redis;

  beforeAll(async () => {
    redis = await startRedis();
    admin = new Redis(redis.port, '127.0.0.1');
  });

  afterAll(async () => {
    admin?.disconnect();
    await redis?.stop();
  });

  beforeEach(async () => {
    await admin.flushall();
  });

  /** Commands that clients sent, without those that scripts run. */
  const monitored = async (work: () => Promise<unknown>): Promise<number> => {
    const monitor = await admin.monitor();
    let count = 0;
    monitor.on('monitor', (_time: string, _args: string[], source: string) => {
      if (source !== 'lua') count++;
    });
    await work();
    monitor.disconnect();
    return count;
  };

  const [first, second] = CLIENTS.redis;

  it(
    `8 processes × 50 callers refresh once per expiry, ${ROUNDS} times, with ${first}`,
    { timeout: 60_000 + ROUNDS * 400 },
    async () => {
      await prove(first, redis.port, ROUNDS);
    },
  );

  it(`the same with ${second}`, { timeout: 60_000 }, async () => {
    await prove(second, redis.port, 40);
  });

  it('the commands that are counted are all that Redis gets', { timeout: 30_000 }, async () => {
    const { token } = server.signIn();
    await openTo(8, first, redis.port);
    await realms[0]!.call('signIn', token);
    await Promise.all(realms.map((realm) => realm.call('hold')));
    const before = await countWhenQuiet();
    let after = before;
    const count = await monitored(async () => {
      for (let round = 0; round < 10; round++) {
        await burst(realms, CALLERS);
        await Promise.all(realms.map((realm) => realm.call('hold')));
      }
      after = await countWhenQuiet();
      await admin.ping();
    });
    expect(count - 1).toBe(after - before);
  });

  it.each(CLIENTS.redis)(
    '200 sessions need 10 connections at most, and refresh side by side, with %s',
    { timeout: 30_000 },
    async (client) => {
      const before = await connections();
      await expireMany(client, redis.port, 10, async () => (await connections()) - before);
    },
  );

  const connections = async () =>
    String(await admin.client('LIST'))
      .trim()
      .split('\n').length;

  // For comparison only: nothing is asserted of them.
  it.each(RIVALS)('beside them: %s', { timeout: 60_000 }, async (rival: RivalName) => {
    const setup = { origin: server.origin, rival, port: redis.port };
    realms = await Promise.all(Array.from({ length: 8 }, () => openRealm(setup)));
    let { session, token } = server.signIn();
    await realms[0]!.call('signIn', token);
    let failed = 0;
    let refreshes = 0;
    const rounds = 20;
    let sent = 0;
    sent = await monitored(async () => {
      const measured = await measure(
        `${rival} (ioredis)`,
        () => session,
        rounds,
        async () => 0,
        async (outcomes) => {
          failed += outcomes.filter((outcome) => !outcome.token).length;
          if (session.alive) return;
          refreshes += session.refreshes;
          ({ session, token } = server.signIn());
          await realms[0]!.call('signIn', token);
        },
      );
      measured.refreshes = refreshes + session.refreshes;
    });
    // Of which one is `hold`.
    figures.at(-1)!.commands = sent / realms.length / rounds - 1;
    notes.push(`${rival}: ${failed} of ${rounds * 400} callers were answered with an error.`);
  });
});

describeWith('postgresql')('Processes that share a session by PostgreSQL', () => {
  let postgres: Server;
  let admin: pg.Pool;

  beforeAll(async () => {
    postgres = await startPostgres();
    const options = { host: '127.0.0.1', port: postgres.port, user: 'postgres' };
    admin = new pg.Pool({ ...options, max: 1 });
    await admin.query(postgresTable());
  });

  afterAll(async () => {
    await admin?.end();
    await postgres?.stop();
  });

  beforeEach(async () => {
    await admin.query('TRUNCATE oneflight_tokens');
  });

  const [first, second] = CLIENTS.postgres;

  it(
    `8 processes × 50 callers refresh once per expiry, ${ROUNDS} times, with ${first}`,
    { timeout: 60_000 + ROUNDS * 400 },
    async () => {
      await prove(first, postgres.port, ROUNDS);
    },
  );

  it(`the same with ${second}`, { timeout: 60_000 }, async () => {
    await prove(second, postgres.port, 40);
  });

  it.each(CLIENTS.postgres)(
    '200 sessions need 10 connections at most, and refresh side by side, with %s',
    { timeout: 30_000 },
    async (client) => {
      const connections = async () => {
        const { rows } = await admin.query(
          `SELECT count(*)::int FROM pg_stat_activity
           WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
        );
        return rows[0].count as number;
      };
      // postgres.js listens on one more than its pool has.
      await expireMany(client, postgres.port, client === 'pg' ? 10 : 9, connections);
    },
  );

  describeWith('pgbouncer')('behind a pgbouncer that pools transactions', () => {
    it.each(CLIENTS.postgres)(
      '4 processes that nobody tells of changes refresh once per expiry, with %s',
      { timeout: 60_000 },
      async (client) => {
        const bouncer = await startPgbouncer(postgres);
        try {
          const { session, token } = server.signIn();
          await openTo(4, client, bouncer.port, { listen: false, prepare: false });
          await realms[0]!.call('signIn', token);
          let expected = 0;
          const title = `${client}, pgbouncer`;
          await measure(
            title,
            () => session,
            50,
            countByRealms,
            (outcomes) => {
              expect(new Set(outcomes.map((outcome) => outcome.token ?? outcome)).size).toBe(1);
              expect(session).toMatchObject({ refreshes: ++expected, alive: true });
            },
          );
        } finally {
          await bouncer.stop();
        }
      },
    );
  });
});
