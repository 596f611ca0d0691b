import { getEventListeners } from 'node:events';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { FlightGroup, singleFlight, type FlightContext } from '../../src/index.ts';
import { settled } from '../gate.ts';
import { OldSignal } from './old-signal.ts';

const never = () => new Promise<never>(() => {});

/** A task's own kind of promise, by what its `then` does. */
const thenable = (
  then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) => void,
) => ({ then }) as PromiseLike<unknown>;

/** How a group and a source look when a flight is over: nothing is left of it. */
async function outcomeOf(task: () => unknown) {
  const group = new FlightGroup<string, unknown>();
  const outcome = await group.run('a', task as () => never).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  await settled();
  expect([group.size, group.has('a')]).toEqual([0, false]);
  expect(await group.run('a', () => 'next')).toBe('next');
  return outcome;
}

describe('A task that returns a hostile thenable', () => {
  const [first, second] = [new Error('first'), new Error('second')];

  it.each<[string, () => unknown, object]>([
    [
      'resolves, rejects and throws',
      () =>
        thenable((resolve, reject) => {
          resolve(1);
          reject(first);
          throw second;
        }),
      { value: 1 },
    ],
    [
      'rejects, resolves and throws',
      () =>
        thenable((resolve, reject) => {
          reject(first);
          resolve(1);
          throw second;
        }),
      { error: first },
    ],
    [
      'throws before it calls anything',
      () =>
        thenable(() => {
          throw first;
        }),
      { error: first },
    ],
    [
      'throws when `then` is read',
      () =>
        Object.defineProperty({}, 'then', {
          get() {
            throw first;
          },
        }),
      { error: first },
    ],
    [
      'resolves with another that rejects',
      () => thenable((resolve) => resolve(thenable((_, reject) => reject(first)))),
      { error: first },
    ],
    [
      'resolves later, twice',
      () => thenable((resolve) => [2, 3].forEach((n) => setImmediate(resolve, n))),
      { value: 2 },
    ],
    ['has a `then` that is no function', () => ({ then: 5 }), { value: { then: 5 } }],
    ['is a promise of another realm', () => runInNewContext('Promise.resolve(4)'), { value: 4 }],
  ])('that %s: everyone gets its first word', async (_, task, expected) => {
    expect(await outcomeOf(task)).toEqual(expected);
  });

  it('that calls `then` anew at each read is asked once', async () => {
    let asked = 0;
    const task = () =>
      thenable((resolve) => {
        asked++;
        resolve('done');
      });
    const group = new FlightGroup<string, unknown>();
    const { signal } = new AbortController();
    const callers = [group.run('a', task), group.run('a', task), group.run('a', task, { signal })];
    expect(await Promise.all(callers)).toEqual(['done', 'done', 'done']);
    expect(asked).toBe(1);
  });

  it.each([
    ['a thenable', () => thenable(() => {})],
    ['a promise of a class of its own', () => new (class Own<T> extends Promise<T> {})(() => {})],
  ])('that is %s and never calls back: each caller leaves on its own signal', async (_, task) => {
    const group = new FlightGroup<string, unknown>();
    const caller = new AbortController();
    const leaving = group.run('a', task, { signal: caller.signal });
    const staying = vi.fn();
    void group.run('a', never).then(staying, staying);
    caller.abort('left');
    await expect(leaving).rejects.toBe('left');
    expect(group.has('a')).toBe(true);
    group.forget('a');
    expect(await group.run('a', () => 'next')).toBe('next');
    expect(staying).not.toHaveBeenCalled();
  });
});

