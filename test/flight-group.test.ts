import { getEventListeners } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { FlightGroup, type FlightContext, type Landing } from '../src/index.ts';
import { gate, settled } from './gate.ts';

const never = () => new Promise<never>(() => {});

describe('§3.1 One task per key', () => {
  it('gives everyone who calls while it runs the very same promise', async () => {
    const group = new FlightGroup<string, number>();
    const task = gate<number>();
    const calls = vi.fn(() => task.promise);

    const first = group.run('a', calls);
    const second = group.run('a', calls);
    expect(second).toBe(first);
    task.open(1);

    expect(await Promise.all([first, second])).toEqual([1, 1]);
    expect(calls).toHaveBeenCalledTimes(1);
  });

  it('runs the tasks of two keys side by side', async () => {
    const group = new FlightGroup<string, string>();
    const both = [group.run('a', () => 'A'), group.run('b', () => 'B')];
    expect(group.size).toBe(2);
    expect(await Promise.all(both)).toEqual(['A', 'B']);
  });

  it('compares keys as a Map does', async () => {
    const group = new FlightGroup<unknown, unknown>();
    const object = {};
    const same = [Number.NaN, -0, undefined, null, Symbol.iterator, object];
    const found = [Number.NaN, 0, undefined, null, Symbol.iterator, object];
    for (const key of same) void group.run(key, never);
    expect(found.map((key) => group.has(key))).toEqual(found.map(() => true));
    expect(group.has({})).toBe(false);
    expect(group.has('undefined')).toBe(false);
    expect(group.size).toBe(6);
  });

  it('starts the task at once, while `run` is being called', () => {
    const group = new FlightGroup<string, never>();
    const task = vi.fn(never);
    void group.run('a', task);
    expect(task).toHaveBeenCalledTimes(1);
  });
});

describe('§3.2 Not a cache', () => {
  it('has freed the key before any caller hears, on success', async () => {
    const group = new FlightGroup<string, number>();
    let runs = 0;
    const next = group.run('a', () => ++runs).then(() => group.run('a', () => ++runs));
    expect(await next).toBe(2);
  });

  it('has freed the key before any caller hears, on failure', async () => {
    const group = new FlightGroup<string, number>();
    const next = group
      .run('a', () => Promise.reject(new Error('down')))
      .catch(() => [group.has('a'), group.run('a', () => 2)] as const);
    const [had, second] = (await next) as [boolean, Promise<number>];
    expect(had).toBe(false);
    expect(await second).toBe(2);
  });

  it('has freed the key before a caller with a signal hears', async () => {
    const group = new FlightGroup<string, number>();
    const { signal } = new AbortController();
    const had = await group.run('a', () => 1, { signal }).then(() => group.has('a'));
    expect(had).toBe(false);
  });
});

describe('§3.3 Registered before started, cleared by identity', () => {
  it('is in flight while its task starts', () => {
    const group = new FlightGroup<string, unknown>();
    let found: unknown;
    void group.run('a', () => {
      found = [group.has('a'), group.size];
      return never();
    });
    expect(found).toEqual([true, 1]);
  });

  it('does not evict the flight that replaced it after `forget`', async () => {
    const group = new FlightGroup<string, string>();
    const [old, young] = [gate<string>(), gate<string>()];
    const first = group.run('a', () => old.promise);
    group.forget('a');
    const second = group.run('a', () => young.promise);
    expect(second).not.toBe(first);

    old.open('old');
    expect(await first).toBe('old');
    expect(group.has('a')).toBe(true);
    expect(group.run('a', () => 'third')).toBe(second);
    young.open('young');
    expect(await second).toBe('young');
    expect(group.size).toBe(0);
  });

  it('does not evict its replacement when its last caller leaves either', async () => {
    const group = new FlightGroup<string, unknown>();
    const caller = new AbortController();
    const heeds = ({ signal }: FlightContext) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const first = group.run('a', heeds, { signal: caller.signal });
    group.forget('a');
    void group.run('a', never);
    caller.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    await settled();
    expect(group.has('a')).toBe(true);
  });

  it('forgets every key with `clear`, and the flights go on', async () => {
    const group = new FlightGroup<string, string>();
    const [a, b] = [gate<string>(), gate<string>()];
    const flights = [group.run('a', () => a.promise), group.run('b', () => b.promise)];
    group.clear();
    expect(group.size).toBe(0);
    a.open('A');
    b.open('B');
    expect(await Promise.all(flights)).toEqual(['A', 'B']);
  });
});

