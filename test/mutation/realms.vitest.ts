import { mergeConfig } from 'vitest/config';
import { tests } from './tests.ts';

export default mergeConfig(
  tests([
    'test/browser-tokens*.test.ts',
    'test/shared/contract/browser.test.ts',
    'test/engines/{adapters,redis,postgres}.test.ts',
  ]),
  // They start servers, and wait for them.
  { test: { testTimeout: 20_000, hookTimeout: 60_000 } },
);
