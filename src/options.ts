import { check } from './check.ts';

/** An option's default, and what it must be: in words, and as a test. A function, if nothing is said. */
export type Rule = readonly [byDefault?: unknown, wanted?: string, holds?: (given: any) => boolean];

/** The rule of an option that is checked elsewhere, or not at all. */
export const ANY: Rule = [undefined, '', () => true];

/** The rule of a callback that need not be given. */
export const CALLBACK: Rule = [
  undefined,
  'a function',
  (given) => given === undefined || typeof given === 'function',
];

/**
 * Reads options once: each with its default, each checked. An unknown one is an error, since a
 * misspelt one would be ignored in silence.
 *
 * @param within The option that these are part of, if they are.
 * @throws {TypeError} When one of them is not what it must be.
 */
export function readOptions<Options extends object, WithDefault extends keyof Options = never>(
  given: Options,
  rules: { [Name in keyof Options]-?: Rule },
  within?: string,
): Options & { [Name in WithDefault]-?: Exclude<Options[Name], undefined> } {
  check(within ?? 'options', given, 'an object', Object(given) === given);
  const pathOf = (name: string) => (within ? `${within}.${name}` : name);
  for (const name of Object.keys(given)) {
    if (!(name in rules)) throw new TypeError(`"${pathOf(name)}" is not one of the options`);
  }
  const read: Record<string, unknown> = {};
  for (const [name, [byDefault, wanted, holds]] of Object.entries<Rule>(rules)) {
    const { [name]: value = byDefault } = given as Record<string, unknown>;
    check(pathOf(name), value, wanted, holds?.(value));
    read[name] = value;
  }
  return read as ReturnType<typeof readOptions<Options, WithDefault>>;
}
