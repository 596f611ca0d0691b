/** What the suite, not the package, uses of Node's globals: for runtimes that have none of them. */
export { Buffer } from 'buffer';

const { setTimeout } = globalThis;

export const setImmediate = (callback: () => void): void => void setTimeout(callback, 0);
