import { describe, expect, it, vi } from 'vitest';
import { type TokenLocks } from '../../src/index.ts';
import { errorOf, open, Place } from './place.ts';

describe('a realm that waits for the lock', () => {
  it('gives nobody a token that has expired', async () => {
    const place = new Place();
    const never: TokenLocks = { request: () => new Promise(() => {}) };
    place.stored = {
      version: Date.now() - 50,
      session: 's',
      token: 'old',
      writtenAt: -60_000,
    };
    const one = open(
      place,
      'a',
      {
        timeout: 20,
        expiresAt: (token) => (token === 'old' ? Date.now() - 1_000 : undefined),
      },
      { locks: never },
    );
    expect(await errorOf(one.get())).toMatchObject({ code: 'REFRESH_TIMEOUT' });
  });

  it('tells onRefresh what its callers hear', async () => {
    const place = new Place();
    const onRefresh = vi.fn();
    const isOld = (token: string) => (token === 'old' ? Date.now() - 1_000 : undefined);
    const other = open(place, 'b');
    await other.set('older');
    const refresh = () => Promise.reject(Object.assign(new Error('no'), { status: 404 }));
    const one = open(place, 'a', { expiresAt: isOld, onRefresh, refresh });
    const credential = await one.get();
    const { session, version } = place.stored!;
    place.stored = {
      session,
      version: version + 1,
      token: 'old',
      writtenAt: -60_000,
    };
    expect(await errorOf(one.renew(credential))).toMatchObject({
      code: 'REFRESH_FAILED',
    });
    expect(onRefresh).toHaveBeenLastCalledWith(expect.objectContaining({ status: 'rejected' }));
  });
});
