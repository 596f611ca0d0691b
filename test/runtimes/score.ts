import type { Lack } from './lacks.ts';
import type { Runtime } from './runtimes.ts';
import { isSelfCheck, type Result } from './suite-names.ts';

/** How the suite went on one runtime. */
export interface Score {
  runtime: Runtime;
  version: string;
  passed: number;
  /** Why it is not good: one line for each test that did not do what it must. */
  failures: string[];
  /** How many tests need what the runtime has not got. */
  lacking: { what: string; count: number }[];
}

/**
 * Holds the results of a runtime against the names of all tests: each has passed, or is lacking and
 * has failed, or is about a client that is not there. Nothing passes by not being run.
 */
export function scoreOf(
  names: string[],
  results: Result[],
  lacks: Lack[],
): Pick<Score, 'passed' | 'failures' | 'lacking'> {
  const outcomes = new Map(results.map((result) => [result.name, result]));
  const counts = new Map<Lack, number>();
  const failures: string[] = [];
  let passed = 0;
  for (const name of names) {
    const outcome = outcomes.get(name);
    outcomes.delete(name);
    const isGood = outcome && outcome.error === undefined;
    const lack = lacks.find(({ tests }) => tests.test(name));
    if (lack) counts.set(lack, (counts.get(lack) ?? 0) + 1);
    if (lack?.isAbsent) continue;
    if (!outcome) failures.push(`${name}\nwas not run`);
    else if (lack || isSelfCheck(name)) {
      if (isGood) failures.push(`${name}\nmust fail${lack ? ` without ${lack.what}` : ''}`);
    } else if (isGood) passed++;
    else failures.push(`${name}\n${outcome.error}`);
  }
  for (const name of outcomes.keys()) failures.push(`${name}\nis unknown elsewhere`);
  for (const lack of lacks.filter((each) => !counts.has(each))) {
    failures.push(`No test needs ${lack.what}`);
  }
  const lacking = [...counts].map(([{ what }, count]) => ({ what, count }));
  return { passed, failures, lacking };
}
