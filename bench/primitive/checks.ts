import { setTimeout as delay } from 'node:timers/promises';
import { gate, settled } from '../../test/gate.ts';
import type { Create, Flights, Task } from './contestants.ts';

/** Why a check failed; nothing when it passed; `'missing'` where there is nothing to check. */
export type Complaint = string | undefined;

export interface Check {
  /** At the head of its column. */
  readonly title: string;
  /** What passes. */
  readonly legend: string;
  readonly run: (create: Create) => Promise<Complaint>;
}

const KEY = 'a';
const CALLERS = 3;
/** Where a task that starts itself again and again is stopped. */
const ENOUGH_RUNS = 100;

/** Of those that call for one key at once. */
const callers = (flights: Flights): Promise<unknown>[] =>
  Array.from({ length: CALLERS }, () => flights.call(KEY));

/** A contestant whose task is given anew for each run, by the number of that run. */
function flightsOf(create: Create, run: (number: number) => unknown) {
  const counted = { runs: 0 };
  const task = () => run(++counted.runs) as ReturnType<Task>;
  return Object.assign(counted, { flights: create(task, 10) });
}

/** The same job as everyone's: who fails this is not measured. */
export async function share(create: Create): Promise<Complaint> {
  const landing = gate();
  const shared = flightsOf(create, async (number) => {
    await landing.promise;
    return number;
  });
  const all = Promise.all(callers(shared.flights));
  await settled();
  landing.open();
  if ((await all).join() !== '1,1,1') return 'concurrent calls do not share one run';
  if ((await shared.flights.call(KEY)) !== 2) return 'the next call does not run the task again';
  return undefined;
}

/** Each is run in a process of its own. */
export const checks: Readonly<Record<string, Check>> = {
  throws: {
    title: 'throw',
    legend: 'a task that throws rejects its callers, and the next call runs it again',
    async run(create) {
      const error = new Error('of the task');
      const { flights } = flightsOf(create, (number) => {
        if (number === 1) throw error;
        return Promise.resolve(number);
      });
      const [outcome] = await Promise.allSettled([promised(() => flights.call(KEY))]);
      if (outcome.status === 'fulfilled') return 'the caller does not hear of it';
      if (outcome.reason === THROWN_AT_ONCE) return 'it is thrown at the caller, not rejected';
      if (outcome.reason !== error) return `another error: ${outcome.reason}`;
      const [next] = await Promise.allSettled([flights.call(KEY)]);
      if (next.status === 'rejected') return 'the key is never free again';
      return undefined;
    },
  },
  reentry: {
    title: 're-entry',
    legend: 'a task that asks for its own key neither hangs nor starts itself again',
    async run(create) {
      const self = flightsOf(create, async (number) => {
        if (number < ENOUGH_RUNS) await self.flights.call(KEY);
      });
      await promised(() => self.flights.call(KEY)).catch(() => {});
      if (self.runs > 1) return 'it starts itself again, until the stack overflows';
      return undefined;
    },
  },
  freed: {
    title: 'freed first',
    legend: 'a call made in a caller’s `then` or `catch` never gets the old outcome',
    async run(create) {
      for (const fails of [false, true]) {
        const { flights } = flightsOf(create, async (number) => {
          await settled();
          if (fails && number === 1) throw new Error('the old outcome');
          return number;
        });
        const again = () => flights.call(KEY);
        const seconds = callers(flights).map((first) => first.then(again, again));
        for (const second of await Promise.allSettled(seconds)) {
          if (second.status === 'rejected' || second.value === 1) {
            return `the old ${fails ? 'failure' : 'value'} is given again`;
          }
        }
      }
      return undefined;
    },
  },
  forget: {
    title: 'forget',
    legend: 'after forgetting a key, the settling of the old run does not evict the newer one',
    async run(create) {
      for (const fails of [true, false]) {
        const gates = [gate(), gate(), gate()];
        const forgotten = flightsOf(create, (number) => gates[number - 1]!.promise.then(() => 1));
        const { flights } = forgotten;
        if (!flights.forget) return 'missing';
        const calls = [flights.call(KEY)];
        await settled();
        await flights.forget(KEY);
        calls.push(flights.call(KEY));
        await settled();
        const heard = Promise.allSettled(calls);
        if (fails) gates[0]!.fail(new Error('of the old run'));
        else gates[0]!.open();
        await delay(20);
        const third = flights.call(KEY);
        await settled();
        for (const each of gates) each.open();
        await Promise.all([heard, third]);
        if (forgotten.runs === 1) return 'nothing is forgotten';
        if (forgotten.runs > 2) return `an old run that ${fails ? 'fails' : 'succeeds'} evicts it`;
      }
      return undefined;
    },
  },
  unhandled: {
    title: 'unhandled',
    legend: 'a failure that every caller handles is no unhandled rejection',
    async run(create) {
      let unhandled = 0;
      process.on('unhandledRejection', () => unhandled++);
      const landing = gate();
      const { flights } = flightsOf(create, () => landing.promise);
      const all = callers(flights).map((call) => call.catch(() => {}));
      await settled();
      landing.fail(new Error('of the task'));
      await Promise.all(all);
      // Long enough for timers and for what is rejected late.
      await delay(50);
      if (unhandled > 0) return `${unhandled} unhandled`;
      return undefined;
    },
  },
  abort: {
    title: 'abort',
    legend: 'one caller’s `AbortSignal` rejects that caller alone, and at once',
    async run(create) {
      // Whoever started the flight must be able to leave it, and so must whoever joined.
      for (const leaver of [0, 1]) {
        const landing = gate<string>();
        const { flights } = flightsOf(create, () => landing.promise);
        if (!flights.callUntil) return 'missing';
        const controllers = [new AbortController(), new AbortController()];
        const calls = controllers.map(({ signal }) => flights.callUntil!(KEY, signal));
        const [left, stayed] = [calls[leaver]!, calls[1 - leaver]!].map(tellOutcome) as Outcomes;
        await settled();
        controllers[leaver]!.abort('left');
        const heard = await Promise.race([left, delay(100, 'goes on waiting')]);
        landing.open('landed');
        if (heard !== 'rejected: left') return `who leaves: ${heard}`;
        if ((await stayed) !== 'fulfilled: landed') return `who stays: ${await stayed}`;
      }
      return undefined;
    },
  },
};

type Outcomes = [left: Promise<string>, stayed: Promise<string>];

const tellOutcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    (value) => `fulfilled: ${value}`,
    (error) => `rejected: ${error}`,
  );

const THROWN_AT_ONCE = Symbol('thrown at once');

/** Rejects with {@link THROWN_AT_ONCE} when the call itself throws. */
function promised(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return call();
  } catch {
    return Promise.reject(THROWN_AT_ONCE);
  }
}
