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

/**
 * One run of one task and everyone who waits for it, and the context its task is given: one object
 * for both is a faster flight. Whoever makes it keeps it where callers find it before the task runs.
 */
export class Flight<Value> implements FlightContext {
  /** Missing only until the task has returned for the first time. */
  declare promise?: Promise<Value>;
  /** Callers who have not left. Those without a signal never leave. */
  callers = 0;
  /** Created when the task first reads its signal; without one there is nothing to abort. */
  declare controller?: AbortController;

  get signal(): AbortSignal {
    return (this.controller ??= new AbortController()).signal;
  }
}

/** Where callers find a flight. */
interface Finder<Key, Value> {
  /** Lets nobody join this flight any more. */
  free(key: Key, flight: Flight<Value>): void;
}

/**
 * The outcome of a flight: for those without a `signal` the very same promise, for others one that
 * rejects when it aborts.
 *
 * @param finder Of a flight whose task may read its signal.
 * @throws {TypeError} When the task asks for it before it has returned: it would wait for itself.
 */
export function join<Key, Value>(
  flight: Flight<Value>,
  signal: AbortSignal | null | undefined,
  finder?: Finder<Key, Value>,
  key?: Key,
): Promise<Value> {
  if (!flight.promise) throw new TypeError('task waits for itself');
  flight.callers++;
  return signal ? joinUntil(flight, signal, finder, key) : flight.promise;
}

/** Apart from `join`, which allocates nothing. */
function joinUntil<Key, Value>(
  flight: Flight<Value>,
  signal: AbortSignal,
  finder?: Finder<Key, Value>,
  key?: Key,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      reject(signal.reason);
      if (!--flight.callers && flight.controller) {
        // Freed first, so that nobody joins a dying flight (tailscale/tailscale#18919).
        finder!.free(key!, flight);
        flight.controller.abort(signal.reason);
      }
    };
    flight.promise!.finally(() => signal.removeEventListener('abort', leave)).then(resolve, reject);
    // The task may have aborted it already, while it started.
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave);
  });
}

/** What is promised, unless the signal aborts before. */
export function until<Value>(
  signal: AbortSignal | null | undefined,
  promised: Value | PromiseLike<Value>,
): Promise<Value> {
  return join({ promise: Promise.resolve(promised), callers: 0 } as Flight<Value>, signal);
}

/** Tells a hook. Never await this: what the hook throws, now or later, is ignored. */
export async function tell<Event>(hook: (event: Event) => unknown, event: Event): Promise<void> {
  try {
    await hook(event);
  } catch {
    // It only observes.
  }
}
