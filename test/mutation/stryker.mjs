/**
 * How Stryker runs one part of the source against the tests of that part: its mutants stay in memory
 * and in `coverage/mutation`, where `report.ts` finds what became of them.
 *
 * @param {string} part
 * @param {string[]} mutate
 */
export const mutation = (part, mutate) => ({
  mutate,
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: `test/mutation/${part}.vitest.ts` },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  // A mutant that is killed by a timeout must hang, on a busy machine too.
  timeoutMS: 60_000,
  timeoutFactor: 5,
  reporters: ['progress-append-only'],
  // The report of what is tried now and, where that is a part, of what was tried before.
  incremental: true,
  incrementalFile: `coverage/mutation/${part}.json`,
  tempDirName: `coverage/mutation/${part}`,
  ignorePatterns: ['dist', 'coverage', '.demo'],
});
