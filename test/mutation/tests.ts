import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** A mutant dies in the first test that fails: what takes seconds comes last. */
class FastestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const cost = ({ moduleId }: TestSpecification) =>
      ['/properties/', '/contract/'].findIndex((each) => moduleId.includes(each));
    return files.sort((a, b) => cost(a) - cost(b));
  }
}

/** Tests that import the source, not what is built from it, nor documents. */
export function tests(include: string[]): ViteUserConfig {
  return defineConfig({
    test: {
      include,
      // Whether a mutant survives must not depend on chance; and there are a thousand of them.
      setupFiles: ['test/mutation/seed.ts'],
      env: { FC_RUNS: '0.1' },
      sequence: { sequencer: FastestFirst },
      // On a busy machine, too, it is the mutant that hangs.
      testTimeout: 20_000,
    },
  });
}
