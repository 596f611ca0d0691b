/**
 * In place of `test/child.ts`: runs code with the built package in this realm, which may be one of
 * many, and fails as a process of its own does when a rejection stays unhandled.
 */
import * as oneflight from 'oneflight';
import { takeUnhandled } from '../unhandled.ts';

type Compile = (...parts: string[]) => (...args: unknown[]) => Promise<void>;

/** A Worker compiles no code but by a binding of miniflare's, which is for tests. */
const { compile = (async () => {}).constructor as Compile } = globalThis as { compile?: Compile };

export async function runChild(code: string): Promise<string> {
  const written: string[] = [];
  const log = { log: (text: unknown) => written.push(`${text}\n`) };
  // The imports are of the package only.
  const body = code.replace(/import (\{.*?\}) from 'oneflight';/, 'const $1 = oneflight;');
  await compile('oneflight', 'console', body)(oneflight, log);
  const [first] = await takeUnhandled();
  if (first !== undefined) throw Object.assign(new Error('failed'), { code: 1, stderr: first });
  return written.join('');
}
