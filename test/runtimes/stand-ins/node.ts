/** What the suite, not the package, uses of Node's modules: for runtimes that have none of them. */

/** In place of `node:crypto`. */
export const randomUUID = (): string => crypto.randomUUID();

/** In place of `node:stream`: only axios' `http` transport, which is not there either, takes one. */
export const Readable = undefined;

/** In place of `node:util`: what any console prints of an error is its stack and what is enumerable. */
export const inspect = (error: Error): string =>
  `${error.stack}${JSON.stringify(Object.entries(error))}`;

const listeners = new WeakMap<object, Set<unknown>>();

/** In place of `node:events`: counts what is added to signals from now on, and not removed. */
export const getEventListeners = (target: EventTarget): unknown[] => [
  ...(listeners.get(target) ?? []),
];

const signals: { addEventListener: unknown; removeEventListener: unknown } = AbortSignal.prototype;
type Listen = (this: AbortSignal, type: string, listener: unknown, ...rest: unknown[]) => void;
const add = signals.addEventListener as Listen;
const remove = signals.removeEventListener as Listen;

signals.addEventListener = function (this: AbortSignal, type, listener, ...rest) {
  if (!listeners.has(this)) listeners.set(this, new Set());
  listeners.get(this)!.add(listener);
  add.call(this, type, listener, ...rest);
} satisfies Listen;

signals.removeEventListener = function (this: AbortSignal, type, listener, ...rest) {
  listeners.get(this)?.delete(listener);
  remove.call(this, type, listener, ...rest);
} satisfies Listen;
