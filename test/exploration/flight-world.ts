import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { FlightGroup, type FlightContext } from '../../src/index.ts';
import { gate, type Gate } from '../gate.ts';
import type { Way, World } from './explorer.ts';

const KEY = 'key';

/** Microtasks from the end of a task until its callers have heard. */
const TURNS_TO_HEAR = 2;
/** And those that callers with a signal hear later. */
const TURNS_OF_SIGNAL = 5;

export interface FlightWorldOptions {
  /** Each calls once, with a signal of its own, which it may abort, or without. */
  callers: number;
  /** How often the key may be forgotten. */
  forgets: number;
  /** Whether things may also happen between two microtasks, and not only when all have run. */
  betweenMicrotasks: boolean;
  /** What is explored. @default FlightGroup */
  Group?: typeof FlightGroup<string, string>;
}

interface Task extends Gate<string> {
  readonly name: string;
  /** Its own signal, if it has read it. */
  readonly signal: AbortSignal | undefined;
  /** What its callers are owed. Missing while it runs. */
  outcome: string | undefined;
  /** Whether a call must not join it: it was forgotten, or everyone has left and it was aborted. */
  free: boolean;
  /** Microtasks that may be due since it ended. */
  turns: number;
}

interface Caller {
  readonly name: string;
  readonly task: Task;
  readonly controller: AbortController | undefined;
  readonly heard: unknown[];
  /** What may be heard: also the outcome of a task that ended before the caller left. */
  owed: (heard: unknown) => boolean;
}

/** One key of a group, and all that can happen to it. */
export class FlightWorld implements World {
  readonly #options: FlightWorldOptions;
  readonly #group: FlightGroup<string, string>;
  /** In the order in which they started. */
  readonly #tasks: Task[] = [];
  /** Those that have ended, in that order. */
  readonly #ended: Task[] = [];
  /** In the order in which they called. */
  readonly #callers: Caller[] = [];
  readonly #broken: unknown[] = [];
  #forgets = 0;
  /** Microtasks that may be due, whatever for. */
  #turns = 0;

  constructor(options: FlightWorldOptions) {
    this.#options = options;
    this.#group = new (options.Group ?? FlightGroup)();
  }

