/** In place of vitest, in every runtime: the registry of tests, mocks, and a clock of the test's own. */
import { install, type Clock, type FakeMethod } from '@sinonjs/fake-timers';
import { fn, restoreAllMocks, spyOn } from '@vitest/spy';

export * from '../../stand-in.ts';

let clock: Clock | undefined;

/** What stood at a global before it was stubbed. */
const originals = new Map<PropertyKey, PropertyDescriptor | undefined>();

export const vi = {
  fn,
  spyOn,
  restoreAllMocks,
  stubGlobal(name: PropertyKey, value: unknown): void {
    if (!originals.has(name))
      originals.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  },
  unstubAllGlobals(): void {
    for (const [name, original] of originals) {
      Reflect.deleteProperty(globalThis, name);
      if (original) Object.defineProperty(globalThis, name, original);
    }
    originals.clear();
  },
  useFakeTimers({ now = Date.now() }: { now?: number | Date } = {}): void {
    clock?.uninstall();
    // As vitest does: promises go on.
    const toFake: FakeMethod[] = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'];
    toFake.push('setImmediate', 'clearImmediate', 'performance', 'Date');
    clock = install({ now, toFake, ignoreMissingTimers: true });
  },
  useRealTimers(): void {
    clock?.uninstall();
    clock = undefined;
  },
  setSystemTime: (now: number | Date): void => clock!.setSystemTime(now),
  getTimerCount: (): number => clock!.countTimers(),
  advanceTimersByTime: (milliseconds: number): void => void clock!.tick(milliseconds),
  async advanceTimersByTimeAsync(milliseconds: number): Promise<void> {
    await clock!.tickAsync(milliseconds);
  },
};
