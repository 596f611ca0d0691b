/**
 * What every runtime runs: the very files that `npm test` runs from the sources in Node, here over the
 * built package, with stand-ins for vitest and for the listening socket (`bundle.ts`).
 */
// oxlint-disable import/no-unassigned-import -- tests register themselves
import '../single-flight.test.ts';
import '../flight-group.test.ts';
import '../token-source.test.ts';
import '../token-source-time.test.ts';
import '../token-source-options.test.ts';
import '../connection.test.ts';
import '../unhandled.test.ts';
import '../adapters/contract/fetch.test.ts';
import '../adapters/contract/ky.test.ts';
import '../adapters/contract/axios.test.ts';
import { describe, expect, it } from 'vitest';
import { runTest, testNames } from '../stand-in.ts';
import { SELF_CHECK, textOf, type Result } from './suite-names.ts';
import { hearUnhandled, takeUnhandled } from './unhandled.ts';

/** Tests that must fail: a runtime on which they pass would let anything pass. */
// oxlint-disable-next-line vitest/valid-title
describe(SELF_CHECK, () => {
  it('a wrong value fails', () => expect(1).toBe(2));
  it('a promise that settles the other way fails', () => expect(Promise.resolve()).rejects.toBe(1));
  it('an unhandled rejection fails', () => void Promise.reject(new Error('nobody hears')));
  it('a test that hangs fails', () => new Promise(() => {}), 50);
});

hearUnhandled();

/** A process of its own is what these are about, which `npm test` gives them. */
const OF_A_PROCESS = 'A process that has nothing else to do ends';

export const names = (): string[] => testNames().filter((name) => !name.startsWith(OF_A_PROCESS));

export async function run(name: string): Promise<Result> {
  try {
    await runTest(name);
    const [unhandled] = await takeUnhandled();
    return unhandled === undefined ? { name } : { name, error: `unhandled: ${unhandled}` };
  } catch (error) {
    // What it leaves behind is not the next one's.
    await takeUnhandled();
    return { name, error: textOf(error) };
  }
}

/** The version of the runtime, as it says itself. */
export function version(): string {
  const { process, navigator } = globalThis as {
    process?: NodeJS.Process;
    navigator?: Navigator;
  };
  const { bun, deno, node }: Record<string, string | undefined> = process?.versions ?? {};
  return bun ?? deno ?? node ?? navigator?.userAgent ?? '';
}
