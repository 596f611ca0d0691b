import { defineConfig } from 'vitest/config';

/** What needs browsers: `npm run test:browser`. Only one: `BROWSER=Firefox npm run test:browser`. */
export default defineConfig({
  test: {
    include: ['test/browser/*.test.ts'],
    reporters: process.env['CI'] ? ['default', 'json'] : ['default'],
    outputFile: { json: 'coverage/browser.json' },
    // Time is compared here: one suite at a time.
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
