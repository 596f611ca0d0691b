import { describe, expect, it, vi } from 'vitest';
import { gate, settled } from '../gate.ts';
import { errorOf, open, Place, renew, tokenOf } from './place.ts';

describe('decode', () => {
  it('that fails for the token of a sign-in elsewhere does not let a refresh overwrite it', async () => {
    const place = new Place();
    const sent = gate();
    const answer = gate<string>();
    let fails = false;
    const one = open(
      place,
      'a',
      {
        refresh: () => {
          sent.open();
          return answer.promise;
        },
      },
      {
        encode: String,
        decode: (text) => {
          if (fails) throw new Error('no key for now');
          return text;
        },
      },
    );
    await one.set('first');
    await one.get();
    const waiting = renew(one);
    waiting.catch(() => {});
    await sent.promise;
    fails = true;
    await open(place, 'b').set('second user');
    await settled();
    answer.open('first user, refreshed');
    await waiting.catch(() => {});
    await settled();
    expect(place.stored!.token).toBe('second user');
  });

  it('that is slow does not bring a session back that was signed out meanwhile', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const slow = gate();
    const other = open(place, 'b');
    await other.set('first');
    const one = open(
      place,
      'a',
      {},
      {
        encode: String,
        decode: async (text) => {
          if (text === 'b1') await slow.promise;
          return text;
        },
      },
    );
    await one.get();
    await renew(other);
    await vi.advanceTimersByTimeAsync(5_000);
    await other.clear();
    await vi.advanceTimersByTimeAsync(10);
    expect((await errorOf(one.get())).code).toBe('SIGNED_OUT');
    slow.open();
    await vi.advanceTimersByTimeAsync(10);
    expect((await errorOf(one.get())).code).toBe('SIGNED_OUT');
  });

  it('that is slow does not bring back a token that has been replaced', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const slow = gate();
    const other = open(place, 'b');
    await other.set('first');
    const one = open(
      place,
      'a',
      {},
      {
        encode: String,
        decode: async (text) => {
          if (text === 'b1') await slow.promise;
          return text;
        },
      },
    );
    await one.get();
    await renew(other);
    await vi.advanceTimersByTimeAsync(5_000);
    await renew(other);
    await vi.advanceTimersByTimeAsync(10);
    expect(await tokenOf(one)).toBe('b2');
    slow.open();
    await vi.advanceTimersByTimeAsync(10);
    expect(await tokenOf(one)).toBe('b2');
  });
});
