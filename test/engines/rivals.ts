import { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';
// @ts-expect-error It has no types.
import Redlock from 'redlock';
import type { refreshAt, TokenResponse } from '../authorization-server.ts';

export const RIVALS = ['redlock', 'redis-semaphore'] as const;
export type RivalName = (typeof RIVALS)[number];

const [KEY, LOCK] = ['rival:session', 'rival:lock'];

/**
 * A token shared by a lock library, used as its README says: lock, read, refresh when what is there is
 * what was refused, write, unlock.
 */
export async function openRival(
  name: RivalName,
  port: number,
  refresh: ReturnType<typeof refreshAt>,
) {
  const client = new Redis(port, '127.0.0.1');
  client.on('error', () => {});
  const redlock = new Redlock([client], {
    driftFactor: 0.01,
    retryCount: 10,
    retryDelay: 200,
    retryJitter: 200,
  });

  const underLock = async (work: () => Promise<{ token: TokenResponse }>) => {
    if (name === 'redlock') {
      const lock = await redlock.lock(LOCK, 1000);
      try {
        return await work();
      } finally {
        await lock.unlock();
      }
    }
    const mutex = new Mutex(client, LOCK);
    await mutex.acquire();
    try {
      return await work();
    } finally {
      await mutex.release();
    }
  };
  const read = async () => ({
    generation: 0,
    token: JSON.parse((await client.get(KEY))!) as TokenResponse,
  });
  return {
    source: {
      get: read,
      renew: (refused: { token: TokenResponse }) =>
        underLock(async () => {
          const stored = await read();
          if (stored.token.access_token !== refused.token.access_token) return stored;
          const token = await refresh(stored);
          await client.set(KEY, JSON.stringify(token));
          return { generation: 0, token };
        }) as ReturnType<typeof read>,
      set: async (token: TokenResponse) => {
        await client.set(KEY, JSON.stringify(token));
      },
      clear: async () => {},
      close: () => {},
    },
    client: client as never,
    close: async () => client.disconnect(),
  };
}
