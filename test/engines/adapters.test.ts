import { Socket } from 'node:net';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, type SharedTokens, type TokenSource } from '../../src/index.ts';
import { postgresTable, postgresTokens, type PostgresClient } from '../../src/realms/postgres.ts';
import { redisTokens, type RedisClient } from '../../src/realms/redis.ts';
import { runChild } from '../child.ts';
import { gate } from '../gate.ts';
import {
  CLIENTS,
  isRedis,
  openClient,
  watched,
  type ClientName,
  type CommandKind,
  type OpenClient,
} from './clients.ts';
import { describeWith, startPostgres, startRedis, type Server } from './servers.ts';

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function eventually(is: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await is()) return;
    await sleep(10);
  }
  throw new Error('did not happen within 3 seconds');
}

/** What the connection that listens is to a test. */
interface Engine {
  server: Server;
  /** How many connections listen. */
  listening(): Promise<number>;
  /** Cuts those that do. */
  cut(): Promise<unknown>;
  /** Loses everything. */
  wipe(): Promise<unknown>;
  /** Calls the listener when anyone is told of a name, by a connection of its own. */
  hear(name: string, listener: () => void): Promise<() => unknown>;
}

/** The statements of an adapter, as it sends them, with the arguments that a test gives. */
interface Statements {
  /** The name that they are about. */
  of: string;
  take: (
    lease: number,
  ) => Promise<{ fence: number; left: number; isFirst: boolean; version: number }>;
  renew: (fence: number, lease: number) => Promise<boolean>;
  release: (fence: number) => Promise<unknown>;
  write: (version: number, expected: number, fence: number, ttl?: number) => Promise<boolean>;
  read: () => Promise<{ version: number; age: number } | undefined>;
}

let engine: Engine;
let opened: OpenClient[] = [];
let sources: TokenSource<string>[] = [];
let counter = 0;

const connect = async (name: ClientName) => {
  const client = await openClient(name, engine.server.port);
  opened.push(client);
  return client.client;
};

const share = (client: object, name: string, options: object = {}): SharedTokens<string> =>
  'duplicate' in client
    ? redisTokens<string>(client as RedisClient, { name, ...options })
    : postgresTokens<string>(client as PostgresClient, { name, ...options });

const open = (client: object, name: string, options: object = {}, refresh = async () => 'next') => {
  const shared = share(client, name, options);
  const source = createTokenSource<string>({ shared, refresh, retry: { retries: 0 } });
  sources.push(source);
  return source;
};

const codeOf = (source: TokenSource<string>): Promise<string> =>
  source.get().then(
    ({ token }) => token,
    ({ code }) => code,
  );

beforeEach(() => {
  [opened, sources] = [[], []];
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const source of sources) source.close();
  for (const client of opened) await client.close();
});

/** The statements of a client's adapter, caught while it is used once. */
async function statementsOf(name: ClientName): Promise<Statements> {
  const client = (await connect(name)) as any;
  const texts = {} as Record<CommandKind, string>;
  const eyed = watched(
    client,
    () => {},
    ({ kind, text }) => {
      texts[kind] = text;
    },
  );
  const slow = async () => {
    await sleep(60);
    throw new Error('so that the lease is let go by itself');
  };
  const source = open(eyed, `statements ${counter++}`, { lease: 100 }, slow);
  await source.set('first');
  await source.renew(await source.get()).catch(() => {});
  await eventually(() => Object.keys(texts).length === 5);
  source.close();

  const of = `statement ${counter++}`;
  if (isRedis(name)) {
    const key = `oneflight:{${of}}`;
    const run = (kind: CommandKind, ...args: unknown[]): Promise<any> => {
      const command = ['EVAL', texts[kind], '2', key, `${key}:lease`, ...args.map(String)];
      return 'call' in client ? client.call(...command) : client.sendCommand(command);
    };
    return {
      of,
      async take(lease) {
        const [fence, left, isFirst, version] = await run('take', lease, 0);
        return { fence, left, isFirst: !!isFirst, version: Number(version ?? 0) };
      },
      renew: async (fence, lease) => !!(await run('renew', fence, lease)),
      release: (fence) => run('release', fence),
      write: async (version, expected, fence, ttl = 0) =>
        !!(await run('write', expected, ttl, fence, 'version', version, 'session', 's')),
      async read() {
        const [version, , , , age] = await run('read');
        return version ? { version: Number(version), age: Number(age) } : undefined;
      },
    };
  }
  const run = async (kind: CommandKind, ...args: unknown[]): Promise<any> =>
    'unsafe' in client
      ? (await client.unsafe(texts[kind], [of, ...args]))[0]
      : (await client.query(texts[kind], [of, ...args])).rows[0];
  return {
    of,
    async take(lease) {
      const { fence, left, first, version } = await run('take', lease);
      return { fence, left, isFirst: !!first, version: Number(version ?? 0) };
    },
    renew: async (fence, lease) => !!(await run('renew', fence, lease)),
    release: (fence) => run('release', fence),
    write: async (version, expected, fence) =>
      !!(await run('write', version, 's', 'token', null, expected, fence)),
    async read() {
      const { version, age } = (await run('read')) ?? {};
      return version ? { version, age } : undefined;
    },
  };
}