describe('A task that throws', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a symbol', Symbol('x')],
    ['a frozen error', Object.freeze(new Error('frozen'))],
    ['a revoked proxy', proxy],
    ['a promise that rejects', { value: 1 }],
  ])('%s: that very value reaches every caller', async (_, thrown) => {
    const group = new FlightGroup<string, never>();
    const task = () => {
      // oxlint-disable-next-line no-throw-literal
      throw thrown;
    };
    const { signal } = new AbortController();
    const callers = [group.run('a', task), group.run('a', task, { signal })];
    for (const caller of callers) {
      const caught = await caller.then(expect.unreachable, (error: unknown) => ({ error }));
      expect(Object.is(caught.error, thrown)).toBe(true);
    }
  });
});

describe('A key', () => {
  it('may be anything: it shares with its equal, as in a Map, and with nothing else', async () => {
    const target = {};
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const keys: [unknown, unknown][] = [
      [undefined, undefined],
      [null, null],
      ['', ''],
      ['NaN', 'NaN'],
      [Number.NaN, Number.NaN],
      [-0, 0],
      [1n, 1n],
      [true, true],
      [Symbol.for('a'), Symbol.for('a')],
      [target, target],
      [never, never],
      [globalThis, globalThis],
      [proxy, proxy],
      ['__proto__', '__proto__'],
      ['constructor', 'constructor'],
    ];
    const onLand = vi.fn();
    const group = new FlightGroup<unknown, number>({ onLand });
    const flights = keys.map(([key], n) => group.run(key, async () => n));
    expect(group.size).toBe(keys.length);
    expect(keys.map(([, equal]) => group.run(equal, never))).toEqual(flights);
    for (const other of [{}, Symbol('a'), 1, '0', 'undefined'])
      expect(group.has(other)).toBe(false);
    expect(await Promise.all(flights)).toEqual(keys.map((_, n) => n));
    expect(group.size).toBe(0);
    const told = onLand.mock.calls.map(([landing]) => landing.key);
    // One by one, since a proxy that is revoked cannot be compared in any other way.
    expect(told.every((key, n) => Object.is(key, keys[n]![0]))).toBe(true);
  });

  it('of singleFlight may be a promise or a fresh object: then nobody shares', async () => {
    const fn = vi.fn(async (id: string) => id);
    const keys: ((id: string) => unknown)[] = [async (id) => id, (id) => ({ id })];
    for (const key of keys) {
      const load = singleFlight(fn, { key });
      expect(await Promise.all([load('a'), load('a')])).toEqual(['a', 'a']);
    }
    expect(fn).toHaveBeenCalledTimes(4);
  });
});

