import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Runs code against the built package in a process of its own, bounded in time: for what only a
 * whole process shows, as an unhandled rejection or its memory. Rejects when the process fails.
 */
export async function runChild(code: string, flags: string[] = []): Promise<string> {
  const args = [...flags, '--input-type=module', '-e', code];
  const { stdout } = await run(process.execPath, args, {
    cwd: join(import.meta.dirname, '..'),
    timeout: 30_000,
  });
  return stdout;
}
