import { describe, expect, it, vi } from 'vitest';
import { gate } from '../gate.ts';
import { open, Place, renew } from './place.ts';

describe('the lock', () => {
  it('is kept until a token that is there is stored, though the refresh has timed out meanwhile', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const used: (string | undefined)[] = [];
    const sent = gate();
    const answer = gate<string>();
    const slow = gate();
    let isSlow = false;
    const one = open(
      place,
      'a',
      {
        timeout: 1_000,
        refresh: ({ token }) => {
          used.push(token);
          sent.open();
          return answer.promise;
        },
      },
      {},
      {
        async read(this: Place) {
          if (isSlow) await slow.promise;
          return Place.prototype.read.call(this);
        },
      },
    );
    await one.set('first');
    const other = open(place, 'b', {
      refresh: ({ token }) => {
        used.push(token);
        return 'b';
      },
    });
    await other.get();
    const waiting = renew(one);
    waiting.catch(() => {});
    await sent.promise;
    // A look of this realm's takes its time, as the answer comes.
    isSlow = true;
    for (const listener of place.listeners) listener();
    await vi.advanceTimersByTimeAsync(1);
    answer.open('a1');
    await vi.advanceTimersByTimeAsync(1);
    const theirs = renew(other);
    theirs.catch(() => {});
    await vi.advanceTimersByTimeAsync(1_000);
    slow.open();
    isSlow = false;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(used).toEqual(['first']);
    expect((await theirs).token).toBe('a1');
  });
});
