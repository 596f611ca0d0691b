import { expect, vi, type MockInstance } from 'vitest';

/** The timer of Node that waits so many milliseconds, once it has been set. */
export function timerOf(
  setTimeouts: MockInstance<typeof setTimeout>,
  wait: number,
): Promise<NodeJS.Timeout> {
  return vi.waitFor(() => {
    const index = setTimeouts.mock.calls.findIndex(([, each]) => each === wait);
    expect(index).toBeGreaterThan(-1);
    return setTimeouts.mock.results[index]!.value as NodeJS.Timeout;
  });
}
