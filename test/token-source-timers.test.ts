/** Not in other runtimes: whether a timer keeps a process alive can be asked in Node only. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { createTokenSource } from '../src/index.ts';
import { timerOf } from './timer.ts';

it('§4.4 A retry keeps no process alive while it waits', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  onTestFinished(() => timers.mockRestore());
  const response = new Response(null, { status: 503 });
  const tokens = createTokenSource<string>({
    retry: { minTimeout: 5_000, randomize: false },
    refresh: () => Promise.reject(Object.assign(new Error('refused'), { response })),
  });
  const waiting = tokens.get();
  expect((await timerOf(timers, 5_000)).hasRef()).toBe(false);
  void tokens.clear();
  await expect(waiting).rejects.toMatchObject({ code: 'SIGNED_OUT' });
});
