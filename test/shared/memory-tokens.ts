import {
  sharedTokens,
  type SharedTokens,
  type StoredSession,
  type TokenLocks,
  type TokenStore,
} from '../../src/index.ts';

/**
 * A place that token sources of one process share, as several realms would: the least that locks and
 * a store must do.
 */
export class MemoryTokens<Token> implements TokenLocks, TokenStore<Token> {
  stored: (StoredSession<Token> & { readonly writtenAt: number }) | undefined;
  readonly listeners = new Set<() => void>();
  /** The end of the last hold of each name. */
  readonly #held = new Map<string, Promise<unknown>>();

  async request<Result>(
    name: string,
    { signal }: { signal: AbortSignal },
    callback: (grant: null) => Promise<Result>,
  ): Promise<Result> {
    const before = this.#held.get(name);
    const mine = (async () => {
      await before?.catch(() => {});
      signal.throwIfAborted();
      return callback(null);
    })();
    this.#held.set(name, mine);
    return mine;
  }

  async read() {
    return this.stored && { ...this.stored, age: performance.now() - this.stored.writtenAt };
  }

  async write(stored: StoredSession<Token>, { expected }: { expected: number }) {
    if ((this.stored?.version ?? 0) !== expected) return false;
    this.stored = { ...stored, writtenAt: performance.now() };
    for (const listener of this.listeners) queueMicrotask(listener);
    return true;
  }

  subscribe(listener: () => void) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export function memoryTokens<Token>(name: string, place: MemoryTokens<Token>): SharedTokens<Token> {
  return sharedTokens({ name, locks: place, store: place });
}
