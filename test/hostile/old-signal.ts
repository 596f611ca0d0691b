/** What older polyfills give for an `AbortSignal`: no `reason`, no `throwIfAborted`, no `EventTarget`. */
export class OldSignal {
  aborted = false;
  readonly listeners = new Set<() => void>();

  addEventListener(_: 'abort', listener: () => void): void {
    this.listeners.add(listener);
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    this.listeners.delete(listener);
  }

  /** As their controllers do, without a guard around the listeners. */
  abort(): void {
    this.aborted = true;
    for (const listener of this.listeners) listener();
  }
}
