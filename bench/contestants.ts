import { FlightGroup, singleFlight } from 'oneflight';

/** What is compared: ours, and what people write by hand. */
export interface Contestant {
  name: string;
  /** One call. Calls with equal keys share; without a key, all do. */
  call: (key: string) => Promise<unknown>;
}

/** What the task does; the benchmark lets it hang to measure joins. */
let task: (key?: string) => Promise<unknown> = async () => 1;
export const setTask = (next: typeof task): void => {
  task = next;
};

/** `let p; () => p ??= fn().finally(…)`, as it is written everywhere. */
function closure(): Contestant['call'] {
  let promise: Promise<unknown> | undefined;
  return () =>
    (promise ??= task().finally(() => {
      promise = undefined;
    }));
}

/** The same with a Map. */
function map(): Contestant['call'] {
  const promises = new Map<string, Promise<unknown>>();
  return (key) => {
    let promise = promises.get(key);
    if (!promise) {
      promise = task().finally(() => promises.delete(key));
      promises.set(key, promise);
    }
    return promise;
  };
}

function group(): Contestant['call'] {
  const flights = new FlightGroup<string, unknown>();
  const run = () => task();
  return (key) => flights.run(key, run);
}

function keyed(): Contestant['call'] {
  return singleFlight((key: string) => task(key), { key: (key) => key });
}

function single(): Contestant['call'] {
  return singleFlight(() => task());
}

/** Each made anew in its own process, so that none warms or spoils the code of another. */
export const contestants: Record<string, () => Contestant['call']> = {
  'closure by hand': closure,
  singleFlight: single,
  'Map by hand': map,
  'FlightGroup.run': group,
  'singleFlight with key': keyed,
};
