import { defineConfig } from 'vitest/config';

/** All of what `npm test` runs a share of, and a hundred thousand random schedules of greater length. */
export default defineConfig({
  test: {
    include: [
      'test/exploration/*.test.ts',
      'test/properties/{flight-group,token-source}.property.test.ts',
    ],
    env: { PROOF: 'all', FC_RUNS: '50', FC_LENGTH: '2' },
    testTimeout: 3_600_000,
    maxWorkers: 2,
  },
});
