import { check } from './check.ts';

/** What a task is given. */
export interface FlightContext {
  /**
   * Aborts when every caller of this flight has left, with the last one's reason. Reading it is a
   * promise to heed it: a flight whose task has not read it by then runs on and can still be joined.
   */
  readonly signal: AbortSignal;
}

/** What a flight runs. Called synchronously; a throw is a rejection. */
export type FlightTask<Value> = (context: FlightContext) => Value | PromiseLike<Value>;

/** One flight that has ended, as {@link FlightGroupOptions.onLand} is told of it. */
export interface Landing<Key> {
  readonly key: Key;
  /** How many callers get this outcome. 0 when all of them left before it came. */
  readonly callers: number;
  /** Milliseconds from the start of the task to its outcome. */
  readonly duration: number;
  readonly status: 'fulfilled' | 'rejected';
}

export interface FlightGroupOptions<Key> {
  /**
   * Called once per flight, when its task has settled and its key is free, before any caller hears.
   * Never awaited; what it throws or rejects with is ignored.
   */
  onLand?: ((landing: Landing<Key>) => unknown) | undefined;
}

/**
 * Runs at most one task per key at a time and gives its outcome to everyone who asks meanwhile:
 * Go's `singleflight.Group`, with cancellation that counts callers. Not a cache: once a task has
 * settled, the next call for its key runs a task again. Keys compare as in a `Map`, so an object is
 * equal only to itself.
 *
 * @example
 * const users = new FlightGroup<string, User>();
 * users.run(id, ({ signal }) => fetchUser(id, { signal }), { signal: request.signal });
 */
export class FlightGroup<Key, Value> {
  /** The flight that a call for this key joins. */
  readonly #flights = new Map<Key, Flight<Value> | undefined>();
  readonly #onLand: FlightGroupOptions<Key>['onLand'];
  readonly #release: 'delete' | 'set';

  /** @throws {TypeError} When `onLand` is given and is not a function. */
  constructor(options?: FlightGroupOptions<Key>);
  /**
   * @internal With `'set'`, a free key is kept with no flight. For the one key of a `singleFlight`,
   * which soon comes back: deleting from a Map costs as much as the rest of a flight.
   */
  constructor(options: FlightGroupOptions<Key>, release: 'delete' | 'set');
  constructor({ onLand }: FlightGroupOptions<Key> = {}, release: 'delete' | 'set' = 'delete') {
    if (onLand != null) check('onLand', onLand);
    this.#onLand = onLand;
    this.#release = release;
  }

  /** How many keys have a flight that a call would join. */
  get size(): number {
    return this.#flights.size;
  }

  /** Whether a call for `key` would join a flight. */
  has(key: Key): boolean {
    return !!this.#flights.get(key);
  }

  /**
   * Makes the next call for `key` run a task of its own. The current flight goes on, and its callers
   * get its outcome.
   */
  forget(key: Key): void {
    this.#flights[this.#release as 'delete'](key);
  }

  /** {@link FlightGroup.forget} for every key. */
  clear(): void {
    this.#flights.clear();
  }

  /**
   * The outcome of the one task that runs for `key`, which is `task` when none does. Errors are the
   * task's own, never wrapped. The key is free before any caller hears, so a call made in a caller's
   * `then` or `catch` runs a task again.
   *
   * Callers without a `signal` get the very same promise. A caller whose `signal` aborts leaves at
   * once and alone. When it was the last, and the task has read its own signal, the flight is aborted
   * and its key is free.
   *
   * @param options.signal This caller's own. Already aborted, it starts nothing and joins nothing.
   * @returns Rejects with what the task throws, with `signal.reason`, or with a `TypeError` when
   *   `task` is not a function or `signal` not an `AbortSignal`.
   * @throws {TypeError} When a task asks for its own key before it has returned: it would wait for
   *   itself.
   */
  run(
    key: Key,
    task: FlightTask<Value>,
    options?: { signal?: AbortSignal | null | undefined },
  ): Promise<Value> {
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(signal.reason);

    let flight = this.#flights.get(key);
    if (!flight) {
      // Registered before it is started: a task that asks for its own key must find itself.
      this.#flights.set(key, (flight = new Flight()));
      flight.promise = this.#fly(key, flight, task);
    }
    if (!flight.promise) throw new TypeError('task waits for itself');
    flight.callers++;
    return signal ? this.#leavable(key, flight, signal) : flight.promise;
  }

  /** The outcome for a caller who may leave before it comes. */
  #leavable(key: Key, flight: Flight<Value>, signal: AbortSignal): Promise<Value> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        if (!--flight.callers && flight.controller) {
          // Freed first, so that nobody joins a dying flight (tailscale/tailscale#18919).
          this.#free(key, flight);
          flight.controller.abort(signal.reason);
        }
      };
      flight
        .promise!.finally(() => signal.removeEventListener('abort', leave))
        .then(resolve, reject);
      // The task may have aborted it already, while it started.
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave);
    });
  }

  /** A flight frees only its own key: after a `forget`, a newer flight may have it (golang/go#31420). */
  #free(key: Key, flight: Flight<Value>): void {
    if (this.#flights.get(key) === flight) this.forget(key);
  }

  async #fly(key: Key, flight: Flight<Value>, task: FlightTask<Value>): Promise<Value> {
    const startedAt = this.#onLand && performance.now();
    let status: Landing<Key>['status'] = 'rejected';
    try {
      const value = await task(flight);
      status = 'fulfilled';
      return value;
    } finally {
      // Callers hear when this function has returned: here the key is freed before any of them.
      this.#free(key, flight);
      if (this.#onLand) {
        (async () =>
          this.#onLand!({
            key,
            callers: flight.callers,
            duration: performance.now() - startedAt!,
            status,
          }))().catch(() => {});
      }
    }
  }
}

/** One run of one task, and the context its task is given: one object for both is a faster flight. */
class Flight<Value> implements FlightContext {
  /** The outcome. Missing only until the task has returned for the first time. */
  promise: Promise<Value> | undefined;
  /** Callers who have not left. Those without a signal never leave. */
  callers = 0;
  /** Created when the task first reads its signal; without one there is nothing to abort. */
  controller: AbortController | undefined;

  get signal(): AbortSignal {
    return (this.controller ??= new AbortController()).signal;
  }
}
