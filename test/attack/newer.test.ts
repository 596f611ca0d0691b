import { describe, expect, it, vi } from 'vitest';
import { createTokenSource } from '../../src/index.ts';
import { gate } from '../gate.ts';
import { errorOf, open, Place, renew } from './place.ts';

describe('a newer token', () => {
  it('is not followed by a retry with the one that it replaced', async () => {
    vi.useFakeTimers();
    const used: (string | undefined)[] = [];
    const late = gate<string>();
    const tokens = createTokenSource<string>({
      token: 'first',
      timeout: 1_000,
      retry: { retries: 3, minTimeout: 500, randomize: false },
      refresh: ({ token }) => {
        used.push(token);
        if (used.length === 1) return late.promise;
        throw Object.assign(new Error('busy'), { status: 503 });
      },
    });
    const credential = await tokens.get();
    const first = errorOf(tokens.renew(credential));
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await first).code).toBe('REFRESH_TIMEOUT');
    const second = tokens.renew(credential);
    await vi.advanceTimersByTimeAsync(10);
    late.open('second');
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await second).token).toBe('second');
    expect(used).toEqual(['first', 'first']);
  });

  it('of another realm is not followed by a retry with the one that it replaced', async () => {
    vi.useFakeTimers();
    const place = new Place();
    const used: (string | undefined)[] = [];
    const one = open(
      place,
      'a',
      {
        retry: { retries: 3, minTimeout: 500, randomize: false },
        refresh: ({ token }) => {
          used.push(token);
          throw new TypeError('fetch failed');
        },
      },
      // As in a browser without navigator.locks.
      { locks: { request: (_name, _options, callback) => callback(null) } },
    );
    await one.set('first');
    const waiting = renew(one);
    await vi.advanceTimersByTimeAsync(10);
    const other = open(
      place,
      'b',
      {},
      { locks: { request: (_n, _o, callback) => callback(null) } },
    );
    await renew(other);
    await vi.advanceTimersByTimeAsync(5_000);
    expect((await waiting).token).toBe('b1');
    expect(used).toEqual(['first']);
  });
});
