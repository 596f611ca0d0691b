import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { postgresTable } from '../../src/realms/postgres.ts';
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerOptions,
  type ServerSession,
  type TokenResponse,
} from '../authorization-server.ts';
import { CLIENTS, isRedis, type ClientName } from './clients.ts';
import { startProxy, type Proxy } from './proxy.ts';
import type { Outcome, RealmSetup } from './realm.ts';
import { openRealm, type Realm } from './realms.ts';
import { describeWith, startPostgres, startRedis, type Server } from './servers.ts';

/** Milliseconds. Long where it is not what a test is about. */
const LEASE = 400;
const LONG_LEASE = 5_000;
const CALLERS = 10;

/** An engine that can be wiped and looked into; each time by a connection of its own. */
interface Engine {
  server: Server;
  wipe(): Promise<unknown>;
  /** Connections of clients, without the one that asks. */
  connections(): Promise<number>;
  /** In the text of a command that writes a token, and of none else. */
  write: string;
}

async function startEngine(client: ClientName): Promise<Engine> {
  if (isRedis(client)) {
    const server = await startRedis();
    const ask = async (...command: string[]) => {
      const admin = new Redis(server.port, '127.0.0.1');
      try {
        return String(await admin.call(...(command as [string])));
      } finally {
        admin.disconnect();
      }
    };
    return {
      server,
      write: 'HDEL',
      wipe: () => ask('FLUSHALL'),
      connections: async () => (await ask('CLIENT', 'LIST')).trim().split('\n').length - 1,
    };
  }
  const server = await startPostgres();
  const ask = async (query: string) => {
    const admin = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'postgres' });
    await admin.connect();
    try {
      return (await admin.query(query)).rows;
    } finally {
      await admin.end();
    }
  };
  await ask(postgresTable());
  return {
    server,
    write: 'SET version',
    wipe: () => ask('TRUNCATE oneflight_tokens'),
    connections: async () => {
      const rows = await ask(
        `SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      );
      return rows.length;
    },
  };
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Waits for what nobody tells of. */
async function eventually(is: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await is()) return;
    await sleep(20);
  }
  throw new Error('did not happen within 4 seconds');
}

/** `all` for the client that is used everywhere; `engine` for what another may do differently. */
function describeFaults(client: ClientName, scope: 'all' | 'engine'): void {
  describe(`With ${client}`, () => {
    let engine: Engine;
    let server: AuthorizationServer;
    let session: ServerSession;
    let token: TokenResponse;
    let realms: Realm[];
    let proxies: Proxy[];
    /** Those that end otherwise than by being closed. */
    let killed: Set<Realm>;
    let isDown: boolean;

    beforeAll(async () => {
      engine = await startEngine(client);
    });

    afterAll(() => engine?.server.stop());

    beforeEach(async () => {
      [realms, proxies, killed, isDown] = [[], [], new Set(), false];
      await engine.wipe();
    });

    // After each of them nothing is left behind: no process, no word, no connection.
    afterEach(async () => {
      const left = realms.filter((realm) => !killed.has(realm));
      const late = setTimeout(() => left.forEach((realm) => void realm.kill()), 8_000);
      const exits = await Promise.all(left.map((realm) => realm.close()));
      clearTimeout(late);
      for (const proxy of proxies) await proxy.close();
      await server.close();
      if (isDown) await engine.server.start();
      expect(exits).toEqual(left.map(() => ({ code: 0, signal: null, output: '' })));
      await eventually(async () => (await engine.connections()) === 0);
    });

    /** Opens realms that are signed in to one session. */
    const open = async (
      count: number,
      {
        setup = {},
        options = {},
        flags = [],
      }: { setup?: Partial<RealmSetup>; options?: ServerOptions; flags?: string[][] } = {},
    ) => {
      server = await startAuthorizationServer(options);
      const given = { client, port: engine.server.port, names: ['one'], lease: LEASE, max: 4 };
      realms = await Promise.all(
        Array.from({ length: count }, (_, n) =>
          openRealm({ origin: server.origin, ...given, ...setup }, flags[n]),
        ),
      );
      ({ session, token } = server.signIn());
      await realms[0]!.call('signIn', token);
      await Promise.all(realms.map((realm) => realm.call('hold')));
      return realms as [Realm, ...Realm[]];
    };
    /** Everyone in a realm is refused what it holds. */
    const refused = async (realm: Realm): Promise<Outcome[]> => {
      const { outcomes } = await realm
        .call('burst', CALLERS)
        // One that is killed answers nobody.
        .catch(() => ({ outcomes: [] }));
      return outcomes;
    };
    const allRefused = async (those: Realm[]): Promise<Outcome[]> =>
      (await Promise.all(those.map(refused))).flat();
    /** What they all got, when that is one token. */
    const oneToken = (outcomes: Outcome[]): string => {
      const got = new Set(outcomes.map((outcome) => outcome.token ?? outcome));
      expect([...got]).toEqual([expect.any(String)]);
      return [...got][0] as string;
    };
    /** The next expiry is as any. */
    const goesOn = async (those: Realm[]) => {
      const { refreshes } = session;
      // When all have heard of what was there before.
      await eventually(async () => {
        const outcomes = await Promise.all(those.map((realm) => realm.call('get')));
        return new Set(outcomes.map((outcome) => outcome.token)).size === 1;
      });
      await Promise.all(those.map((realm) => realm.call('hold')));
      oneToken(await allRefused(those));
      expect(session).toMatchObject({ refreshes: refreshes + 1, alive: true });
    };
    const kill = async (realm: Realm) => {
      killed.add(realm);
      await realm.kill();
    };
    /** A way of its own to the engine, for each realm to come. */
    const proxied = async () => {
      const proxy = await startProxy(engine.server.port);
      proxies.push(proxy);
      return proxy;
    };
    const refreshedAt = () => server.log.at(-1)!.startedAt;
    /** As a crash does; it is started again at the end, if not before. */
    const killEngine = async () => {
      isDown = true;
      await engine.server.kill();
    };
    const restartEngine = async () => {
      await engine.server.start();
      isDown = false;
    };
    const failures = (outcomes: Outcome[]) => [...new Set(outcomes.map(({ code }) => code))];
    /** A refresh that runs in the first realm, while the others wait. */
    const refreshing = async ([holder, ...others]: [Realm, ...Realm[]]) => {
      const release = server.holdRefreshes();
      const held = refused(holder);
      await server.arrival('refresh');
      const waiting = allRefused(others);
      await Promise.all(others.map((realm) => realm.happened('refused')));
      return { release, held, waiting };
    };

    const lives = scope === 'all' ? it : it.skip;

    lives(
      'the others go on within the lease when the holder is killed before it has sent',
      { retry: 2 },
      async () => {
        const [holder, ...others] = await open(3);
        await holder.call('trap', { at: 'granted', signal: 'SIGKILL' });
        killed.add(holder);
        void holder.call('burst', CALLERS);
        await holder.happened('trapped');
        const diedAt = performance.now();
        oneToken(await allRefused(others));
        const late = refreshedAt() - diedAt;
        console.log(
          `${client}: the others went on ${late.toFixed()} ms after the death, of ${LEASE}`,
        );
        expect(session).toMatchObject({ refreshes: 1, alive: true });
        expect(late).toBeLessThanOrEqual(LEASE + 50);
        await goesOn(others);
      },
    );

    lives(
      'a server that forgives a reuse keeps the session when the holder is killed after it has sent',
      async () => {
        const [holder, ...others] = await open(3, { options: { reuseGrace: 10_000 } });
        const { release, waiting } = await refreshing([holder, ...others]);
        await kill(holder);
        release();
        oneToken(await waiting);
        expect(session).toMatchObject({ refreshes: 2, alive: true });
        await goesOn(others);
      },
    );

    lives('with another server the session is lost, and everyone is told', async () => {
      const [holder, ...others] = await open(3);
      const { release, waiting } = await refreshing([holder, ...others]);
      await kill(holder);
      const diedAt = performance.now();
      release();
      const outcomes = await waiting;
      expect(failures(outcomes)).toEqual(['SESSION_EXPIRED']);
      // The lease, and the second in which the holder might have been heard of.
      expect(performance.now() - diedAt).toBeLessThan(LEASE + 5_000);
      expect(session).toMatchObject({ refreshes: 2, alive: false });
      expect(await others[0]!.call('get')).toMatchObject({ name: 'SessionExpiredError' });
    });

    lives('a holder that is stopped before it sends, past its lease, sends nothing', async () => {
      const [holder, ...others] = await open(3);
      await holder.call('trap', { at: 'granted', signal: 'SIGSTOP' });
      const frozen = refused(holder);
      await holder.happened('trapped');
      const next = oneToken(await allRefused(others));
      holder.signal('SIGCONT');
      expect(oneToken(await frozen)).toBe(next);
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      expect((await holder.call('count')).refreshes).toBe(0);
      await goesOn([holder, ...others]);
    });

    lives('a holder that is stopped after it has sent overwrites nothing newer', async () => {
      const [holder, ...others] = await open(3, { options: { reuseGrace: 10_000 } });
      const { release, held, waiting } = await refreshing([holder, ...others]);
      holder.signal('SIGSTOP');
      await server.arrival('refresh', 2);
      release();
      const next = oneToken(await waiting);
      holder.signal('SIGCONT');
      expect(oneToken(await held)).toBe(next);
      expect((await others[0]!.call('get')).token).toBe(next);
      expect(session).toMatchObject({ refreshes: 2, alive: true });
      await goesOn([holder, ...others]);
    });

    it('the engine dies during a refresh: its holder has the token, the others are told to try again', async () => {
      const [holder, ...others] = await open(3, { setup: { timeout: 1_500 } });
      const { release, held, waiting } = await refreshing([holder, ...others]);
      await killEngine();
      const diedAt = performance.now();
      release();
      const next = oneToken(await held);
      const outcomes = await waiting;
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ name: 'RefreshFailedError' });
        expect(['STORE_FAILED', 'REFRESH_TIMEOUT']).toContain(outcome.code);
      }
      const wait = performance.now() - diedAt;
      console.log(`${client}: told after ${wait.toFixed()} ms: ${failures(outcomes).join()}`);
      expect(wait).toBeLessThan(8_000);
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      expect((await holder.call('get')).token).toBe(next);
    });

    it('the engine is killed during a refresh and started again', async () => {
      const all = await open(3, { setup: { lease: LONG_LEASE, timeout: 8_000 } });
      const { release, held, waiting } = await refreshing(all);
      await killEngine();
      await restartEngine();
      release();
      const next = oneToken(await held);
      for (const outcome of await waiting) {
        // A client that fails at once makes its realm fail at once.
        expect(outcome.code ?? outcome.token).toBe(outcome.code ? 'STORE_FAILED' : next);
      }
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      await goesOn(all);
    });

    it('the engine cannot be reached for a while during a refresh', async () => {
      const proxy = await proxied();
      const all = await open(3, { setup: { port: proxy.port, lease: LONG_LEASE } });
      const { release, held, waiting } = await refreshing(all);
      proxy.darken();
      release();
      await sleep(600);
      proxy.heal();
      expect(oneToken(await waiting)).toBe(oneToken(await held));
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      await goesOn(all);
    });

    it('the engine cannot be reached any more: nobody hangs', async () => {
      const proxy = await proxied();
      const all = await open(3, { setup: { port: proxy.port, lease: 1_000, timeout: 1_500 } });
      const { release, held, waiting } = await refreshing(all);
      proxy.darken();
      const darkAt = performance.now();
      release();
      const outcomes = [...(await held), ...(await waiting)];
      const wait = performance.now() - darkAt;
      for (const outcome of outcomes) {
        if (outcome.token) continue;
        expect(outcome).toMatchObject({ name: 'RefreshFailedError' });
        expect(['STORE_FAILED', 'REFRESH_TIMEOUT']).toContain(outcome.code);
      }
      console.log(`${client}: all told after ${wait.toFixed()} ms: ${failures(outcomes).join()}`);
      expect(wait).toBeLessThan(8_000);
      // What the holder has is not lost.
      await eventually(async () => (await all[0].call('get')).token !== token.access_token);
      proxy.heal();
      await goesOn(all);
      expect(session).toMatchObject({ refreshes: 2, alive: true });
    });

    it.each(['before', 'after'] as const)(
      'the connection breaks %s a token is written',
      async (when) => {
        const proxy = await proxied();
        const all = await open(3, { setup: { port: proxy.port, lease: LONG_LEASE } });
        proxy.cut(engine.write, when);
        const next = oneToken(await allRefused(all));
        expect(session).toMatchObject({ refreshes: 1, alive: true });
        expect((await all[0].call('get')).token).toBe(next);
        await goesOn(all);
      },
    );

    lives('the store loses its data between two refreshes', async () => {
      const all = await open(3);
      oneToken(await allRefused(all));
      await engine.wipe();
      await goesOn(all);
      await goesOn(all);
    });

    lives('the store loses its data while a refresh runs and others wait', async () => {
      const all = await open(3, { setup: { lease: LONG_LEASE } });
      const { release, held, waiting } = await refreshing(all);
      await engine.wipe();
      // Long enough for the others to look whether the lease is free.
      await sleep(400);
      release();
      expect(oneToken(await waiting)).toBe(oneToken(await held));
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      await goesOn(all);
    });

    lives('the store loses its data just before a token is written', async () => {
      const all = await open(3, { setup: { lease: LONG_LEASE } });
      const [holder, ...others] = all;
      await holder.call('trap', { at: 'write', signal: 'SIGSTOP' });
      const held = refused(holder);
      await holder.happened('trapped');
      const waiting = allRefused(others);
      await Promise.all(others.map((realm) => realm.happened('refused')));
      await engine.wipe();
      holder.signal('SIGCONT');
      expect(oneToken(await waiting)).toBe(oneToken(await held));
      expect(session).toMatchObject({ refreshes: 1, alive: true });
      await goesOn(all);
    });

    lives('the clocks of realms are an hour apart', async () => {
      const all = await open(3, {
        options: { accessTokenTtl: 2_000 },
        flags: [[], shift(3_600_000), shift(-3_600_000)],
      });
      const clocks = await Promise.all(all.map((realm) => realm.call('now')));
      expect(clocks[1]! - clocks[2]!).toBeGreaterThan(7_100_000);
      for (let expiry = 0; expiry < 3; expiry++) {
        const gotAt = performance.now();
        // Good for all of them, and no refresh.
        oneToken(await Promise.all(all.map((realm) => realm.call('get'))));
        expect(session.refreshes).toBe(expiry);
        await sleep(Math.max(0, 2_020 - (performance.now() - gotAt)));
        // A different one asks first each time.
        const turn = [...all.slice(expiry), ...all.slice(0, expiry)];
        oneToken(await Promise.all(turn.map((realm) => realm.call('get'))));
        expect(session).toMatchObject({ refreshes: expiry + 1, alive: true });
      }
      await goesOn(all);
    });

    lives(
      'a sign-out during the refresh of another process ends the session everywhere',
      async () => {
        const all = await open(3);
        const { release, held, waiting } = await refreshing(all);
        await all[1]!.call('signOut');
        release();
        const outcomes = [...(await held), ...(await waiting)];
        expect(failures(outcomes)).toEqual(['SIGNED_OUT']);
        for (const realm of all)
          expect(await realm.call('get')).toMatchObject({ code: 'SIGNED_OUT' });
        expect(session.refreshes).toBe(1);
      },
    );

    lives(
      'a sign-in during the refresh of another process begins another session everywhere',
      async () => {
        const all = await open(3);
        const { release, held, waiting } = await refreshing(all);
        const next = server.signIn();
        await all[1]!.call('signIn', next.token);
        release();
        const outcomes = [...(await held), ...(await waiting)];
        expect(failures(outcomes)).toEqual(['SESSION_REPLACED']);
        for (const realm of all) {
          expect(await realm.call('get')).toMatchObject({ token: next.token.access_token });
        }
        ({ session } = next);
        await goesOn(all);
      },
    );

    lives('a refresh outlives its lease, which is renewed', async () => {
      const all = await open(3, { setup: { lease: 300 }, options: { refreshDelay: 1_500 } });
      oneToken(await allRefused(all));
      expect(session).toMatchObject({ refreshes: 1, alive: true });
    });
  });
}

/** Flags for a process whose wall clock is off by milliseconds. */
function shift(by: number): string[] {
  const code = `
    const Real = Date;
    globalThis.Date = class extends Real {
      constructor(...args) { super(...(args.length ? args : [Real.now() + ${by}])); }
      static now() { return Real.now() + ${by}; }
    };`;
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`];
}

describeWith('redis-server')('A fault while a session is shared by Redis', () => {
  describeFaults(CLIENTS.redis[0], 'all');
  describeFaults(CLIENTS.redis[1], 'engine');
});
describeWith('postgresql')('A fault while a session is shared by PostgreSQL', () => {
  describeFaults(CLIENTS.postgres[0], 'all');
  describeFaults(CLIENTS.postgres[1], 'engine');
});