function describeAdapter(name: ClientName): void {
  describe(`With ${name}`, () => {
    it('a lease is held by one, and told of to the others', async () => {
      const { take, release, read } = await statementsOf(name);
      const taken = await take(10_000);
      expect(taken).toMatchObject({ left: 0, isFirst: true, version: 0 });
      // By the clock, so that it is greater than any that was given out before data was lost.
      expect(Math.abs(taken.fence - Date.now())).toBeLessThan(5_000);
      const refused = await take(10_000);
      expect(refused.fence).toBe(0);
      expect(refused.left).toBeGreaterThan(9_000);
      expect(refused.left).toBeLessThanOrEqual(10_000);
      await release(taken.fence);
      const next = await take(10_000);
      expect(next.isFirst).toBe(false);
      expect(next.fence).toBeGreaterThan(taken.fence);
      expect(await read()).toBeUndefined();
    });

    it('a lease ends by itself, unless it is renewed', async () => {
      const { take, renew } = await statementsOf(name);
      const { fence } = await take(200);
      expect(await renew(fence, 400)).toBe(true);
      await sleep(250);
      expect(await take(200)).toMatchObject({ fence: 0 });
      await sleep(200);
      expect(await renew(fence, 400)).toBe(false);
      expect((await take(200)).fence).toBeGreaterThan(fence);
    });

    it('a lease is renewed and let go by its holder only', async () => {
      const { take, renew, release } = await statementsOf(name);
      const { fence } = await take(10_000);
      expect(await renew(fence - 1, 1)).toBe(false);
      await release(fence - 1);
      expect((await take(1_000)).left).toBeGreaterThan(9_000);
    });

    it('a write is done only where it is expected', async () => {
      const { write, read, take } = await statementsOf(name);
      expect(await write(5, 4, 0)).toBe(false);
      expect(await read()).toBeUndefined();
      expect(await write(5, 0, 0)).toBe(true);
      expect(await write(7, 0, 0)).toBe(false);
      expect(await write(7, 6, 0)).toBe(false);
      expect(await read()).toMatchObject({ version: 5 });
      await sleep(50);
      const asked = performance.now();
      expect(await write(7, 5, 0)).toBe(true);
      await sleep(50);
      const stored = await read();
      expect(stored!.version).toBe(7);
      expect(stored!.age).toBeGreaterThanOrEqual(45);
      // Not from the write before.
      expect(stored!.age).toBeLessThan(performance.now() - asked + 5);
      // Read with the lease, in one round trip.
      expect(await take(100)).toMatchObject({ version: 7 });
    });

    it('a write lets the lease of its writer go, and no other', async () => {
      const { write, take } = await statementsOf(name);
      const { fence } = await take(10_000);
      expect(await write(1, 0, 0)).toBe(true);
      expect(await write(2, 1, fence - 1)).toBe(true);
      expect(await take(10_000)).toMatchObject({ fence: 0 });
      expect(await write(3, 2, fence)).toBe(true);
      expect((await take(10_000)).fence).toBeGreaterThan(fence);
    });

    it('whoever listens is told when a lease is let go, and once of a write', async () => {
      const { of, take, release, write } = await statementsOf(name);
      let told = 0;
      const deafen = await engine.hear(of, () => told++);
      const { fence } = await take(10_000);
      await release(fence - 1);
      await release(fence);
      await eventually(() => told === 1);
      const { fence: next } = await take(10_000);
      expect(await write(2, 1, next)).toBe(false);
      expect(await write(1, 0, next)).toBe(true);
      await eventually(() => told === 2);
      await sleep(20);
      expect(told).toBe(2);
      await deafen();
    });

    it('a refresh costs three round trips: read, take, write', async () => {
      // A take that is answered late is not asked for again.
      vi.spyOn(Math, 'random').mockReturnValue(1);
      const kinds: CommandKind[] = [];
      const client = watched((await connect(name)) as object, (kind) => kinds.push(kind));
      const source = open(client, `cost of ${name}`, {}, async () => {
        await sleep(20);
        return 'next';
      });
      await source.set('first');
      const credential = await source.get();
      await eventually(async () => (await engine.listening()) === 1);
      await sleep(50);
      kinds.length = 0;
      await source.renew(credential);
      await eventually(() => kinds.length === 4);
      await sleep(50);
      // And one to read what it wrote itself, since a message does not tell whose it is.
      expect(kinds).toEqual(['read', 'take', 'write', 'read']);
    });

    it('names may be of any characters', async () => {
      const client = await connect(name);
      const names = ['a', 'a}', '{a', '{a}:lease', "'; --", 'ä ☃ 💥', 'a\nb', ' '];
      const all = names.map((each) => open(client, each));
      await Promise.all(all.map((source, n) => source.set(`token ${n}`)));
      const found = await Promise.all(names.map((each) => codeOf(open(client, each))));
      expect(found).toEqual(names.map((_, n) => `token ${n}`));
      for (const source of all) await source.renew(await source.get());
    });

    it('sources of one client listen over one connection, which goes when the last is closed', async () => {
      // Those of the test before may still be closing.
      await eventually(async () => (await engine.listening()) === 0);
      const client = await connect(name);
      const all = ['one', 'one', 'two'].map((each) => open(client, each));
      await all[0]!.set('first');
      await all[2]!.set('first');
      await Promise.all(all.map((source) => source.get()));
      await eventually(async () => (await engine.listening()) === 1);
      all[0]!.close();
      all[2]!.close();
      // The other one is still told.
      await open(client, 'one').clear();
      await eventually(async () => (await codeOf(all[1]!)) === 'SIGNED_OUT');
      expect(await engine.listening()).toBe(1);
      for (const source of sources) source.close();
      // That of postgres.js stays until its `end`, and listens no more.
      await eventually(async () => (await engine.listening()) === 0);
      // And comes again.
      const again = open(client, 'two');
      await again.get();
      await eventually(async () => (await engine.listening()) === 1);
      await open(client, 'two').clear();
      await eventually(async () => (await codeOf(again)) === 'SIGNED_OUT');
    });

    it('a connection that listens keeps no process alive', async () => {
      // That of postgres.js is its own, and lives until its `end`.
      if (name === 'postgres.js') return;
      const unref = vi.spyOn(Socket.prototype, 'unref');
      const source = open(await connect(name), `idle ${name}`);
      await source.set('first');
      await source.get();
      await eventually(async () => (await engine.listening()) === 1);
      // That connection, and no other: not those of the app itself.
      const released = () =>
        (unref.mock.contexts as any[]).filter((it) => it.remotePort === engine.server.port);
      await eventually(() => released().length > 0);
      expect(released().map(({ _handle }) => _handle.hasRef())).toEqual([false]);
    });

    it('a token lives from when it was written, wherever it is read', async () => {
      const [client, other] = [await connect(name), await connect(name)];
      const token: any = { access_token: 'first', expires_in: 10 };
      await open(client, `aging ${name}`).set(token);
      await sleep(300);
      const next: any = { access_token: 'next' };
      const source = open(other, `aging ${name}`, {}, async () => next);
      expect((await source.get()).token).toEqual(token);
      const { now } = Date;
      vi.spyOn(Date, 'now').mockImplementation(() => now() + 9_800);
      expect((await source.get()).token).toMatchObject(next);
    });

    it('a holder whose lease was lost with all data is given its time', async () => {
      const [client, other] = [await connect(name), await connect(name)];
      const [answer, sent] = [gate<string>(), gate()];
      const holder = open(client, `lost ${name}`, {}, () => {
        sent.open();
        return answer.promise;
      });
      await holder.set('first');
      const refresh = vi.fn(async () => 'refreshed again');
      const takes: boolean[] = [];
      const eyed = watched(
        other as object,
        () => {},
        ({ kind, isGranted }) => kind === 'take' && takes.push(isGranted),
      );
      const waiter = open(eyed, `lost ${name}`, {}, refresh);
      const refused = await waiter.get();
      const answered = holder.renew(await holder.get());
      await sent.promise;
      const waiting = waiter.renew(refused);
      await eventually(() => takes.includes(false));
      await engine.wipe();
      await eventually(() => takes.includes(true));
      await sleep(50);
      answer.open('from the holder');
      expect((await answered).token).toBe('from the holder');
      expect((await waiting).token).toBe('from the holder');
      expect(refresh).not.toHaveBeenCalled();
    });

    it('a lease that was renewed is still held for the next attempt', async () => {
      const kinds: CommandKind[] = [];
      const client = watched((await connect(name)) as object, (kind) => kinds.push(kind));
      let attempts = 0;
      const source = createTokenSource<string>({
        shared: share(client, `renewed ${name}`, { lease: 400 }),
        retry: { retries: 1, minTimeout: 1 },
        async refresh() {
          if (attempts++) return 'next';
          await eventually(() => kinds.includes('renew'));
          await sleep(30);
          throw new Error('no network');
        },
      });
      sources.push(source);
      expect((await source.get()).token).toBe('next');
      expect(attempts).toBe(2);
      expect(kinds.filter((kind) => kind === 'take')).toHaveLength(1);
    });

    it('a lease is let go although the write of its holder came too late', async () => {
      const [client, other] = [await connect(name), await connect(name)];
      const [answer, sent] = [gate<string>(), gate()];
      const late = open(client, `late ${name}`, {}, () => {
        sent.open();
        return answer.promise;
      });
      await late.set('first');
      const waiting = late.renew(await late.get()).catch((error) => error);
      await sent.promise;
      // It does not hear of what comes: only its write tells.
      late.close();
      const one = open(other, `late ${name}`);
      await one.set('second');
      answer.open('of the session before');
      expect(await waiting).toMatchObject({ code: 'SESSION_REPLACED' });
      const began = performance.now();
      expect((await one.renew(await one.get())).token).toBe('next');
      expect(performance.now() - began).toBeLessThan(5_000);
    });

    it('a session that is opened while another one listens is read once', async () => {
      const kinds: CommandKind[] = [];
      const client = watched((await connect(name)) as object, (kind) => kinds.push(kind));
      await open(client, `after ${name}`).set('first');
      await open(client, `before ${name}`).get();
      await eventually(async () => (await engine.listening()) === 1);
      await sleep(50);
      const source = open(client, `after ${name}`);
      kinds.length = 0;
      await source.get();
      await sleep(50);
      expect(kinds).toEqual(['read']);
    });

    it('a connection that listens and breaks is opened again, and what was missed is found', async () => {
      const [client, other] = [await connect(name), await connect(name)];
      await eventually(async () => (await engine.listening()) === 0);
      const of = `broken ${name}`;
      const heard: string[] = [];
      const source = createTokenSource<string>({
        shared: share(client, of),
        refresh: async () => 'next',
        onSessionExpired: ({ code }) => heard.push(code),
      });
      sources.push(source);
      await source.set('first');
      await source.get();
      await eventually(async () => (await engine.listening()) === 1);
      await engine.cut();
      // It does not use the source that is to be told, nor listen.
      await open(other, of).clear();
      await eventually(() => heard.length === 1);
      expect(heard).toEqual(['SIGNED_OUT']);
      await eventually(async () => (await engine.listening()) === 1);
    });

    it('a process ends by itself when its client is closed, although a source is not', async () => {
      const entry = isRedis(name) ? 'redis' : 'postgres';
      const { port } = engine.server;
      const clients: Record<ClientName, string> = {
        ioredis: `const { Redis } = await import('ioredis');
          const client = new Redis(${port}, '127.0.0.1');
          const end = () => client.disconnect();`,
        'node-redis': `const { createClient } = await import('redis');
          const client = createClient({ socket: { host: '127.0.0.1', port: ${port} } });
          await client.connect();
          const end = () => client.destroy();`,
        pg: `const { default: { Pool } } = await import('pg');
          const client = new Pool({ host: '127.0.0.1', port: ${port}, user: 'postgres' });
          const end = () => void client.end();`,
        'postgres.js': `const { default: postgres } = await import('postgres');
          const client = postgres({ host: '127.0.0.1', port: ${port}, user: 'postgres', database: 'postgres' });
          const end = () => void client.end();`,
      };
      const output = await runChild(`
        import { createTokenSource } from 'oneflight';
        import { ${entry}Tokens } from 'oneflight/${entry}';
        ${clients[name]}
        const shared = ${entry}Tokens(client, { name: 'abandoned by ${name}' });
        const tokens = createTokenSource({ shared, refresh: async () => 'next' });
        await tokens.set('first');
        await tokens.renew(await tokens.get());
        // For the connection that listens.
        await new Promise((resolve) => setTimeout(resolve, 300));
        end();
        const endedAt = performance.now();
        process.on('exit', () => console.log(performance.now() - endedAt < 4_000));
      `);
      expect(output).toBe('true\n');
    });
  });
}

