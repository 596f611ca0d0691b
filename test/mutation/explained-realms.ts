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
  'src/realms/postgres.ts': [
    {
      line: 'timer.unref?.();',
      from: 'timer.unref?.()',
      to: 'timer.unref()',
      why: 'Every timer of Node has it; where a timer is a number, nothing is to be thrown.',
    },
    {
      line: 'if (isReleased) return;',
      from: 'isReleased',
      to: 'false',
      why: 'Of `release`: after a break, a LISTEN that fails lets go again, at which `pg` throws; either is tried again.',
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
