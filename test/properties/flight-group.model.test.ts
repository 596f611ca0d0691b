import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlightGroup, type FlightContext } from '../../src/index.ts';
import { gate, settled, type Gate } from '../gate.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

/** The flight of each key, who waits for which flight, and what each caller has heard. */
interface Model {
  keys: Map<string, number>;
  flights: { callers: number[]; reads: boolean; over: boolean; aborted: boolean }[];
  callers: { leaves: boolean; outcome: string | undefined }[];
}

interface Real {
  group: FlightGroup<string, string>;
  tasks: (Gate<string> & { signal: AbortSignal | undefined })[];
  callers: { controller: AbortController; outcomes: unknown[] }[];
}

const KEYS = ['a', 'b'];

/** A command, after which the group and the model must agree in all that can be seen. */
function command(
  name: string,
  predict: (model: Model) => void,
  perform: (real: Real) => void,
  check: (model: Readonly<Model>) => boolean = () => true,
): fc.AsyncCommand<Model, Real> {
  return {
    check,
    toString: () => name,
    async run(model, real) {
      predict(model);
      perform(real);
      await settled();
      const heard = model.callers.map(({ outcome }) => (outcome === undefined ? [] : [outcome]));
      expect(real.callers.map(({ outcomes }) => outcomes)).toEqual(heard);
      const aborted = model.flights.map((flight) => flight.aborted);
      expect(real.tasks.map(({ signal }) => signal?.aborted ?? false)).toEqual(aborted);
      expect(KEYS.map((key) => real.group.has(key))).toEqual(
        KEYS.map((key) => model.keys.has(key)),
      );
      expect(real.group.size).toBe(model.keys.size);
    },
  };
}

const run = (key: string, leaves: boolean, reads: boolean) =>
  command(
    `run ${key}${leaves ? ' with a signal' : ''}${reads ? ', reading its own' : ''}`,
    ({ keys, flights, callers }) => {
      if (!keys.has(key)) {
        keys.set(key, flights.length);
        flights.push({ callers: [], reads, over: false, aborted: false });
      }
      flights[keys.get(key)!]!.callers.push(callers.length);
      callers.push({ leaves, outcome: undefined });
    },
    ({ group, tasks, callers }) => {
      const caller = { controller: new AbortController(), outcomes: [] as unknown[] };
      callers.push(caller);
      const task = (context: FlightContext) => {
        tasks.push({ ...gate<string>(), signal: reads ? context.signal : undefined });
        return tasks.at(-1)!.promise;
      };
      const hear = (outcome: unknown) => caller.outcomes.push(outcome);
      group
        .run(key, task, leaves ? { signal: caller.controller.signal } : undefined)
        .then(hear, hear);
    },
  );

const settle = (flight: number, how: 'open' | 'fail') =>
  command(
    `${how} flight ${flight}`,
    ({ keys, flights, callers }) => {
      flights[flight]!.over = true;
      for (const caller of flights[flight]!.callers) callers[caller]!.outcome = `${how} ${flight}`;
      for (const [key, current] of keys) if (current === flight) keys.delete(key);
    },
    ({ tasks }) => tasks[flight]![how](`${how} ${flight}`),
    ({ flights }) => flights[flight]?.over === false,
  );

const abort = (caller: number) =>
  command(
    `abort caller ${caller}`,
    ({ keys, flights, callers }) => {
      if (!callers[caller]!.leaves || callers[caller]!.outcome !== undefined) return;
      callers[caller]!.outcome = `left ${caller}`;
      const index = flights.findIndex((flight) => flight.callers.includes(caller));
      const flight = flights[index]!;
      flight.callers = flight.callers.filter((other) => other !== caller);
      flight.aborted = flight.callers.length === 0 && flight.reads;
      for (const [key, current] of keys) if (current === index && flight.aborted) keys.delete(key);
    },
    ({ callers }) => callers[caller]!.controller.abort(`left ${caller}`),
    ({ callers }) => caller < callers.length,
  );

const forget = (key: string) =>
  command(
    `forget ${key}`,
    ({ keys }) => keys.delete(key),
    ({ group }) => group.forget(key),
  );

const clear = () =>
  command(
    'clear',
    ({ keys }) => keys.clear(),
    ({ group }) => group.clear(),
  );

const commands = fc.commands(
  [
    fc.tuple(fc.constantFrom(...KEYS), fc.boolean(), fc.boolean()).map((args) => run(...args)),
    fc.tuple(fc.constantFrom(...KEYS), fc.boolean(), fc.boolean()).map((args) => run(...args)),
    fc
      .tuple(fc.nat(6), fc.constantFrom('open' as const, 'fail' as const))
      .map((args) => settle(...args)),
    fc.nat(10).map(abort),
    fc.nat(10).map(abort),
    fc.constantFrom(...KEYS).map(forget),
    fc.constant(clear()),
  ],
  { maxCommands: upTo(30) },
);

describe('FlightGroup, against a model', () => {
  it('agrees with it after every command', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const model: Model = { keys: new Map(), flights: [], callers: [] };
        const real: Real = { group: new FlightGroup(), tasks: [], callers: [] };
        await fc.asyncModelRun(() => ({ model, real }), sequence);
        for (const task of real.tasks) task.fail('at the end');
        await settled();
        expect(real.group.size).toBe(0);
        await expectNoneUnhandled();
      }),
      runs(500),
    );
  });
});
