import { FlightGroup, singleFlight } from '../../dist/index.js';
import { peer } from '../peers.ts';

/** What is run for a key. */
export type Task = () => Promise<unknown>;

/** One contestant at work. */
export interface Flights {
  /** One call. Calls with equal keys share; without keys, all do. */
  readonly call: (key: string) => Promise<unknown>;
  /** The same with a signal of this caller's own. */
  readonly callUntil?: (key: string, signal: AbortSignal) => Promise<unknown>;
  /** Makes the next call start a run of its own. */
  readonly forget?: (key: string) => unknown;
}

/** @param keys How many there may be at once, for those who allot room. */
export type Create = (task: Task, keys: number) => Flights;

export interface Contestant {
  /** The package that is measured; ours and what is written by hand have none. */
  readonly from?: string;
  readonly isOurs?: true;
  /** One flight for all calls. */
  readonly isKeyless?: true;
  /** Written for the cases with a signal; without one it is the same as its plain sibling. */
  readonly isOnlyForSignals?: true;
  /** How it is set up to share what is pending and nothing else. */
  readonly setup: string;
  /** Loads nothing but its own package, in a process of its own. */
  load(): Promise<Create>;
}

export const CLOSURE = 'closure by hand';
export const MAP = 'Map by hand';
export const CLOSURE_WITH_SIGNAL = `${CLOSURE}, with a signal`;
export const MAP_WITH_SIGNAL = `${MAP}, with a signal`;

const byHand = (name: 'closure' | 'map'): Promise<Create> =>
  peer('./primitive/by-hand.js').then((module) => module[name]);

/** By hand nobody writes the signal, unless it is what is compared. */
const withoutSignal =
  (create: Create): Create =>
  (task, keys) => ({ call: create(task, keys).call });

/** By name. Each does the same job: concurrent calls share one run, the next call runs again. */
export const contestants: Readonly<Record<string, Contestant>> = {
  singleFlight: {
    isOurs: true,
    isKeyless: true,
    setup: '`singleFlight(task)`',
    load: async () => (task) => {
      const call = singleFlight(() => task());
      return { call, forget: () => call.forget() };
    },
  },
  'singleFlight with key': {
    isOurs: true,
    setup: '`singleFlight(task, { key: (key) => key })`',
    load: async () => (task) => {
      const call = singleFlight((_key: string) => task(), { key: (key) => key });
      return { call, forget: (key) => call.forget(key) };
    },
  },
  'FlightGroup.run': {
    isOurs: true,
    setup: '`group.run(key, task)`',
    load: async () => (task) => {
      const flights = new FlightGroup<string, unknown>();
      return {
        call: (key) => flights.run(key, task),
        callUntil: (key, signal) => flights.run(key, task, { signal }),
        forget: (key) => flights.forget(key),
      };
    },
  },
  [CLOSURE]: {
    isKeyless: true,
    setup: '`promise ??= task().finally(…)`',
    load: () => byHand('closure').then(withoutSignal),
  },
  [MAP]: {
    setup: 'the same with a `Map`',
    load: () => byHand('map').then(withoutSignal),
  },
  [CLOSURE_WITH_SIGNAL]: {
    isKeyless: true,
    isOnlyForSignals: true,
    setup: 'around the closure, a `new Promise` that rejects on abort and removes its listener',
    load: () => byHand('closure'),
  },
  [MAP_WITH_SIGNAL]: {
    isOnlyForSignals: true,
    setup: 'the same around the `Map`',
    load: () => byHand('map'),
  },
  'p-memoize': {
    from: 'p-memoize',
    setup: '`cache: false`: what its manual says to share only what is pending',
    async load() {
      const { default: pMemoize } = await peer('p-memoize');
      return (task) => ({ call: pMemoize((_key: string) => task(), { cache: false }) });
    },
  },
  'async-cache-dedupe': {
    from: 'async-cache-dedupe',
    setup: '`ttl: 0`, its default: “only does dedupe without cache”',
    async load() {
      const { createCache } = await peer('async-cache-dedupe');
      return (task) => {
        const cache = createCache({ ttl: 0, storage: { type: 'memory' } });
        cache.define('call', () => task());
        return { call: cache.call, forget: (key) => cache.clear('call', key) };
      };
    },
  },
  'promise-coalesce': {
    from: 'promise-coalesce',
    setup: '`coalesceAsync(key, task)`',
    async load() {
      const { coalesceAsync } = await peer('promise-coalesce');
      return (task) => ({ call: (key) => coalesceAsync(key, task) });
    },
  },
  dataloader: {
    from: 'dataloader',
    // With batches, the slowest key of a batch would hold up the others: not the same job.
    setup: '`batch: false`, one run per key; cleared as soon as that has settled',
    async load() {
      const { default: DataLoader } = await peer('dataloader');
      return (task) => {
        const loader = new DataLoader(
          async ([key]: [string]) => {
            const value = await task();
            // A failure it forgets by itself.
            loader.clear(key);
            return [value];
          },
          { batch: false },
        );
        return { call: (key) => loader.load(key), forget: (key) => loader.clear(key) };
      };
    },
  },
  'lru-cache fetch': {
    from: 'lru-cache',
    // A ttl of 1 ms still answers from the cache within that millisecond.
    setup: '`forceRefresh: true`: never a cached value, but what is being fetched is shared',
    async load() {
      const { LRUCache } = await peer('lru-cache');
      return (task, keys) => {
        const cache = new LRUCache({ max: keys, fetchMethod: () => task() });
        const options = { forceRefresh: true };
        return {
          call: (key) => cache.fetch(key, options),
          callUntil: (key, signal) => cache.fetch(key, { forceRefresh: true, signal }),
          forget: (key) => cache.delete(key),
        };
      };
    },
  },
  '@zcong/singleflight': {
    from: '@zcong/singleflight',
    setup: '`flights.do(key, task)`',
    async load() {
      const { Singleflight } = await peer('@zcong/singleflight');
      return (task) => {
        const flights = new Singleflight();
        return { call: (key) => flights.do(key, task) };
      };
    },
  },
  'p-debounce.promise': {
    from: 'p-debounce',
    isKeyless: true,
    setup: '`pDebounce.promise(task)`',
    async load() {
      const { default: pDebounce } = await peer('p-debounce');
      return (task) => ({ call: pDebounce.promise(() => task()) });
    },
  },
  'query-core fetchQuery': {
    from: '@tanstack/query-core',
    setup: '`staleTime: 0, gcTime: 0`, no retry (the default of `fetchQuery`)',
    async load() {
      const { QueryClient } = await peer('@tanstack/query-core');
      return (task) => {
        const client = new QueryClient({
          defaultOptions: { queries: { staleTime: 0, gcTime: 0 } },
        });
        return {
          call: (key) => client.fetchQuery({ queryKey: [key], queryFn: task }),
          forget: (key) => client.removeQueries({ queryKey: [key], exact: true }),
        };
      };
    },
  },
};
