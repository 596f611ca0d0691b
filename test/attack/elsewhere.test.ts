import { describe, expect, it, vi } from 'vitest';
import { settled } from '../gate.ts';
import { errorOf, open, Place } from './place.ts';

describe('a sign-in elsewhere', () => {
  it('ends the session here though `expiresAt` fails for its token', async () => {
    const place = new Place();
    const expired = vi.fn();
    const one = open(place, 'a', {
      onSessionExpired: expired,
      expiresAt: (token) => {
        if (token === 'second user') throw new Error('not a JWT');
        return undefined;
      },
    });
    await one.set('first');
    const credential = await one.get();
    await open(place, 'b').set('second user');
    await settled();
    expect(await errorOf(one.renew(credential))).toMatchObject({
      code: 'SESSION_REPLACED',
    });
    expect(place.stored!.token).toBe('second user');
  });
});
