import { expect, it } from 'vitest';
import type { TokenLocks } from '../../src/index.ts';
import { errorOf, open, Place, renew } from './place.ts';

it('a lock that is lost again and again does not keep a caller for ever', async () => {
  const place = new Place();
  let isOver = false;
  const locks: TokenLocks = {
    request: async (_name, _options, callback) => {
      if (isOver) return new Promise(() => {});
      await new Promise(setImmediate);
      return callback({
        assertHeld() {
          throw new Error('lost');
        },
      });
    },
  };
  const one = open(place, 'a', { timeout: 20 }, { locks });
  await one.set('first');
  const outcome = await Promise.race([
    errorOf(renew(one)),
    new Promise((resolve) => setTimeout(resolve, 1_000, 'hangs')),
  ]);
  isOver = true;
  expect(outcome).toMatchObject({
    code: 'STORE_FAILED',
    cause: new Error('lost'),
  });
});
