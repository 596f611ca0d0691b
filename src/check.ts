/**
 * Checks an argument before any work is done. Complaints have one grammar in the whole library: what
 * was wanted, then what was given.
 *
 * @throws {TypeError} When `ok` is false, for example
 *   `"timeout" must be a positive number of milliseconds, got "5s" (string)`.
 */
export function check(
  name: string,
  given: unknown,
  wanted = 'a function',
  ok = typeof given === 'function',
): void {
  if (!ok) {
    throw new TypeError(
      `"${name}" must be ${wanted}, got ${typeof given === 'string' ? `"${given}"` : String(given)} (${typeof given})`,
    );
  }
}
