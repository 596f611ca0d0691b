import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlightGroup, type FlightContext } from '../../src/index.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

type Action =
  | {
      kind: 'run';
      key: number;
      /** Whose signal the caller brings: its own, one that all share, or none. */
      signal: 'own' | 'shared' | 'none';
      /** When the task reads its own signal. */
      reads: 'never' | 'first' | 'late';
      outcome: 'value' | 'error' | 'throw';
    }
  | { kind: 'abort'; caller: number }
  | { kind: 'forget'; key: number }
  | { kind: 'clear' };

const key = fc.nat(2);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      key,
      signal: fc.constantFrom('own' as const, 'own' as const, 'shared' as const, 'none' as const),
      reads: fc.constantFrom('never' as const, 'first' as const, 'late' as const),
      outcome: fc.constantFrom('value' as const, 'error' as const, 'throw' as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('abort' as const), caller: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);

interface Task {
  id: number;
  value: string;
  error: Error;
  fails: boolean;
  settled: boolean;
  /** Someone has heard its outcome: from here on nobody may join it. */
  heard: boolean;
  signal: AbortSignal | undefined;
  callers: number;
}

interface Caller {
  controller: AbortController | undefined;
  task: Task;
  aborted: boolean;
  outcomes: unknown[];
}

/** Does what the actions say in the scheduler's order, and checks every promise on the way. */
class World {
  readonly shared = new AbortController();
  readonly group = new FlightGroup<number, string>();
  readonly callers: Caller[] = [];
  /** The task that a call for the key must join, as far as anyone can tell from outside. */
  readonly #current = new Map<number, Task>();
  readonly #scheduler: fc.Scheduler;
  #tasks = 0;

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  perform(what: Action): void {
    if (what.kind === 'forget') {
      this.group.forget(what.key);
      this.#current.delete(what.key);
    } else if (what.kind === 'clear') {
      this.group.clear();
      this.#current.clear();
    } else if (what.kind === 'abort') {
      this.#abort(this.callers[what.caller]);
    } else {
      this.#run(what);
    }
  }

  #run({ key, signal, reads, outcome }: Action & { kind: 'run' }): void {
    const before = this.#current.get(key);
    let started: Task | undefined;
    const task = (context: FlightContext) => {
      started = this.#start(key, outcome !== 'value');
      if (reads === 'first') started.signal = context.signal;
      if (outcome === 'throw') {
        started.settled = true;
        throw started.error;
      }
      return this.#settle(started, reads === 'late' ? context : undefined);
    };
    const controller = signal === 'own' ? new AbortController() : undefined;
    const callerSignal = signal === 'shared' ? this.shared.signal : controller?.signal;
    const promise = this.group.run(key, task, { signal: callerSignal });

    // (a) A task starts when there is none to join, and never beside one.
    if (before && !before.settled) expect(started).toBe(undefined);
    if (!before || before.heard) expect(started).not.toBe(undefined);
    const joined = started ?? before!;
    joined.callers++;
    const caller: Caller = { controller, task: joined, aborted: false, outcomes: [] };
    this.callers.push(caller);
    const hear = (heard: unknown) => {
      caller.outcomes.push(heard);
      if (!caller.aborted) joined.heard = true;
    };
    promise.then(hear, hear);
  }

  #start(key: number, fails: boolean): Task {
    const id = this.#tasks++;
    const task: Task = {
      id,
      value: `value ${id}`,
      error: new Error(`error ${id}`),
      fails,
      settled: false,
      heard: false,
      signal: undefined,
      callers: 0,
    };
    this.#current.set(key, task);
    return task;
  }

  async #settle(task: Task, late: FlightContext | undefined): Promise<string> {
    await this.#scheduler.schedule(Promise.resolve(), `task ${task.id} half-way`);
    if (late) task.signal = late.signal;
    await this.#scheduler.schedule(Promise.resolve(), `task ${task.id} ends`);
    task.settled = true;
    if (task.fails) throw task.error;
    return task.value;
  }

  #abort(caller: Caller | undefined): void {
    if (!caller?.controller || caller.aborted || caller.outcomes.length > 0) return;
    const { task } = caller;
    caller.aborted = true;
    const left = --task.callers;
    caller.controller.abort(caller);
    if (task.settled) return;
    // The flight is aborted exactly when nobody is left and the task has read its signal.
    expect(task.signal?.aborted ?? false).toBe(left === 0 && task.signal !== undefined);
    for (const [key, current] of this.#current) {
      if (current === task && task.signal?.aborted) this.#current.delete(key);
      // A call now would join, or not: a dying flight is joined by nobody.
      if (current === task) expect(this.group.has(key)).toBe(!task.signal?.aborted);
    }
  }
}

describe('FlightGroup, under any interleaving of calls, settlements, aborts, forget and clear', () => {
  it('runs one task per key, settles every caller once with what it is owed, and keeps nothing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(action, { minLength: 1, maxLength: upTo(20) }),
        async (scheduler, actions) => {
          const world = new World(scheduler);
          const performed = actions.map((what) =>
            scheduler.schedule(Promise.resolve(), what.kind).then(() => world.perform(what)),
          );
          await scheduler.waitIdle();
          await Promise.all(performed);

          for (const { task, aborted, outcomes, controller } of world.callers) {
            // (d) Exactly once: the task's outcome or, to a caller who left before it, the reason.
            expect(outcomes).toHaveLength(1);
            const [outcome] = outcomes;
            const owed = task.fails ? task.error : task.value;
            if (aborted && outcome !== owed) expect(outcome).toBe(controller!.signal.reason);
            else expect(outcome).toBe(owed);
          }
          // (e) and (f)
          await expectNoneUnhandled();
          expect(world.group.size).toBe(0);
          expect([0, 1, 2].map((each) => world.group.has(each))).toEqual([false, false, false]);
          expect(getEventListeners(world.shared.signal, 'abort')).toEqual([]);
          for (const { controller } of world.callers) {
            if (controller && !controller.signal.aborted) {
              expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
            }
          }
        },
      ),
      runs(1000),
    );
  });
});
