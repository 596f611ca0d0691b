import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, beforeAll } from 'vitest';
import { redisTokens, type RedisClient } from '../../src/realms/redis.ts';
import { describeWith, startRedis, type Server } from './servers.ts';
import { describeEngine, type Engine } from '../shared/contract/contract.ts';

let server: Server;
const closes: (() => unknown)[] = [];

/** The contract over a client; `command` is one of the test's own. */
function engineOf(client: RedisClient, command: (...args: string[]) => Promise<unknown>): Engine {
  let failures = 0;
  let isWritten = false;
  const failing = new Proxy(client, {
    get(target, property) {
      const own = Reflect.get(target, property);
      if (typeof own !== 'function') return own;
      if (property !== 'call' && property !== 'sendCommand') return own.bind(target);
      return async (...args: any[]) => {
        const isFailing = failures && String(args.flat()).includes('HDEL');
        if (isFailing) failures--;
        const answer = !isFailing || isWritten ? await own.apply(target, args) : undefined;
        if (isFailing) throw new Error('the connection broke');
        return answer;
      };
    },
  });
  return {
    open: (options) => redisTokens(failing, options),
    failWrites: (count, when) => {
      failures = count;
      isWritten = when === 'after';
    },
    wipe: async () => {
      await command('FLUSHALL');
    },
    dump: async (name) => String(await command('HGETALL', `oneflight:{${name}}`)),
  };
}

describeWith('redis-server')('In Redis', () => {
  beforeAll(async () => {
    server = await startRedis();
  });

  afterAll(async () => {
    for (const close of closes) close();
    await server?.stop();
  });

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
    return engineOf(client, async (...args) => {
      const answer = await client.sendCommand(args);
      return Array.isArray(answer) ? answer : JSON.stringify(answer);
    });
  });
});