describeWith('redis-server')('The adapter of Redis', () => {
  let admin: Redis;

  beforeAll(async () => {
    const server = await startRedis();
    admin = new Redis(server.port, '127.0.0.1');
    engine = {
      server,
      listening: async () =>
        String(await admin.call('CLIENT', 'LIST', 'TYPE', 'pubsub'))
          .split('\n')
          .filter(Boolean).length,
      cut: () => admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'),
      wipe: () => admin.flushall(),
      async hear(name, listener) {
        const ear = admin.duplicate();
        ear.on('message', listener);
        await ear.subscribe(`oneflight:{${name}}`);
        return () => ear.disconnect();
      },
    };
  });

  afterAll(async () => {
    admin?.disconnect();
    await engine?.server.stop();
  });

  for (const name of CLIENTS.redis) describeAdapter(name);

  it('a session is forgotten `ttl` after its last write', async () => {
    const { write, read } = await statementsOf('ioredis');
    await write(1, 0, 0, 600);
    await sleep(400);
    await write(2, 1, 0, 600);
    await sleep(400);
    expect(await read()).toMatchObject({ version: 2 });
    await eventually(async () => !(await read()));
    const client = await connect('ioredis');
    await open(client, 'brief', { ttl: 599.5 }).set('first');
    expect(await admin.pttl('oneflight:{brief}')).toBeGreaterThan(50);
    await eventually(async () => !(await admin.exists('oneflight:{brief}')));
    // Also when nobody ever writes: a name that is made up leaves nothing for good.
    const refused = open(client, 'made up', { ttl: 2_000 }, () => Promise.reject(new Error('503')));
    await expect(refused.get()).rejects.toThrow('refresh failed');
    expect(await admin.hkeys('oneflight:{made up}')).toEqual(['fence']);
    expect(await admin.pttl('oneflight:{made up}')).toBeGreaterThan(0);
    await open(client, 'lasting').set('first');
    expect(await admin.pttl('oneflight:{lasting}')).toBe(-1);
  });

  it('all that is written is under two keys', async () => {
    const answer = gate<string>();
    const source = open(await connect('ioredis'), 'keys', {}, () => answer.promise);
    await admin.flushall();
    const answered = source.get();
    await eventually(async () => (await admin.keys('*')).length === 2);
    expect((await admin.keys('*')).sort()).toEqual(['oneflight:{keys}', 'oneflight:{keys}:lease']);
    answer.open('next');
    await answered;
    expect(await admin.keys('*')).toEqual(['oneflight:{keys}']);
  });

  it('milliseconds may be broken', async () => {
    const source = open(await connect('ioredis'), 'broken', { lease: 1000 / 3, ttl: 1000 / 3 });
    await source.set('first');
    expect((await source.renew(await source.get())).token).toBe('next');
  });

  it('a client that has given up keeps no source from being closed', async () => {
    const { createClient } = await import('redis');
    const client = createClient({
      socket: { host: '127.0.0.1', port: engine.server.port, reconnectStrategy: false },
    });
    client.on('error', () => {});
    await client.connect();
    const source = open(client, 'given up');
    await source.set('first');
    await source.get();
    await eventually(async () => (await engine.listening()) === 1);
    await engine.cut();
    await eventually(async () => (await engine.listening()) === 0);
    await sleep(50);
    source.close();
    client.destroy();
  });

  it.each(CLIENTS.redis)('what a connection of %s tells too much of harms nobody', async (name) => {
    const client: any = await connect(name);
    const duplicate = client.duplicate.bind(client);
    let connection: any;
    client.duplicate = () => (connection = duplicate());
    const source = open(client, 'harmless');
    await source.set('first');
    await source.get();
    await eventually(async () => (await engine.listening()) === 1);
    expect(await admin.call('PUBSUB', 'CHANNELS')).toEqual(['oneflight:{harmless}']);
    // Without a listener it would be thrown.
    connection.emit('error', new Error('the connection broke'));
    // A message that was under way when the last listener left.
    connection.emit('message', 'oneflight:{gone}', '');
  });

  it('a client that throws when it is closed twice, as node-redis 4 and 5 do, keeps no source', async () => {
    const client: any = await connect('node-redis');
    const duplicate = client.duplicate.bind(client);
    let end = () => {};
    client.duplicate = () => {
      const connection = duplicate();
      end = connection.destroy.bind(connection);
      connection.destroy = () => {
        throw new Error('The client is closed');
      };
      return connection;
    };
    const source = open(client, 'closed before');
    await source.set('first');
    await source.get();
    source.close();
    // A rejection that nobody handles would fail the run.
    await sleep(0);
    end();
  });

  it('a client that is closed before it has connected keeps no source', async () => {
    const client: any = await connect('node-redis');
    const duplicate = client.duplicate.bind(client);
    const connecting = gate();
    client.duplicate = () => Object.assign(duplicate(), { connect: () => connecting.promise });
    const source = open(client, 'closed early');
    await source.get();
    source.close();
    // A rejection that nobody handles would fail the run.
    connecting.fail(new Error('the client is closed'));
    await sleep(0);
  });

  it.each([
    [undefined, {}, '"client" must be a client of Redis, got "undefined" (string)'],
    ['redis://', {}, '"client" must be a client of Redis, got "string" (string)'],
    [0, { ttl: -1 }, '"ttl" must be a number of milliseconds, got -1 (number)'],
    [0, { ttl: Infinity }, '"ttl" must be a number of milliseconds, got Infinity (number)'],
    [0, { ttl: 2 ** 53 }, '"ttl" must be a number of milliseconds, got 9007199254740992 (number)'],
    [0, { ttl: '5s' }, '"ttl" must be a number of milliseconds, got "5s" (string)'],
    [0, { lease: 99 }, '"lease" must be a number of milliseconds, 100 or more, got 99 (number)'],
    [0, { name: '' }, '"name" must be a string that is not empty, got "" (string)'],
    [0, { encode: 5 }, '"encode" must be a function, got 5 (number)'],
    [0, { decode: 5 }, '"decode" must be a function, got 5 (number)'],
  ])('%s as client and %o is a TypeError', (given, options, message) => {
    const client = given === 0 ? { duplicate() {}, call() {} } : given;
    const sharing = () => redisTokens(client as never, { name: 'name', ...options } as never);
    expect(sharing).toThrow(new TypeError(message));
  });
});

