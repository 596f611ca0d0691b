import { defineConfig } from 'vitest/config';
import { absentParts } from '../engines/parts.ts';
import { CoverageProof } from './coverage-proof.ts';

/** What the sources of the engines need; without it they are left out, which is said aloud. */
const isComplete = absentParts('redis-server', 'postgresql', 'pgbouncer').length === 0;

/** That every line and branch of the source is run: `npm run test:coverage`. */
export default defineConfig({
  test: {
    globalSetup: 'test/build.ts',
    coverage: {
      enabled: true,
      include: ['src/**'],
      exclude: isComplete ? [] : ['src/realms/{redis,postgres}.ts'],
      thresholds: { 100: true },
      reportsDirectory: 'coverage/lines',
      reporter: ['text', 'json'],
    },
    reporters: isComplete ? ['default', new CoverageProof()] : ['default'],
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: [
            '**/node_modules/**',
            'test/{browser,engines,exploration,soak}/**',
            // What is about what is built, or written, or other people's.
            'test/{beyond-one-realm,layers,memory,migrating,package,readme,size,types,unhandled}.test.ts',
            'test/servers/**',
          ],
          testTimeout: 20_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'engines',
          // Those of one process; the others run what is built.
          include: ['test/engines/{adapters,redis,postgres}.test.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          // After the others: time is compared here.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
