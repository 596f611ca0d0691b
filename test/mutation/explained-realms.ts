import type { Explanation } from './explanations.ts';

/** Those of the engines' adapters, by file. */
export const explainedRealms: Record<string, readonly Explanation[]> = {
  'src/realms/browser.ts': [
    {
      line: '} catch {',
      from: '{ return undefined; }',
      to: '{}',
      why: 'What returns nothing returns `undefined`.',
    },
  ],
  'src/realms/redis.ts': [
    {
      line: '(connection.unref ? connection : connection.stream)?.unref();',
      from: '(connection.unref ? connection : connection.stream)?.unref',
      to: '(connection.unref ? connection : connection.stream).unref',
      why: 'Every ioredis that is known has its stream when it is ready; one that has not is not to throw.',
    },
  ],
};