describe("A caller's signal", () => {
  it.each([undefined, null, 0, '', false, Symbol('x'), { own: true }])(
    'aborted with %o rejects with its own reason',
    async (reason) => {
      const caller = new AbortController();
      const group = new FlightGroup<string, never>();
      const run = group.run('a', never, { signal: caller.signal });
      caller.abort(reason);
      const error = await run.then(expect.unreachable, (caught: unknown) => ({ caught }));
      expect(Object.is(error.caught, caller.signal.reason)).toBe(true);
      const again = group.run('a', never, { signal: caller.signal });
      await again.then(expect.unreachable, (caught: unknown) => {
        expect(Object.is(caught, caller.signal.reason)).toBe(true);
      });
    },
  );

  it('whose other listener throws rejects all the same, and aborts the flight', async () => {
    // Of an old polyfill, which calls its listeners one after the other and lets them throw.
    const caller = new OldSignal();
    const group = new FlightGroup<string, never>();
    let inner: AbortSignal | undefined;
    const run = group.run(
      'a',
      ({ signal }: FlightContext) => {
        inner = signal;
        return never();
      },
      { signal: caller as never },
    );
    caller.addEventListener('abort', () => {
      throw new Error('listener');
    });
    expect(() => caller.abort()).toThrow('listener');
    // It has no reason, so there is none to give.
    await expect(run).rejects.toBe(undefined);
    expect(inner!.aborted).toBe(true);
    expect(group.size).toBe(0);
  });

  it('of an old polyfill gathers no listeners, and is heard when it has aborted already', async () => {
    const caller = new OldSignal();
    const group = new FlightGroup<string, string>();
    expect(await group.run('a', () => 'done', { signal: caller as never })).toBe('done');
    expect(caller.listeners.size).toBe(0);
    caller.abort();
    const task = vi.fn(() => 'done');
    await expect(group.run('a', task, { signal: caller as never })).rejects.toBe(undefined);
    expect(task).not.toHaveBeenCalled();
  });

  it('of another realm is heard', async () => {
    const { signal, abort } = runInNewContext(
      `const heard = new Set();
       const signal = {
         aborted: false,
         addEventListener: (_, listener) => heard.add(listener),
         removeEventListener: (_, listener) => heard.delete(listener),
       };
       const abort = () => {
         signal.aborted = true;
         signal.reason = new Error('of another realm');
         for (const listener of heard) listener({ type: 'abort' });
       };
       ({ signal, abort })`,
    ) as { signal: AbortSignal; abort: () => void };
    const group = new FlightGroup<string, never>();
    const run = group.run('a', never, { signal });
    abort();
    await expect(run).rejects.toBe(signal.reason);
  });

  it.each<[string, unknown]>([
    ['a controller', new AbortController()],
    ['an object', {}],
    ['a string', 'now'],
    ['a number', 5],
    ['true', true],
    ['a function', () => {}],
  ])('that is %s is a TypeError for that caller alone', async (_, signal) => {
    const group = new FlightGroup<string, string>();
    const task = async () => {
      await settled();
      return 'done';
    };
    const other = group.run('a', task);
    const wrong = group.run('a', task, { signal: signal as AbortSignal });
    await expect(wrong).rejects.toBeInstanceOf(TypeError);
    expect(await other).toBe('done');
    await settled();
    expect(group.size).toBe(0);
  });

  it('that the task aborts in the middle, and many more times, is heard once', async () => {
    const caller = new AbortController();
    const onLand = vi.fn();
    const group = new FlightGroup<string, string>({ onLand });
    const run = group.run(
      'a',
      async () => {
        await settled();
        caller.abort('first');
        caller.abort('second');
        return 'done';
      },
      { signal: caller.signal },
    );
    await expect(run).rejects.toBe('first');
    await settled();
    expect(onLand.mock.calls).toMatchObject([[{ callers: 0, status: 'fulfilled' }]]);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });
});

describe('What is told of a flight', () => {
  it('may call into the group: run, forget and clear', async () => {
    const seen: unknown[] = [];
    const group: FlightGroup<string, number> = new FlightGroup({
      onLand: ({ key }) => {
        if (seen.push(key) > 3) return;
        group.forget(key);
        group.clear();
        void group.run(key, () => seen.length);
      },
    });
    expect(await group.run('a', () => 0)).toBe(0);
    await settled();
    expect(seen).toEqual(['a', 'a', 'a', 'a']);
    expect(group.size).toBe(0);
  });

  it.each<[string, () => unknown]>([
    ['calls both', () => thenable((resolve, reject) => [resolve(1), reject(new Error('hook'))])],
    ['rejects', () => thenable((_, reject) => reject(new Error('hook')))],
    ['never calls', () => thenable(() => {})],
    [
      'throws when it is read',
      () => Object.defineProperty({}, 'then', { get: expect.unreachable }),
    ],
  ])(
    'may answer with a thenable that %s: nobody waits, and nothing is unhandled',
    async (_, onLand) => {
      const group = new FlightGroup<string, string>({ onLand });
      expect(await group.run('a', () => 'done')).toBe('done');
      await settled();
    },
  );

  it('may leave its own flight by an abort, too late to matter', async () => {
    const caller = new AbortController();
    const group = new FlightGroup<string, string>({ onLand: () => caller.abort('late') });
    // The outcome is there, but this caller has not heard it yet: it left first.
    await expect(group.run('a', () => 'done', { signal: caller.signal })).rejects.toBe('late');
    expect(group.size).toBe(0);
  });
});
