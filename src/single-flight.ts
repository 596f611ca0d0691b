import { check } from './check.ts';
import { FlightGroup, type FlightGroupOptions } from './flight-group.ts';

export interface SingleFlightOptions<Key> extends FlightGroupOptions<Key> {}

export interface KeyedSingleFlightOptions<
  Args extends readonly unknown[],
  Key,
> extends FlightGroupOptions<Key> {
  /**
   * Called with the arguments of every call; calls that give the same key share a flight. Keys
   * compare as in a `Map`. Whatever changes the outcome belongs in the key, the signed-in user too.
   */
  key: (...args: Args) => Key;
}

/** A function whose concurrent calls share one flight. */
export interface SingleFlight<Args extends readonly unknown[], Value> {
  (...args: Args): Promise<Value>;
  /** Whether a call with these arguments would join a flight. */
  inFlight(...args: Args): boolean;
  /**
   * Makes the next call with these arguments start a flight of its own. The current flight goes on,
   * and its callers get its outcome.
   */
  forget(...args: Args): void;
}

type AnyFunction = (...args: any[]) => unknown;

/** Anything but a function without parameters is a compile error, whose text says what to write. */
type WithoutParameters<Fn extends AnyFunction> =
  Parameters<Fn> extends [] ? unknown : 'a function with parameters needs the option "key"';

/**
 * Wraps `fn` so that concurrent calls share one run of it and all get its outcome: while one runs,
 * the very same promise. Not a cache: once it has settled, the next call runs `fn` again.
 *
 * Without `key` there is one flight, and `fn` is called without arguments whatever the wrapper is
 * called with: no caller can get another caller's data, and `onClick={refresh}` is safe. With `key`,
 * calls whose arguments give the same key share a flight, and `fn` gets the arguments of the call
 * that started it.
 *
 * `this` is never forwarded, since a wrapper on a prototype would let instances share: use a class
 * field with an arrow function.
 *
 * @returns The wrapper. It rejects with what `fn` throws, unwrapped, and throws what `key` throws.
 * @throws {TypeError} When `fn`, `key` or `onLand` is not a function, or when `fn` declares
 *   parameters and there is no `key`.
 *
 * @example
 * const refresh = singleFlight(() => fetchToken());
 * const getUser = singleFlight(fetchUser, { key: (id: string) => id });
 */
export function singleFlight<Fn extends AnyFunction>(
  fn: Fn & WithoutParameters<Fn>,
  options?: SingleFlightOptions<undefined> & { key?: undefined },
): SingleFlight<[], Awaited<ReturnType<Fn>>>;
export function singleFlight<Fn extends AnyFunction, Key>(
  fn: Fn,
  options: KeyedSingleFlightOptions<Parameters<Fn>, Key>,
): SingleFlight<Parameters<Fn>, Awaited<ReturnType<Fn>>>;
export function singleFlight(
  fn: any,
  options: { key?: ((...args: any[]) => unknown) | undefined } & FlightGroupOptions<any> = {},
): SingleFlight<any, any> {
  check('fn', fn);
  const { key } = options;
  // None is needed where there are no parameters: then `fn`, a function, passes in its place.
  check('key', key ?? (fn.length ? key : fn), 'a function of the arguments');
  const flights = new FlightGroup<unknown, unknown>(options);

  // Apart, for speed: arguments that a task may need are an object more for every call.
  const wrapper = (
    key
      ? (...args: any[]) => flights.run(key(...args), () => fn(...args))
      : () => flights.run(undefined, () => fn())
  ) as SingleFlight<any, any>;
  wrapper.inFlight = (...args) => flights.has(key?.(...args));
  wrapper.forget = (...args) => flights.forget(key?.(...args));
  return wrapper;
}
