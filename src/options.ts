import { check } from './check.ts';

/**
 * Reads options once, each with its default. One that has a default must be of its type, and a number
 * not negative. An unknown one is an error, since a misspelt one would be ignored in silence.
 *
 * @param within The option that these are part of, if they are.
 * @throws {TypeError} When one of them is not what it must be.
 */
export function readOptions<
  Options extends object,
  Defaults extends { [Name in keyof Options]-?: Options[Name] | undefined },
>(given: Options, defaults: Defaults, within?: string): Read<Options, Defaults> {
  check(within ?? 'options', given, 'an object', Object(given) === given);
  const pathOf = (name: string) => (within ? `${within}.${name}` : name);
  for (const name in given) {
    if (!(name in defaults)) throw new TypeError(`"${pathOf(name)}" is not one of the options`);
  }
  const options: Record<string, unknown> = {};
  for (const [name, byDefault] of Object.entries(defaults)) {
    const { [name]: value = byDefault } = given as Record<string, unknown>;
    const type = typeof byDefault;
    const isOfType = typeof value === type && (type !== 'number' || (value as number) >= 0);
    const wanted = `a ${type}${type === 'number' ? ' from 0' : ''}`;
    check(pathOf(name), value, wanted, byDefault === undefined || isOfType);
    options[name] = value;
  }
  return options as never;
}

type Read<Options, Defaults extends { [Name in keyof Options]-?: unknown }> = {
  [Name in keyof Options]-?: Defaults[Name] extends undefined
    ? Options[Name]
    : Exclude<Options[Name], undefined>;
};