  ways(): Way[] {
    const ways: Way[] = [];
    const way = (name: string, go: Way['go']) => ways.push({ name, go });
    if (this.#turns > 0) {
      if (this.#options.betweenMicrotasks) way('a microtask', () => this.#turn());
      else way('all microtasks', () => this.#drain());
    }
    if (this.#callers.length < this.#options.callers) {
      for (const how of this.#group.has(KEY) ? ['joins'] : ['waits', 'reads', 'throws']) {
        way(`call (${how})`, () => this.#call(how));
        way(`call with a signal (${how})`, () => this.#call(how, new AbortController()));
      }
    }
    for (const task of this.#tasks) {
      if (task.outcome !== undefined) continue;
      way(`${task.name} gives a value`, () => this.#settle(task, 'open'));
      way(`${task.name} fails`, () => this.#settle(task, 'fail'));
    }
    for (const caller of this.#callers) {
      if (isWaiting(caller) && caller.controller) {
        way(`${caller.name} aborts`, () => this.#abort(caller));
      }
    }
    if (this.#forgets < this.#options.forgets && this.#group.has(KEY)) {
      way('forget', () => this.#forget());
    }
    return ways;
  }

  /** Who has heard, and tasks that have neither callers nor a future, leave nothing behind. */
  state(): string {
    const describe = (task: Task) => {
      const waiting = this.#callers
        .filter((caller) => caller.task === task && caller.heard.length === 0)
        .map(({ controller }) => (controller ? `${Number(controller.signal.aborted)}` : '-'));
      const { free, turns, signal } = task;
      return `${free ? 'free' : ''}${signal ? 'reads' : ''}${turns}:${waiting.sort().join('')}`;
    };
    const ending = this.#ended.filter(({ turns }) => turns > 0).map(describe);
    const running = this.#tasks.filter(({ outcome }) => outcome === undefined).map(describe);
    const counts = [this.#callers.length, this.#forgets, this.#turns, this.#group.size];
    return [...counts, ...ending, '', ...running.sort()].join();
  }

  check(): void {
    if (this.#broken.length > 0) throw this.#broken[0];
    const joinable = this.#tasks.filter(({ outcome, free }) => outcome === undefined && !free);
    assert.ok(joinable.length <= 1, 'two tasks run, and both can be joined');
    // A key is freed after the end of its task, and before the first caller hears.
    if (joinable.length === 1) assert.ok(this.#group.has(KEY), 'the task that runs can be joined');
    if (this.#turns === 0) assert.equal(this.#group.has(KEY), joinable.length === 1);
    assert.equal(this.#group.size, Number(this.#group.has(KEY)));
    for (const task of this.#tasks) {
      if (task.outcome !== undefined || !task.signal) continue;
      const isLeft = !this.#callers.some((caller) => caller.task === task && isWaiting(caller));
      assert.equal(task.signal.aborted, isLeft, 'a task is aborted when everyone has left it');
    }
    for (const { heard, owed, task, controller } of this.#callers) {
      assert.ok(heard.length <= 1, 'a caller hears once');
      if (heard.length === 1) assert.ok(owed(heard[0]), 'a caller hears what it is owed');
      const isOver = task.outcome !== undefined || !!controller?.signal.aborted;
      if (this.#turns === 0) assert.equal(heard.length, Number(isOver));
    }
  }

  end(): void {
    assert.equal(this.#group.size, 0);
    for (const { controller } of this.#callers) {
      if (controller) assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    }
  }

  #turn(): Promise<void> {
    this.#turns--;
    for (const task of this.#ended) task.turns = Math.max(task.turns - 1, 0);
    return Promise.resolve();
  }

  async #drain(): Promise<void> {
    while (this.#turns > 0) await this.#turn();
  }

  /** The one that a call would join, if it had not ended. */
  #newest(): Task | undefined {
    let newest: Task | undefined;
    for (const task of this.#tasks) if (!task.free) newest = task;
    return newest;
  }

  #call(how: string, controller?: AbortController): void {
    let task = this.#newest();
    const start = (context: FlightContext) => {
      task = {
        ...gate<string>(),
        name: `task ${this.#tasks.length + 1}`,
        signal: how === 'reads' ? context.signal : undefined,
        outcome: undefined,
        free: false,
        turns: 0,
      };
      this.#tasks.push(task);
      if (how !== 'throws') return task.promise;
      this.#end(task, `${task.name} throws`);
      throw task.outcome;
    };
    const started = this.#tasks.length;
    const promise = this.#group.run(KEY, start, controller && { signal: controller.signal });
    assert.equal(this.#tasks.length - started, how === 'joins' ? 0 : 1, 'one task starts');
    const heard: unknown[] = [];
    const joined = task!;
    const name = `caller ${this.#callers.length + 1}`;
    const owed = (outcome: unknown) => outcome === joined.outcome;
    this.#callers.push({ name, task: joined, controller, heard, owed });
    const hear = (outcome: unknown) => {
      heard.push(outcome);
      if (outcome !== joined.outcome || joined.free) return;
      // Whoever hears may call again, and must not get what he has just heard.
      const isLast = this.#newest() === joined;
      if (isLast && this.#group.has(KEY))
        this.#broken.push('a caller hears before the key is free');
    };
    promise.then(hear, hear);
    // It has ended, but its callers have not heard.
    if (joined.outcome !== undefined && controller) {
      this.#expect(joined, TURNS_TO_HEAR + TURNS_OF_SIGNAL);
    }
  }

  #settle(task: Task, how: 'open' | 'fail'): void {
    const outcome = `${task.name}: ${how}`;
    this.#end(task, outcome);
    task[how](outcome);
  }

  #end(task: Task, outcome: string): void {
    task.outcome = outcome;
    this.#ended.push(task);
    const callers = this.#callers.filter((each) => each.task === task && each.controller);
    this.#expect(task, callers.some(isWaiting) ? TURNS_TO_HEAR + TURNS_OF_SIGNAL : TURNS_TO_HEAR);
  }

  #expect(task: Task, turns: number): void {
    task.turns = Math.max(task.turns, turns);
    this.#turns = Math.max(this.#turns, turns);
  }

  #abort(caller: Caller): void {
    const { controller, task } = caller;
    const isOwed = caller.owed;
    const mayHear = task.outcome !== undefined;
    caller.owed = (heard) => heard === 'left' || (mayHear && isOwed(heard));
    controller!.abort('left');
    const isLeft = !this.#callers.some((each) => each.task === task && isWaiting(each));
    if (task.outcome === undefined && isLeft && task.signal) task.free = true;
    this.#turns = Math.max(this.#turns, 1);
  }

  #forget(): void {
    this.#forgets++;
    // Also one that has ended and has not been freed yet.
    for (const task of this.#tasks) task.free = true;
    this.#group.forget(KEY);
    assert.ok(!this.#group.has(KEY));
  }
}

function isWaiting({ controller, heard }: Caller): boolean {
  return heard.length === 0 && !controller?.signal.aborted;
}
