import { defineConfig } from 'vitest/config';

/** What needs Redis and PostgreSQL: `npm run test:engines`. */
export default defineConfig({
  test: {
    include: ['test/engines/*.test.ts'],
    globalSetup: 'test/build.ts',
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: 'coverage/engines.json' },
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Time is compared here: one suite at a time.
    fileParallelism: false,
  },
});