describe('§3.5 A throw is a rejection', () => {
  it("rejects with the task's own error when it throws, and frees the key", async () => {
    const group = new FlightGroup<string, never>();
    const error = new Error('own');
    const failing = group.run('a', () => {
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    expect(group.size).toBe(0);
  });

  it('passes on a rejection, whatever the value is', async () => {
    const group = new FlightGroup<string, never>();
    // oxlint-disable-next-line prefer-promise-reject-errors
    await expect(group.run('a', () => Promise.reject(undefined))).rejects.toBe(undefined);
    const { signal } = new AbortController();
    // oxlint-disable-next-line prefer-promise-reject-errors
    await expect(group.run('a', () => Promise.reject('text'), { signal })).rejects.toBe('text');
  });

  it('awaits a thenable, and hears it only once', async () => {
    const group = new FlightGroup<string, number>();
    const hostile = {
      // oxlint-disable-next-line no-thenable
      then(resolve: (value: number) => void, reject: (error: unknown) => void) {
        resolve(1);
        reject(new Error('too late'));
        throw new Error('far too late');
      },
    } as PromiseLike<number>;
    expect(await group.run('a', () => hostile)).toBe(1);
    expect(group.size).toBe(0);
  });

  it('rejects when the task is no function, and frees the key', async () => {
    const group = new FlightGroup<string, never>();
    await expect(group.run('a', 'task' as never)).rejects.toBeInstanceOf(TypeError);
    expect(group.size).toBe(0);
  });
});

describe("§3.6 A caller's abort is the caller's alone", () => {
  it('rejects that caller at once with the reason, and nobody else', async () => {
    const group = new FlightGroup<string, string>();
    const task = gate<string>();
    const leader = new AbortController();
    const first = group.run('a', () => task.promise, { signal: leader.signal });
    const second = group.run('a', () => task.promise);
    const third = group.run('a', () => task.promise, { signal: new AbortController().signal });

    const reason = { why: 'closed' };
    leader.abort(reason);
    await expect(first).rejects.toBe(reason);
    task.open('done');
    expect(await Promise.all([second, third])).toEqual(['done', 'done']);
  });

  it('starts nothing and joins nothing with a signal that has aborted', async () => {
    const group = new FlightGroup<string, string>();
    const task = vi.fn(() => 'done');
    const signal = AbortSignal.abort('gone');
    await expect(group.run('a', task, { signal })).rejects.toBe('gone');
    expect(task).not.toHaveBeenCalled();
    expect(group.size).toBe(0);

    const other = group.run('a', () => 'other');
    await expect(group.run('a', task, { signal })).rejects.toBe('gone');
    expect(await other).toBe('other');
  });

  it('aborts the flight when everyone has left a task that has read its signal', async () => {
    const group = new FlightGroup<string, string>();
    const callers = [new AbortController(), new AbortController()];
    let inner: AbortSignal | undefined;
    const task = ({ signal }: FlightContext) => {
      inner = signal;
      return never();
    };
    const flights = callers.map(({ signal }) => group.run('a', task, { signal }));
    const outcomes = Promise.allSettled(flights);

    callers[0]!.abort('first');
    expect(inner!.aborted).toBe(false);
    expect(group.has('a')).toBe(true);
    callers[1]!.abort('last');
    expect(inner!.aborted).toBe(true);
    expect(inner!.reason).toBe('last');
    expect(await outcomes).toMatchObject([{ reason: 'first' }, { reason: 'last' }]);
  });

  it('frees the key before it aborts, so that the next caller starts fresh', async () => {
    const group = new FlightGroup<string, string>();
    const caller = new AbortController();
    let next: Promise<string> | undefined;
    const dying = group.run(
      'a',
      ({ signal }) => {
        signal.addEventListener('abort', () => {
          next = group.run('a', () => 'fresh');
        });
        return never();
      },
      { signal: caller.signal },
    );
    caller.abort();
    await expect(dying).rejects.toThrow('aborted');
    expect(await next).toBe('fresh');
  });

  it('lets a task run on that has not read its signal, and lets others join it', async () => {
    const group = new FlightGroup<string, string>();
    const task = gate<string>();
    const caller = new AbortController();
    const first = group.run('a', () => task.promise, { signal: caller.signal });
    caller.abort('left');
    await expect(first).rejects.toBe('left');

    const second = group.run('a', () => 'another');
    task.open('the first');
    expect(await second).toBe('the first');
  });

  it('never aborts while a caller without a signal waits', async () => {
    const group = new FlightGroup<string, string>();
    const task = gate<string>();
    const caller = new AbortController();
    let inner: AbortSignal | undefined;
    const stays = group.run('a', ({ signal }) => {
      inner = signal;
      return task.promise;
    });
    const leaves = group.run('a', never, { signal: caller.signal });
    caller.abort('left');
    await expect(leaves).rejects.toBe('left');
    expect(inner!.aborted).toBe(false);
    task.open('done');
    expect(await stays).toBe('done');
  });

  it('creates no signal unless the task reads it, and then one', async () => {
    const group = new FlightGroup<string, boolean>();
    const created = vi.spyOn(globalThis, 'AbortController');
    await group.run('a', () => true);
    expect(created).not.toHaveBeenCalled();
    expect(await group.run('a', (context) => context.signal === context.signal)).toBe(true);
    expect(created).toHaveBeenCalledTimes(1);
    created.mockRestore();
  });

  it('hears a signal that the task aborts while it starts', async () => {
    const group = new FlightGroup<string, string>();
    const caller = new AbortController();
    const run = group.run(
      'a',
      () => {
        caller.abort('by the task');
        return 'done';
      },
      { signal: caller.signal },
    );
    await expect(run).rejects.toBe('by the task');
  });

  it('rejects when `signal` is no AbortSignal', async () => {
    const group = new FlightGroup<string, string>();
    const signal = new AbortController() as never;
    await expect(group.run('a', () => 'done', { signal })).rejects.toBeInstanceOf(TypeError);
    expect(await group.run('a', () => 'done', { signal: null })).toBe('done');
  });
});

describe('§3.7 Nothing retained', () => {
  it('leaves no listener on a long-lived signal', async () => {
    const group = new FlightGroup<string, string>();
    const { signal } = new AbortController();
    const tasks = [gate<string>(), gate<string>()];
    const flights = tasks.map(({ promise }, key) => group.run(`${key}`, () => promise, { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(2);
    tasks[0]!.open('done');
    tasks[1]!.fail(new Error('down'));
    await Promise.allSettled(flights);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(group.size).toBe(0);
  });
});

describe('§3.8 Self-joining is an error', () => {
  it('gives a TypeError to a task that asks for its own key while it starts', async () => {
    const group = new FlightGroup<string, unknown>();
    const self = (): Promise<unknown> => group.run('a', self);
    await expect(group.run('a', self)).rejects.toThrow(new TypeError('task awaits itself'));
    expect(group.size).toBe(0);
  });

  it('lets a task ask for another key', async () => {
    const group = new FlightGroup<string, string>();
    expect(await group.run('a', () => group.run('b', () => 'B'))).toBe('B');
  });
});

describe('§3.9 onLand', () => {
  it('is told of every flight once, when the key is free and before anyone hears', async () => {
    const landings: (Landing<string> & { free: boolean })[] = [];
    const group: FlightGroup<string, string> = new FlightGroup({
      onLand: (landing) => landings.push({ ...landing, free: !group.has('a') }),
    });
    const task = gate<string>();
    const heard = [1, 2, 3].map(() =>
      group.run('a', () => task.promise).then(() => landings.length),
    );
    task.open('done');
    expect(await Promise.all(heard)).toEqual([1, 1, 1]);
    await group.run('a', () => Promise.reject(new Error('down'))).catch(() => {});

    expect(landings).toEqual([
      { key: 'a', callers: 3, duration: expect.any(Number), status: 'fulfilled', free: true },
      { key: 'a', callers: 1, duration: expect.any(Number), status: 'rejected', free: true },
    ]);
  });

  it('is told how long the task took, in milliseconds', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    vi.advanceTimersByTime(1_000);
    const onLand = vi.fn();
    const task = gate<string>();
    const landing = new FlightGroup<string, string>({ onLand }).run('a', () => task.promise);
    vi.advanceTimersByTime(250);
    task.open('done');
    await landing;
    expect(onLand).toHaveBeenCalledWith(expect.objectContaining({ duration: 250 }));
  });

  it('counts the callers who get the outcome, not those who left', async () => {
    const onLand = vi.fn();
    const group = new FlightGroup<string, string>({ onLand });
    const task = gate<string>();
    const caller = new AbortController();
    const left = group.run('a', () => task.promise, { signal: caller.signal });
    caller.abort('left');
    await expect(left).rejects.toBe('left');
    task.open('done');
    await settled();
    expect(onLand).toHaveBeenCalledWith(expect.objectContaining({ callers: 0 }));
  });

  it('tells of an aborted flight when it has landed, not when its key is freed', async () => {
    const onLand = vi.fn();
    const group = new FlightGroup<string, string>({ onLand });
    const task = gate<string>();
    const caller = new AbortController();
    const heeding = ({ signal }: FlightContext) => signal && task.promise;
    const left = group.run('a', heeding, { signal: caller.signal });
    caller.abort('left');
    await expect(left).rejects.toBe('left');
    expect([group.has('a'), onLand.mock.calls]).toEqual([false, []]);
    task.fail('aborted');
    await settled();
    expect(onLand.mock.calls).toEqual([
      [{ key: 'a', callers: 0, status: 'rejected', duration: expect.any(Number) }],
    ]);
  });

  it('is never awaited, and what it throws or rejects with is ignored', async () => {
    for (const onLand of [
      () => never(),
      () => {
        throw new Error('hook');
      },
      () => Promise.reject(new Error('hook')),
    ]) {
      const group = new FlightGroup<string, string>({ onLand });
      expect(await group.run('a', () => 'done')).toBe('done');
    }
    await settled();
  });

  it('must be a function', () => {
    expect(() => new FlightGroup({ onLand: 'x' as never })).toThrow(
      new TypeError('"onLand" must be a function, got "x" (string)'),
    );
    expect(() => new FlightGroup({ onLand: undefined })).not.toThrow();
  });
});
