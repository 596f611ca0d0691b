import fc from 'fast-check';
import { afterAll, beforeAll, expect } from 'vitest';
import { settled } from '../gate.ts';

/** How much longer than usual: `FC_LENGTH=4 npm test`. */
const LENGTH = Number(process.env['FC_LENGTH'] ?? 1);
if (LENGTH > 1) fc.configureGlobal({ baseSize: 'xlarge' });

/** The longest that a sequence may be. */
export function upTo(length: number): number {
  return length * LENGTH;
}

/** How often a property is tried. `FC_RUNS=20 npm test` tries twenty times as often. */
export function runs(count: number): { numRuns: number; verbose: 1 } {
  // Verbose: a failure prints all counterexamples on the way, beside its seed and path.
  return { numRuns: Math.ceil(count * Number(process.env['FC_RUNS'] ?? 1)), verbose: 1 };
}

/** Watches for rejections that nobody handles. Call it once per file; then ask after every run. */
export function watchUnhandled(): () => Promise<void> {
  const unhandled: unknown[] = [];
  const listener = (reason: unknown) => unhandled.push(reason);
  beforeAll(() => void process.on('unhandledRejection', listener));
  afterAll(() => void process.off('unhandledRejection', listener));
  return async () => {
    await settled();
    expect(unhandled.splice(0)).toEqual([]);
  };
}
