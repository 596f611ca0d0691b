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
  /** By the monotonic clock. Only where somebody asks how long it takes. */
  declare startedAt?: number;
  /** Aborts its signal. Created when the task first reads that; without it there is nothing to abort. */
  declare abort?: AbortController;

  get signal(): AbortSignal {
    return (this.abort ??= new AbortController()).signal;
  }

  /**
   * Its outcome: for those without a `signal` the very same promise, for others one that rejects when
   * it aborts.
   *
   * @param finder Where callers find it by this `key`, if its task may read its signal.
   * @throws {TypeError} When the task asks for it before it has returned: it would wait for itself.
   */
  join<Key>(
    signal: AbortSignal | null | undefined,
    finder?: Finder<Key, Value>,
    key?: Key,
  ): Promise<Value> {
    if (!this.promise) throw new TypeError('task awaits itself');
    this.callers++;
    return signal ? this.until(signal, finder, key) : this.promise;
  }

  /** Apart from `join`, which allocates nothing. */
  until<Key>(signal: AbortSignal, finder?: Finder<Key, Value>, key?: Key): Promise<Value> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        reject(signal.reason);
        if (!--this.callers && this.abort) {
          // Freed first, so that nobody joins a dying flight (tailscale/tailscale#18919).
          finder!.free(key!, this);
          this.abort.abort(signal.reason);
        }
      };
      this.promise!.finally(() => signal.removeEventListener('abort', leave)).then(resolve, reject);
      // The task may have aborted it already, while it started.
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave);
    });
  }
}

/** Where callers find a flight. */
interface Finder<Key, Value> {
  /** Lets nobody join this flight any more. */
  free(key: Key, flight: Flight<Value>): void;
}

/** What is promised, unless the signal aborts before; what is there already costs no listener. */
export function until<Value>(
  signal: AbortSignal | null | undefined,
  promised: Value | PromiseLike<Value>,
): Value | PromiseLike<Value> {
  if (!signal || !(promised as PromiseLike<Value>)?.then) return promised;
  const flight = new Flight<Value>();
  flight.promise = Promise.resolve(promised);
  return flight.join(signal);
}

/** Tells a hook. Never await this: what the hook throws, now or later, is ignored. */
export async function tell<Event>(hook: (event: Event) => unknown, event: Event): Promise<void> {
  try {
    await hook(event);
  } catch {
    // It only observes.
  }
}
