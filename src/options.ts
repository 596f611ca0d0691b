import { check } from './check.ts';

/**
 * Reads options once, each with its default. One that has a default must be of its type, and a number
 * not negative. An unknown one is an error, since a misspelt one would be ignored in silence.
 *
 * @param name What is read: all the options, or one that has parts.
 * @throws {TypeError} When one of them is not what it must be.
 */
export function readOptions<
  Options extends object,
  Defaults extends { [Name in keyof Options]-?: Options[Name] | undefined },
>(given: Options, defaults: Defaults, name = 'options'): Read<Options, Defaults> {
  check(name, given, 'an object', Object(given) === given);
  const options: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(given)) {
    const type = typeof options[key];
    check('option', key, 'known', key in defaults);
    if (value === undefined) continue;
    if (type !== 'undefined') check(key, value, `a ${type}`, typeof value === type);
    if (type === 'number') check(key, value, '0 or more', value >= 0);
    options[key] = value;
  }
  return options as never;
}

type Read<Options, Defaults extends { [Name in keyof Options]-?: unknown }> = {
  [Name in keyof Options]-?: Defaults[Name] extends undefined
    ? Options[Name]
    : Exclude<Options[Name], undefined>;
};
