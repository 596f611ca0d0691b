/**
 * `npm run test:runtimes`: the suite over the built package on every runtime, or on those whose names
 * begin with the argument. Prints a table, which a whole run writes into docs/proof.md.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeProof } from '../proof.ts';
import { bundleSuite, install } from './bundle.ts';
import { openDesk } from './desk.ts';
import { lacks } from './lacks.ts';
import { INSTALL, runtimes, type Runtime } from './runtimes.ts';
import { scoreOf, type Score } from './score.ts';
import { isSelfCheck, textOf, type Result } from './suite-names.ts';
import { markdownOf, tableOf } from './table.ts';

/** Most of the time the suite waits: for a delay, or for a browser. */
const AT_A_TIME = 3;

/** A runtime is given up when more tests have failed: each may have hung for its 30 s. */
const MOST_FAILURES = 20;

// Not only runtimes: also what the suite is bundled with.
if (!existsSync(join(import.meta.dirname, 'node_modules'))) throw new Error(`first ${INSTALL}`);

const wanted = process.argv[2]?.toLowerCase();
let page = '';
const desk = await openDesk(() => page);
const suites = {
  7: await bundleSuite(install(7), desk.origin),
  8: await bundleSuite(install(8), desk.origin),
  9: await bundleSuite(install(9), desk.origin),
};
page = readFileSync(suites[9].bundle, 'utf8');

/** Known before any runtime is: what each has to have run. */
const names = JSON.parse(
  execFileSync(process.execPath, [suites[7].import, 'names']).toString(),
) as string[];

const queue = runtimes.filter(({ name }) => name.toLowerCase().startsWith(wanted ?? ''));
if (!queue.length) throw new Error(`no runtime begins with ${wanted}`);
const scores = queue.map((runtime): Score => {
  const failures = [`Not here: ${runtime.install}`];
  return { runtime, version: '', passed: 0, failures, lacking: [] };
});
const missing = scores.filter(({ runtime }) => !runtime.isThere);

await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    // The slowest are the last of the list.
    for (let runtime = queue.pop(); runtime; runtime = queue.pop()) {
      const score = scores.find((each) => each.runtime === runtime)!;
      if (runtime.isThere) Object.assign(score, await runOn(runtime));
    }
  }),
);
await desk.close();

async function runOn(runtime: Runtime): Promise<Omit<Score, 'runtime'>> {
  const known = lacks[runtime.name] ?? [];
  const results: Result[] = [];
  const isBad = ({ name, error }: Result) =>
    error !== undefined && !isSelfCheck(name) && !known.some(({ tests }) => tests.test(name));
  const startedAt = performance.now();
  let version = '';
  let crash: unknown;
  try {
    await runtime.run({
      suite: suites[runtime.retry][runtime.way],
      desk: desk.origin,
      isAbsent: (name) => known.some(({ isAbsent, tests }) => isAbsent && tests.test(name)),
      onVersion: (own) => {
        version = own;
      },
      onResult: (result) => {
        results.push(result);
        if (results.filter(isBad).length > MOST_FAILURES) throw new Error('Too many tests fail');
      },
    });
  } catch (error) {
    crash = error;
  }
  // In a page axios' own transport is another.
  const score = scoreOf(
    names,
    results.map(({ name, ...rest }) => ({ name: name.replace(', xhr >', ', http >'), ...rest })),
    known,
  );
  if (crash !== undefined) score.failures.unshift(`The run has failed: ${textOf(crash)}`);
  for (const failure of score.failures) console.error(`FAILED on ${runtime.name}: ${failure}\n`);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  console.log(`${runtime.name}, by ${runtime.way}: ${score.passed} passed in ${seconds} s`);
  return { version, ...score };
}

const count = names.filter((name) => !isSelfCheck(name)).length;
console.log(`\n${tableOf(scores)}\n`);
// Without CI it is enough to say so.
const isSuccess = scores.every(
  (score) => score.failures.length === 0 || (missing.includes(score) && !process.env['CI']),
);
const numPassedTests = scores.reduce((sum, { passed }) => sum + passed, 0);
const numFailedTests = isSuccess
  ? 0
  : scores.reduce((sum, { failures }) => sum + failures.length, 0);
const coverage = join(import.meta.dirname, '../../coverage');
mkdirSync(coverage, { recursive: true });
// As vitest's reports, which CI reads.
const testResults = scores.map(({ runtime, failures }) => ({
  name: runtime.name,
  status: failures.length === 0 ? 'passed' : 'failed',
  message: failures.join('\n'),
}));
writeFileSync(
  join(coverage, 'runtimes.json'),
  JSON.stringify({ numPassedTests, numFailedTests, success: isSuccess, testResults }),
);
if (!wanted && isSuccess && !missing.length) writeProof('runtimes', markdownOf(scores, count));
process.exitCode = isSuccess ? 0 : 1;
