import { expect, it, vi } from 'vitest';
import type { TokenLocks } from '../../src/index.ts';
import { errorOf, open, Place, renew } from './place.ts';

it('a lock that is lost again and again does not keep a caller for ever', async () => {
  vi.useFakeTimers();
  let requests = 0;
  const locks: TokenLocks = {
    request: async (_name, _options, callback) => {
      requests++;
      await vi.advanceTimersByTimeAsync(5);
      return callback({
        assertHeld() {
          throw new Error('lost');
        },
      });
    },
  };
  const one = open(new Place(), 'a', { timeout: 20 }, { locks });
  await one.set('first');
  expect(await errorOf(renew(one))).toMatchObject({
    code: 'STORE_FAILED',
    cause: new Error('lost'),
  });
  expect(requests).toBe(4);
});