describeWith('postgresql')('The adapter of PostgreSQL', () => {
  let admin: pg.Pool;

  beforeAll(async () => {
    const server = await startPostgres();
    admin = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', max: 1 });
    await admin.query(postgresTable());
    const listeners = `FROM pg_stat_activity WHERE lower(query) LIKE 'listen%'`;
    engine = {
      server,
      listening: async () => (await admin.query(`SELECT ${listeners}`)).rows.length,
      cut: () => admin.query(`SELECT pg_terminate_backend(pid) ${listeners}`),
      wipe: () => admin.query('TRUNCATE oneflight_tokens'),
      async hear(name, listener) {
        const ear = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'postgres' });
        await ear.connect();
        ear.on('notification', ({ payload }) => payload === name && listener());
        await ear.query('LISTEN oneflight_tokens');
        return () => ear.end();
      },
    };
  });

  afterAll(async () => {
    await admin?.end();
    await engine?.server.stop();
  });

  for (const name of CLIENTS.postgres) describeAdapter(name);

  /** A pool whose next connections are what `change` makes of them. */
  const changed = async (change: (connection: any) => unknown) => {
    const pool = (await connect('pg')) as unknown as pg.Pool;
    let connections = 0;
    const client = new Proxy(pool, {
      get(target, property) {
        const own = Reflect.get(target, property);
        if (property !== 'connect') return typeof own === 'function' ? own.bind(target) : own;
        return async () => {
          connections++;
          const connection = await pool.connect();
          return (await change(connection)) ?? connection;
        };
      },
    });
    return { pool, client, connections: () => connections };
  };
  const noneListens = () => eventually(async () => (await engine.listening()) === 0);

  it('a lease that another process is about to insert is not had, and waited for', async () => {
    const client = (await connect('pg')) as unknown as pg.Pool;
    const other = await client.connect();
    await other.query('BEGIN');
    const lease = `clock_timestamp() + interval '300 ms'`;
    const insert = `INSERT INTO oneflight_tokens (name, fence, leased_until) VALUES ('new', 1, ${lease})`;
    const insertedAt = performance.now();
    await other.query(insert);
    const source = open(client, 'new');
    const answered = source.get();
    await eventually(async () => {
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`;
      return (await admin.query(waiting)).rows.length === 1;
    });
    await other.query('COMMIT');
    other.release();
    expect((await answered).token).toBe('next');
    expect(performance.now() - insertedAt).toBeGreaterThan(295);
  });

  it('a connection that breaks before it listens is opened again, once', async () => {
    await noneListens();
    let isBroken = false;
    const { pool, client, connections } = await changed((connection) => {
      if (isBroken) return;
      isBroken = true;
      const query = connection.query.bind(connection);
      connection.query = (text: string) => {
        const answer = query(text);
        // As when the server has crashed.
        connection.connection.stream.destroy();
        return answer;
      };
    });
    const source = open(client, 'broken early');
    await source.set('first');
    await source.get();
    await eventually(async () => connections() > 1 && (await engine.listening()) === 1);
    await sleep(100);
    expect(connections()).toBe(2);
    source.close();
    await noneListens();
    await eventually(() => pool.totalCount === pool.idleCount);
  });

  it('a connection that may not listen is let go, and opened again', async () => {
    await noneListens();
    let isRefused = false;
    const { pool, client, connections } = await changed((connection) => {
      if (isRefused) return;
      isRefused = true;
      const query = connection.query.bind(connection);
      connection.query = () => query('LISTEN');
    });
    const source = open(client, 'refused');
    await source.set('first');
    await source.get();
    await eventually(async () => connections() > 1 && (await engine.listening()) === 1);
    source.close();
    await noneListens();
    await eventually(() => pool.totalCount === pool.idleCount);
  });

  it('a connection that ends without an error, and tells so late and again, is opened again once', async () => {
    await noneListens();
    const seen: any[] = [];
    const { client, connections } = await changed((connection) => {
      seen.push(connection);
      // As with clients that are not of `pg`.
      connection.unref = undefined;
    });
    const source = open(client, 'ended');
    await source.set('first');
    await source.get();
    await eventually(async () => (await engine.listening()) === 1);
    // A change of a name that nobody has here.
    seen[0].emit('notification', { payload: 'gone' });
    seen[0].emit('end');
    await eventually(() => connections() === 2);
    await eventually(async () => (await engine.listening()) === 1);
    seen[0].emit('end');
    await sleep(1_100);
    expect(connections()).toBe(2);
    source.close();
    await noneListens();
  });

  it('a source that is closed opens no connection again that broke', async () => {
    await noneListens();
    const broken = gate();
    const { client, connections } = await changed((connection) => {
      connection.once('error', () => broken.open());
    });
    const source = open(client, 'closed broken');
    await source.set('first');
    await source.get();
    await eventually(async () => (await engine.listening()) === 1);
    await engine.cut();
    // The client may hear of it later than the server.
    await broken.promise;
    source.close();
    // It would be opened again after a second.
    await sleep(1_100);
    expect(connections()).toBe(1);
  });

  it('a postgres.js that cannot stop to listen keeps no source', async () => {
    await noneListens();
    const sql: any = await connect('postgres.js');
    const unlisten = vi.fn(() => Promise.reject(new Error('gone')));
    const client = new Proxy(sql, {
      get: (target, property) =>
        property === 'listen'
          ? async (...args: unknown[]) => ({ ...(await target.listen(...args)), unlisten })
          : Reflect.get(target, property),
    });
    const source = open(client, 'cannot unlisten');
    await source.set('first');
    await source.get();
    await eventually(async () => (await engine.listening()) === 1);
    source.close();
    // A rejection that nobody handles would fail the run.
    await eventually(() => unlisten.mock.calls.length === 1);
    await sleep(0);
  });

  it('a source that is closed while its connection is opened lets that go', async () => {
    await noneListens();
    const opening = gate();
    const { pool, client, connections } = await changed(() => opening.promise);
    const source = open(client, 'closed meanwhile');
    await source.set('first');
    await source.get();
    source.close();
    opening.open();
    expect(connections()).toBe(1);
    await eventually(() => pool.totalCount === pool.idleCount);
    await noneListens();
  });

  it('a source that is closed opens no connection again that it could not have', async () => {
    const failed = gate();
    const { client, connections } = await changed((connection) => {
      connection.release();
      return failed.promise;
    });
    const source = open(client, 'closed early');
    await source.set('first');
    await source.get();
    source.close();
    failed.fail(new Error('too many clients'));
    // It would be opened again after a second.
    await sleep(1_100);
    expect(connections()).toBe(1);
  });

  const pool = { query: async () => ({ rows: [] }), connect: async () => ({}) };

  it.each([
    [undefined, {}, '"client" must be a pool, got "undefined" (string)'],
    ['postgres://', {}, '"client" must be a pool, got "string" (string)'],
    [{}, {}, '"client" must be a pool, got "object" (string)'],
    [
      { ...pool, options: { max: 1 } },
      {},
      '"listen" must be false for a pool of one connection, got true (boolean)',
    ],
    [
      pool,
      { table: 'a-b' },
      '"table" must be a name such as app.oneflight_tokens, got "a-b" (string)',
    ],
    [pool, { lease: 99 }, '"lease" must be a number of milliseconds, 100 or more, got 99 (number)'],
    [pool, { name: '' }, '"name" must be a string that is not empty, got "" (string)'],
    [pool, { encode: 5 }, '"encode" must be a function, got 5 (number)'],
  ])('%o as client and %o is a TypeError', (client, options, message) => {
    const sharing = () => postgresTokens(client as never, { name: 'name', ...options } as never);
    expect(sharing).toThrow(new TypeError(message));
  });

  it('one connection is enough for postgres.js, which listens on another', () => {
    const sql = Object.assign(() => {}, { unsafe() {}, listen() {}, options: { max: 1 } });
    expect(postgresTokens(sql as never, { name: 'name' })).toHaveProperty('name', 'name');
    const single = { ...pool, options: { max: 1 } };
    expect(postgresTokens(single, { name: 'name', listen: false })).toHaveProperty('name', 'name');
  });

  it('a table is made of a name only', () => {
    expect(postgresTable('app.tokens')).toContain('CREATE TABLE app.tokens (');
    for (const table of ['', 'a b', 'a;b', 'a.b.c', '"a"', 'a.']) {
      expect(() => postgresTable(table)).toThrow('"table" must be a name such as');
    }
  });
});
