import { describe, expect, it } from 'vitest';
import { errorOf, open, Place, renew, tokenOf } from './place.ts';

/** Cuts one realm off from the store. */
function link() {
  const state = { isDown: false };
  const store = {
    async read(this: Place) {
      if (state.isDown) throw new Error('down');
      return Place.prototype.read.call(this);
    },
    async write(this: Place, ...args: Parameters<Place['write']>) {
      if (state.isDown) throw new Error('down');
      return Place.prototype.write.call(this, ...args);
    },
  };
  return { state, store };
}

const later = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('what a realm has not written yet', () => {
  it('a sign-out after a sign-in that is unsaved wins over a refresh of the session before', async () => {
    const place = new Place();
    const { state, store } = link();
    const other = open(place, 'b');
    await other.set('first');
    const one = open(place, 'a', {}, {}, store);
    await one.get();
    state.isDown = true;
    expect((await errorOf(one.set('second'))).code).toBe('STORE_FAILED');
    const cleared = one.clear();
    await later();
    await renew(other);
    state.isDown = false;
    await cleared;
    expect((await errorOf(one.get())).code).toBe('SIGNED_OUT');
    expect(place.stored).toMatchObject({ over: 'SIGNED_OUT' });
  });

  it('a second sign-in wins over a refresh of the session before the first', async () => {
    const place = new Place();
    const { state, store } = link();
    const other = open(place, 'b');
    await other.set('first');
    const one = open(place, 'a', {}, {}, store);
    await one.get();
    state.isDown = true;
    expect((await errorOf(one.set('second'))).code).toBe('STORE_FAILED');
    const third = one.set('third');
    await later();
    await renew(other);
    state.isDown = false;
    await third;
    expect(await tokenOf(one)).toBe('third');
    expect(place.stored!.token).toBe('third');
  });
});
