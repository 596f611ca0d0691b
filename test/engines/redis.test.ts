import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll } from 'vitest';
import { redisTokens, type RedisClient } from '../../src/realms/redis.ts';
import { startRedis, type Server } from './servers.ts';
import { describeEngine, type Engine } from '../shared/contract/contract.ts';

let server: Server;
const closes: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startRedis();
});

afterAll(async () => {
  for (const close of closes) close();
  await server?.stop();
});

/** The contract over a client; `command` is one of the test's own. */
function engineOf(client: RedisClient, command: (...args: string[]) => Promise<unknown>): Engine {
  let failures = 0;
  const failing = new Proxy(client, {
    get(target, property) {
      const own = Reflect.get(target, property);
      if (typeof own !== 'function') return own;
      if (property !== 'call' && property !== 'sendCommand') return own.bind(target);
      return (...args: any[]) => {
        if (failures && String(args.flat()).includes('HSET')) {
          failures--;
          return Promise.reject(new Error('the connection broke'));
        }
        return own.apply(target, args);
      };
    },
  });
  return {
    open: (options) => redisTokens(failing, options),
    failWrites: (count) => {
      failures = count;
    },
    wipe: async () => {
      await command('FLUSHALL');
    },
    dump: async (name) => String(await command('HGETALL', `oneflight:{${name}}`)),
  };
}

describeEngine('Tokens shared by Redis, with ioredis', async () => {
  const client = new Redis(server.port, '127.0.0.1');
  closes.push(() => client.disconnect());
  return engineOf(client, (command, ...args) => client.call(command, ...args));
});

describeEngine('Tokens shared by Redis, with node-redis', async () => {
  const client = createClient({ socket: { host: '127.0.0.1', port: server.port } });
  client.on('error', () => {});
  await client.connect();
  closes.push(() => client.destroy());
  return engineOf(client as unknown as RedisClient, async (...args) => {
    const answer = await client.sendCommand(args);
    return Array.isArray(answer) ? answer : JSON.stringify(answer);
  });
});
