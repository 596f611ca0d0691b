import { describe, expect, it, vi } from 'vitest';
import { singleFlight } from '../src/index.ts';
import { gate } from './gate.ts';

describe('singleFlight without a key', () => {
  it('§3.1 gives concurrent callers the very same promise, of one run', async () => {
    const task = gate<string>();
    const fn = vi.fn(() => task.promise);
    const refresh = singleFlight(fn);
    const first = refresh();
    expect(refresh()).toBe(first);
    expect(refresh.inFlight()).toBe(true);
    task.open('token');
    expect(await first).toBe('token');
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it('§3.2 runs again once it has settled, even in the `then` of a caller', async () => {
    let runs = 0;
    const next = singleFlight(() => ++runs);
    expect(await next().then(() => [next.inFlight(), next()] as const)).toEqual([
      false,
      expect.any(Promise),
    ]);
    expect(await next()).toBe(3);
  });

  it('§3.3 is not cleared by an older flight after `forget`', async () => {
    const gates = [gate<string>(), gate<string>()];
    let runs = 0;
    const load = singleFlight(() => gates[runs++]!.promise);
    const old = load();
    load.forget();
    expect(load.inFlight()).toBe(false);
    const young = load();
    gates[0]!.open('old');
    expect(await old).toBe('old');
    expect(load.inFlight()).toBe(true);
    expect(load()).toBe(young);
    gates[1]!.open('young');
    expect(await young).toBe('young');
    expect(load.inFlight()).toBe(false);
  });

  it('§3.4 never forwards arguments', async () => {
    const fn = vi.fn((...args: unknown[]) => args);
    const wrapped = singleFlight(fn as () => unknown[]);
    const onClick: (event: unknown) => Promise<unknown[]> = wrapped;
    expect(await onClick({ type: 'click' })).toEqual([]);
    const withDefault = singleFlight((value = 'default') => value, {} as never);
    expect(await (withDefault as (value: string) => Promise<string>)('mine')).toBe('default');
  });

  it('§3.4 refuses a function with parameters, and says what to write', () => {
    expect(() => singleFlight(((id: string) => id) as never)).toThrow(
      new TypeError('"key" must be a function of the arguments, got undefined (undefined)'),
    );
  });

  it('§3.5 rejects when the function throws, with its own error', async () => {
    const error = new Error('own');
    const failing = singleFlight((): string => {
      throw error;
    });
    await expect(failing()).rejects.toBe(error);
    expect(failing.inFlight()).toBe(false);
  });

  it('§3.8 gives a TypeError to a function that calls its own wrapper while it starts', async () => {
    const self = singleFlight((): Promise<unknown> => self());
    await expect(self()).rejects.toBeInstanceOf(TypeError);
  });

  it('§3.9 tells onLand', async () => {
    const onLand = vi.fn();
    await singleFlight(() => 1, { onLand })();
    expect(onLand).toHaveBeenCalledWith({
      key: undefined,
      callers: 1,
      duration: expect.any(Number),
      status: 'fulfilled',
    });
  });
});

describe('singleFlight with a key', () => {
  it('shares a flight among calls of the same key, and no other', async () => {
    const fn = vi.fn(async (id: string, suffix: string) => id + suffix);
    const load = singleFlight(fn, { key: (id) => id });
    const calls = [load('a', '1'), load('a', '2'), load('b', '3')];
    expect(load.inFlight('a', 'any')).toBe(true);
    expect(await Promise.all(calls)).toEqual(['a1', 'a1', 'b3']);
    expect(fn).toHaveBeenCalledTimes(2);
    expect(load.inFlight('a', '1')).toBe(false);
  });

  it('takes the key of `inFlight` and `forget` from the arguments of a call', async () => {
    const load = singleFlight(async ({ id }: { id: number }) => id, { key: ({ id }) => id });
    const first = load({ id: 1 });
    expect(load.inFlight({ id: 1 })).toBe(true);
    load.forget({ id: 1 });
    expect(load.inFlight({ id: 1 })).toBe(false);
    expect(load({ id: 1 })).not.toBe(first);
    expect(await first).toBe(1);
  });

  it('§3.4 passes all arguments through, and not the context of the flight', async () => {
    const fn = vi.fn((...args: number[]) => args);
    const sum = singleFlight(fn, { key: (...args) => args.join() });
    expect(await sum(1, 2, 3)).toEqual([1, 2, 3]);
  });

  it('throws what `key` throws, and starts nothing', () => {
    const fn = vi.fn((user: { id: string }) => user.id);
    const load = singleFlight(fn, { key: (user) => user.id });
    expect(() => load(undefined as never)).toThrow(TypeError);
    expect(fn).not.toHaveBeenCalled();
  });

  it('leaves the key of a function without parameters to the caller', async () => {
    let tenant = 'a';
    const load = singleFlight(async () => tenant, { key: () => tenant });
    const first = load();
    tenant = 'b';
    expect(await Promise.all([first, load()])).toEqual(['a', 'b']);
  });
});

describe('§3.4 `this` is never forwarded', () => {
  it('fails loudly on a prototype instead of letting instances share', async () => {
    class User {
      declare load: () => Promise<string>;
      name = 'Ada';
    }
    User.prototype.load = singleFlight(function load(this: User) {
      return this.name;
    } as () => string);
    await expect(new User().load()).rejects.toBeInstanceOf(TypeError);
  });

  it('works as a class field', async () => {
    class User {
      readonly name: string;
      constructor(name: string) {
        this.name = name;
      }
      readonly load = singleFlight(() => this.name);
    }
    const [ada, bob] = [new User('Ada'), new User('Bob')];
    expect(await Promise.all([ada.load(), bob.load()])).toEqual(['Ada', 'Bob']);
  });
});

describe('singleFlight and bad input', () => {
  it.each([
    [[undefined], '"fn" must be a function, got undefined (undefined)'],
    [[5], '"fn" must be a function, got 5 (number)'],
    [[() => 1, { key: 'id' }], '"key" must be a function of the arguments, got "id" (string)'],
    [[() => 1, { onLand: 1 }], '"onLand" must be a function, got 1 (number)'],
  ])('throws a TypeError when it is wrapped: %j', (args, message) => {
    expect(() => (singleFlight as (...args: unknown[]) => unknown)(...args)).toThrow(
      new TypeError(message),
    );
  });
});
