import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Suites that need more than Node have commands of their own.
    exclude: ['test/browser/**', 'test/engines/**', 'test/runtimes/node_modules/**'],
    globalSetup: 'test/build.ts',
    // More runs of the properties take more time.
    testTimeout: 10_000 * Number(process.env['FC_RUNS'] ?? 1),
    // Two cores: more workers only wait for each other, and the loopback tests measure no time.
    maxWorkers: 2,
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: 'coverage/results.json' },
  },
});
