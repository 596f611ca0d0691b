import { afterEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource } from '../../src/index.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a hung refresh', () => {
  it('ends where every timer is late, as in a hidden tab, whose timers wait for a full second', async () => {
    vi.useFakeTimers({ now: 0 });
    const { setTimeout } = globalThis;
    // Chromium lets timers of a hidden tab run once per second, or per minute.
    vi.stubGlobal('setTimeout', (call: () => void, wait = 0) =>
      setTimeout(call, Math.ceil((Date.now() + wait + 1) / 1_000) * 1_000 - Date.now()),
    );
    const tokens = createTokenSource<string>({
      token: 'first',
      timeout: 30_000,
      refresh: () => new Promise(() => {}),
    });
    const outcome = vi.fn();
    tokens.renew(await tokens.get()).catch(outcome);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(outcome).toHaveBeenCalledWith(expect.objectContaining({ code: 'REFRESH_TIMEOUT' }));
  });
});
