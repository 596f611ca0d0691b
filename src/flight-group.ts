import { check } from './check.ts';
import { Flight, tell, type FlightTask } from './flight.ts';

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
  readonly #flights = new Map<Key, Flight<Value>>();
  readonly #onLand: FlightGroupOptions<Key>['onLand'];

  /** @throws {TypeError} When `onLand` is given and is not a function. */
  constructor({ onLand }: FlightGroupOptions<Key> = {}) {
    // Where there is none, any function passes.
    check('onLand', onLand ?? tell);
    this.#onLand = onLand;
  }

  /** How many keys have a flight that a call would join. */
  get size(): number {
    return this.#flights.size;
  }

  /** Whether a call for `key` would join a flight. */
  has(key: Key): boolean {
    return this.#flights.has(key);
  }

  /**
   * Makes the next call for `key` run a task of its own. The current flight goes on, and its callers
   * get its outcome.
   */
  forget(key: Key): void {
    this.#flights.delete(key);
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
    let flight = this.#flights.get(key);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!flight) {
      // Registered before it is started: a task that asks for its own key must find itself.
      this.#flights.set(key, (flight = new Flight()));
      this.#fly(key, flight, task);
    }
    return flight.join(signal, this, key);
  }

  /**
   * Frees the key, if it is still this flight's: after a `forget`, a newer one may have it
   * (golang/go#31420).
   *
   * @internal
   * @param status When the flight has landed, of which `onLand` is told.
   */
  free(key: Key, flight: Flight<Value>, status?: Landing<Key>['status']): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    if (status && this.#onLand) {
      void tell(this.#onLand, {
        key,
        callers: flight.callers,
        status,
        duration: performance.now() - flight.startedAt!,
      });
    }
  }

  /** Neither an async function nor `finally`: a flight would take up to a third more of the heap. */
  #fly(key: Key, flight: Flight<Value>, task: FlightTask<Value>): void {
    if (this.#onLand) flight.startedAt = performance.now();
    let outcome: Value | PromiseLike<Value>;
    try {
      outcome = task(flight);
    } catch (error) {
      outcome = Promise.reject(error);
    }
    // Callers hear when one of these has returned: here the key is freed before any of them.
    flight.promise = Promise.resolve(outcome).then(
      (value) => {
        this.free(key, flight, 'fulfilled');
        return value;
      },
      (error) => {
        this.free(key, flight, 'rejected');
        throw error;
      },
    );
  }
}
