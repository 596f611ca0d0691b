/**
 * The part of vitest that the contract uses, to run in a page: the same matchers, and tests that are
 * run one by one, by their names, by a real test each.
 */
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

export const { expect } = chai;

type Step = () => unknown;

const tests = new Map<string, Step>();
const before: Step[] = [];
const after: Step[] = [];

/** Only one, and none in it. */
export const describe = (_title: string, body: () => void): void => body();
export const it = (name: string, test: Step): void => void tests.set(name, test);
export const beforeEach = (step: Step): void => void before.push(step);
export const afterEach = (step: Step): void => void after.push(step);

export const testNames = (): string[] => [...tests.keys()];

export async function runTest(name: string): Promise<void> {
  try {
    for (const step of before) await step();
    await tests.get(name)!();
  } finally {
    for (const step of after) await step();
  }
}
