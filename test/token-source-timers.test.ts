/** Not in other runtimes: whether a timer keeps a process alive can be asked in Node only. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { createTokenSource } from '../src/index.ts';

it('§4.4 A retry keeps no process alive while it waits', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  onTestFinished(() => timers.mockRestore());
  const response = new Response(null, { status: 503 });
  const tokens = createTokenSource<string>({
    retry: { minTimeout: 5_000, randomize: false },
    refresh: () => Promise.reject(Object.assign(new Error('refused'), { response })),
  });
  const waiting = tokens.get();
  const timer = await vi.waitFor(() => {
    const index = timers.mock.calls.findIndex(([, wait]) => wait === 5_000);
    expect(index).toBeGreaterThan(-1);
    return timers.mock.results[index]!.value as NodeJS.Timeout;
  });
  expect(timer.hasRef()).toBe(false);
  void tokens.clear();
  await expect(waiting).rejects.toMatchObject({ code: 'SIGNED_OUT' });
});
