import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
} from '../authorization-server.ts';
import { describeWith, startRedis, type Server } from './servers.ts';

const PROCESSES = 4;
const USERS = 200;
const EXPIRIES = 3;
/** Milliseconds after which a process forgets a session that is not used: the last one soon. */
const idle = (n: number) => (n === PROCESSES - 1 ? 1_000 : 600_000);

let engine: Server;
let redis: Redis;
let auth: AuthorizationServer;
let signIns: HttpServer;
const bffs: { child: ChildProcess; origin: string }[] = [];
const sessions: ServerSession[] = [];

describeWith('redis-server')('The example: a backend for frontend', () => {
  beforeAll(async () => {
    engine = await startRedis();
    redis = new Redis(engine.port, '127.0.0.1');
    auth = await startAuthorizationServer({ refreshDelay: 20 });
    signIns = createServer((request, response) => {
      const { session, token } = auth.signIn();
      sessions.push(session);
      request.resume();
      response.end(JSON.stringify(token));
    });
    signIns.listen(0, '127.0.0.1');
    await once(signIns, 'listening');
    const env = {
      ...process.env,
      SECRET: 'of the test',
      REDIS_URL: `redis://127.0.0.1:${engine.port}`,
      SIGN_IN_URL: `http://127.0.0.1:${(signIns.address() as AddressInfo).port}`,
      TOKEN_URL: `${auth.origin}/token`,
      API_URL: auth.origin,
    };
    const starting = Array.from({ length: PROCESSES }, async (_, n) => {
      const file = join(import.meta.dirname, '../../examples/bff/server.ts');
      const child = spawn(process.execPath, ['--import', 'tsx', file], {
        env: { ...env, IDLE: `${idle(n)}` },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      bffs[n] = { child, origin: `http://127.0.0.1:${/\d+/.exec(String(line))![0]}` };
    });
    await Promise.all(starting);
  });

  afterAll(async () => {
    for (const { child } of bffs) if (child.exitCode === null) child.kill('SIGKILL');
    redis?.disconnect();
    signIns?.close();
    await auth?.close();
    await engine?.stop();
  });

  const call = (bff: number, path: string, cookie = '', method = 'GET') =>
    fetch(`${bffs[bff % PROCESSES]!.origin}${path}`, { method, headers: { cookie } });

  const sources = async () => {
    const counts = await Promise.all(
      bffs.map(async (_, n) => (await (await call(n, '/stats')).json()) as { sources: number }),
    );
    return counts.map((each) => each.sources);
  };

  it('200 users over 4 processes, one refresh per user and expiry, idle sources go away', async () => {
    const cookies = await Promise.all(
      Array.from({ length: USERS }, async (_, user) => {
        const answer = await call(user, '/sign-in', '', 'POST');
        return answer.headers.get('set-cookie')!.split(';')[0]!;
      }),
    );

    for (let expiry = 1; expiry <= EXPIRIES; expiry++) {
      auth.expireAccessTokens();
      const statuses = await Promise.all(
        // Every user asks every process; the 401s of the API come staggered.
        cookies.flatMap((cookie, user) =>
          bffs.map(async (_, n) => {
            const answer = await call(n, `/api/${user}?delay=${n * 20 + (user % 10)}`, cookie);
            expect(await answer.json()).toMatchObject({ path: `/api/${user}` });
            return answer.status;
          }),
        ),
      );
      expect(statuses).toHaveLength(USERS * PROCESSES);
      expect(new Set(statuses)).toEqual(new Set([200]));
      const refreshes = sessions.reduce((sum, each) => sum + each.refreshes, 0);
      expect(refreshes).toBe(USERS * expiry);
    }
    expect(sessions.every(({ alive }) => alive)).toBe(true);

    // Each process keeps a source per user that it has seen, over one connection that listens.
    expect((await sources()).slice(0, -1)).toEqual([USERS, USERS, USERS]);
    const subscribed = String(await redis.client('LIST')).matchAll(/ sub=(\d+)/g);
    const counts = [...subscribed].map((match) => Number(match[1]));
    // The last one may have forgotten some already.
    expect(counts.filter((count) => count === USERS).length).toBeGreaterThanOrEqual(PROCESSES - 1);
    expect(counts.filter((count) => count > 0).length).toBeLessThanOrEqual(PROCESSES);
    // Where they idle they are closed, and the next request finds the tokens in Redis.
    await expect.poll(async () => (await sources()).at(-1), { timeout: 10_000 }).toBe(0);
    expect((await call(PROCESSES - 1, '/api/me', cookies[1])).status).toBe(200);
    expect(sessions.reduce((sum, each) => sum + each.refreshes, 0)).toBe(USERS * EXPIRIES);

    // A body goes through as a stream.
    const [cookie] = cookies as [string];
    const body = 'x'.repeat(100_000);
    const sent = await fetch(`${bffs[0]!.origin}/api/upload`, {
      method: 'POST',
      headers: { cookie },
      body,
    });
    expect(await sent.json()).toMatchObject({ bytes: 100_000 });

    // A sign-out in one process is one in all.
    expect((await call(0, '/sign-out', cookie, 'POST')).status).toBe(200);
    for (let n = 0; n < PROCESSES; n++) {
      await expect.poll(async () => (await call(n, '/api/me', cookie)).status).toBe(401);
    }
    // Cookies that nobody was given, and none.
    const madeUp = [
      'sid=made-up',
      `sid=made-up.${'x'.repeat(43)}`,
      cookie.replace('sid=', 'sid=0'),
    ];
    for (const each of madeUp) expect((await call(1, '/api/me', each)).status).toBe(401);
    expect((await call(1, '/api/me')).status).toBe(401);

    // A process that is asked to stop does so by itself.
    const exits = bffs.map(async ({ child }) => {
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number];
      return code;
    });
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0]);
    expect(await redis.pubsub('CHANNELS')).toEqual([]);
  }, 120_000);
});
