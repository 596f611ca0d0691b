/**
 * The part of vitest that suites use which also run where vitest cannot, as in a page: the same
 * matchers, and tests that are run one by one, by their names.
 */
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const expect = Object.assign(chai.expect, {
  unreachable(message = 'this was not to happen'): never {
    throw new Error(message);
  },
});

type Step = (...args: any[]) => unknown;

/** A `describe`. Steps before go from the outer to the inner, those after the other way round. */
interface Scope {
  title: string;
  before: Step[];
  after: Step[];
  outer?: Scope;
}

const tests = new Map<string, { body: Step; scope: Scope; timeout: number }>();
let scope: Scope = { title: '', before: [], after: [] };
/** What the test that is running wants done at its end. */
let finishers: Step[] = [];

/** What stands outside of any `describe` is its file's. The bundler writes this into each. */
export const beginFile = (): void => {
  scope = { title: '', before: [], after: [] };
};

const enter = (title: string, body: Step): void => {
  const outer = scope;
  scope = { title: `${outer.title}${title} > `, before: [], after: [], outer };
  body();
  scope = outer;
};

const add = (title: string, body: Step, timeout = 30_000): void => {
  const name = scope.title + title;
  // Cases may differ in what a title does not show.
  let count = 1;
  while (tests.has(count > 1 ? `${name} (${count})` : name)) count++;
  tests.set(count > 1 ? `${name} (${count})` : name, { body, scope, timeout });
};

/** One for each case, which is a list of arguments or the only one. */
const forEach =
  (one: typeof add) =>
  (cases: readonly unknown[]) =>
  (title: string, body: Step, timeout?: number): void => {
    for (const [index, given] of cases.entries()) {
      const args: unknown[] = Array.isArray(given) ? given : [given];
      one(titleOf(title, args, index), () => body(...args), timeout);
    }
  };

export const describe = Object.assign(enter, { each: forEach(enter) });
export const it = Object.assign(add, {
  each: forEach(add),
  runIf: (is: boolean) => (is ? add : () => {}),
  // One by one all the same: what one leaves behind is not to be another's.
  concurrent: { each: forEach(add) },
});
export const beforeEach = (step: Step): void => void scope.before.push(step);
export const afterEach = (step: Step): void => void scope.after.push(step);
export const onTestFinished = (step: Step): void => void finishers.unshift(step);

export const testNames = (): string[] => [...tests.keys()];

const { setTimeout, clearTimeout } = globalThis;

/** Rejects when the test fails, or is not done within its timeout. */
export async function runTest(name: string): Promise<void> {
  const { body, scope: inner, timeout } = tests.get(name)!;
  const scopes: Scope[] = [];
  const ending: Step[] = [];
  for (let each: Scope | undefined = inner; each; each = each.outer) {
    scopes.unshift(each);
    ending.push(...each.after);
  }
  let timer: ReturnType<typeof setTimeout> | undefined;
  const isLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeout} ms`)), timeout);
  });
  finishers = [];
  const runAll = async () => {
    for (const { before } of scopes) for (const step of before) await step();
    await body();
  };
  try {
    await Promise.race([runAll(), isLate]);
  } finally {
    clearTimeout(timer);
    await runEach([...ending, ...finishers]);
  }
}

/** All of them, also when one throws: a clock that stays faked would hang every test that follows. */
async function runEach([step, ...rest]: Step[]): Promise<void> {
  try {
    await step?.();
  } finally {
    if (rest.length) await runEach(rest);
  }
}

/** As vitest writes it. */
function titleOf(title: string, args: unknown[], index: number): string {
  let next = 0;
  return title
    .replace(/\$(\w+)/g, (_, key: string) => String((args[0] as Record<string, unknown>)[key]))
    .replace(/%([%#sdij])/g, (_, kind: string) => {
      if (kind === '%') return '%';
      if (kind === '#') return String(index);
      const value = args[next++];
      if (kind === 'j') return JSON.stringify(value);
      return value instanceof Date ? value.toISOString() : String(value);
    });
}
