import { describe, expect, it } from 'vitest';
import { createTokenSource } from '../src/index.ts';

const refresh = () => 'token';
const create = createTokenSource as (options: unknown) => unknown;

describe('createTokenSource validates every option before any work', () => {
  it.each([
    [undefined, '"options" must be an object, got undefined (undefined)'],
    [{}, '"refresh" must be a function, got undefined (undefined)'],
    [{ refresh: 'x' }, '"refresh" must be a function, got "x" (string)'],
    [{ refresh, expiresAt: 5 }, '"expiresAt" must be a function, got 5 (number)'],
    [{ refresh, isFinal: true }, '"isFinal" must be a function, got true (boolean)'],
    [{ refresh, onRefresh: null }, '"onRefresh" must be a function, got null (object)'],
    [{ refresh, onSessionExpired: 1 }, '"onSessionExpired" must be a function, got 1 (number)'],
    [
      { refresh, timeout: '5s' },
      '"timeout" must be a positive number of milliseconds, got "5s" (string)',
    ],
    [{ refresh, timeout: '5' }, /^"timeout" must be .*, got "5" \(string\)$/],
    [
      { refresh, timeout: 0 },
      '"timeout" must be a positive number of milliseconds, got 0 (number)',
    ],
    [
      { refresh, timeout: -1 },
      '"timeout" must be a positive number of milliseconds, got -1 (number)',
    ],
    [
      { refresh, timeout: NaN },
      '"timeout" must be a positive number of milliseconds, got NaN (number)',
    ],
    [{ refresh, timeout: Infinity }, /^"timeout" must be .*, got Infinity \(number\)$/],
    [{ refresh, timeout: 2 ** 31 }, /^"timeout" must be .*, got 2147483648 \(number\)$/],
    [{ refresh, refreshAhead: -1 }, '"refreshAhead" must be 0 or more, got -1 (number)'],
    [{ refresh, refreshAhead: '5s' }, '"refreshAhead" must be a number, got "5s" (string)'],
    [{ refresh, retry: 3 }, '"retry" must be an object, got 3 (number)'],
    [{ refresh, retry: null }, '"retry" must be an object, got null (object)'],
    ...['retries', 'factor', 'minTimeout', 'maxTimeout', 'maxRetryTime'].flatMap((name) => [
      [{ refresh, retry: { [name]: -1 } }, `"${name}" must be 0 or more, got -1 (number)`],
      [{ refresh, retry: { [name]: NaN } }, `"${name}" must be 0 or more, got NaN (number)`],
      [{ refresh, retry: { [name]: '1' } }, `"${name}" must be a number, got "1" (string)`],
    ]),
    [{ refresh, retry: { randomize: 1 } }, '"randomize" must be a boolean, got 1 (number)'],
    [{ refresh, retry: { retires: 3 } }, '"option" must be known, got "retires" (string)'],
    [{ refresh, refreshLimit: true }, '"refreshLimit" must be an object, got true (boolean)'],
    [{ refresh, refreshLimit: 5 }, '"refreshLimit" must be an object, got 5 (number)'],
    [{ refresh, refreshLimit: { count: -1 } }, '"count" must be 0 or more, got -1 (number)'],
    [{ refresh, refreshLimit: { window: '1' } }, '"window" must be a number, got "1" (string)'],
    [{ refresh, refreshLimit: { per: 1 } }, '"option" must be known, got "per" (string)'],
    [{ refresh, timeOut: 5 }, '"option" must be known, got "timeOut" (string)'],
  ] as [unknown, string | RegExp][])('%j: %s', (options, message) => {
    const error = typeof message === 'string' ? new TypeError(message) : message;
    expect(() => create(options)).toThrow(error);
    expect(() => create(options)).toThrow(TypeError);
  });

  it('takes a frozen object, `undefined` for any option, and 0 where nothing is allowed', () => {
    const options = {
      refresh,
      token: undefined,
      expiresAt: undefined,
      refreshAhead: 0,
      timeout: undefined,
      retry: { retries: 0, minTimeout: 0, maxTimeout: 0, factor: undefined },
      isFinal: undefined,
      refreshLimit: undefined,
      onSessionExpired: undefined,
      onRefresh: undefined,
    };
    expect(() => create(Object.freeze(options))).not.toThrow();
  });

  it('takes Infinity where p-retry does', () => {
    const retry = { retries: Infinity, maxTimeout: Infinity, maxRetryTime: Infinity };
    expect(() => create({ refresh, retry })).not.toThrow();
  });

  it('reads the options once and never writes to them', async () => {
    const reads = new Map<string | symbol, number>();
    const options = new Proxy(
      { refresh, token: 'first', timeout: 5 },
      {
        get: (target, name) => {
          reads.set(name, (reads.get(name) ?? 0) + 1);
          return Reflect.get(target, name);
        },
        set: () => expect.unreachable(),
        deleteProperty: () => expect.unreachable(),
      },
    );
    const tokens = createTokenSource(options as never);
    await tokens.renew(await tokens.get());
    expect([...reads.values()].every((count) => count === 1)).toBe(true);
  });
});
