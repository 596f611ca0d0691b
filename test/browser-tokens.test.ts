import { afterEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource } from '../src/index.ts';
import { browserTokens } from '../src/realms/browser.ts';
import { runChild } from './child.ts';

// What it does in a browser is tested in browsers: `test/browser`.

afterEach(() => {
  vi.unstubAllGlobals();
});

const create = browserTokens as (options: unknown) => unknown;

describe('browserTokens', () => {
  it.each([
    [{}, '"name" must be a string that is not empty, got undefined (undefined)'],
    [{ name: '' }, '"name" must be a string that is not empty, got "" (string)'],
    [{ name: 5 }, '"name" must be a string that is not empty, got 5 (number)'],
    [
      { name: 'a', locks: {} },
      '"locks" must be locks such as navigator.locks, got [object Object] (object)',
    ],
    [{ name: 'a', encode: String }, '"decode" must be a function, got undefined (undefined)'],
    [{ name: 'a', decode: String }, '"encode" must be a function, got undefined (undefined)'],
  ])('refuses %j: %s', (options, message) => {
    expect(() => create(options)).toThrow(new TypeError(message));
  });
});

describe('Where there is no IndexedDB, as on a server, browserTokens', () => {
  it('works alone, and touches neither locks nor channels, which belong to all users there', async () => {
    const Channel = vi.fn();
    vi.stubGlobal('BroadcastChannel', Channel);
    vi.stubGlobal('navigator', { locks: { request: () => expect.unreachable() } });
    let refreshes = 0;
    const open = () =>
      createTokenSource({
        shared: browserTokens<string>({ name: 'session' }),
        refresh: () => `token ${++refreshes}`,
      });
    const [one, other] = [open(), open()];
    await one.set('of one user');
    expect((await one.get()).token).toBe('of one user');
    expect((await other.get()).token).toBe('token 1');
    const newer = await Promise.all(
      Array.from({ length: 5 }, async () => one.renew(await one.get())),
    );
    expect(newer.map(({ token }) => token)).toEqual(Array(5).fill('token 2'));
    await one.clear();
    await expect(one.get()).rejects.toMatchObject({ code: 'SIGNED_OUT' });
    expect((await other.get()).token).toBe('token 1');
    expect([one.coordination, other.coordination]).toEqual(['none', 'none']);
    expect(Channel).not.toHaveBeenCalled();
  });

  it('lets the process end', async () => {
    const code = `
      import { createTokenSource } from './dist/index.js';
      import { browserTokens } from './dist/browser.js';
      const tokens = createTokenSource({ shared: browserTokens({ name: 'a' }), refresh: () => 'token' });
      console.log((await tokens.get()).token, tokens.coordination);
    `;
    expect(await runChild(code)).toBe('token none\n');
  });

  it('has no need of what a browser has when it is imported', async () => {
    const names = ['indexedDB', 'navigator', 'BroadcastChannel', 'addEventListener'];
    const before = names.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
    for (const name of names) {
      const get = () => expect.unreachable();
      Object.defineProperty(globalThis, name, { configurable: true, get });
    }
    try {
      vi.resetModules();
      expect(Object.keys(await import('../src/realms/browser.ts'))).toEqual(['browserTokens']);
    } finally {
      for (const [n, name] of names.entries()) {
        Reflect.deleteProperty(globalThis, name);
        if (before[n]) Object.defineProperty(globalThis, name, before[n]);
      }
    }
  });
});
