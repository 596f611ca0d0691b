/**
 * What people write by hand. Plain JavaScript, as the built package is: the loader of TypeScript
 * names every closure at run time (`__name`), which would cost these and not ours.
 */

/** `let p; () => p ??= fn().finally(…)`, as it is written everywhere. */
export function closure(task) {
  let promise;
  const call = () =>
    (promise ??= task().finally(() => {
      promise = undefined;
    }));
  return { call, callUntil: (_key, signal) => until(call, signal) };
}

/** The same with a Map. */
export function map(task) {
  const promises = new Map();
  const call = (key) => {
    let promise = promises.get(key);
    if (!promise) {
      promise = task().finally(() => promises.delete(key));
      promises.set(key, promise);
    }
    return promise;
  };
  return { call, callUntil: (key, signal) => until(call, signal, key) };
}

/** With a signal of the caller's own, written with care: no listener stays, nothing is unhandled. */
function until(call, signal, key) {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener('abort', leave);
    call(key)
      .finally(() => signal.removeEventListener('abort', leave))
      .then(resolve, reject);
  });
}
