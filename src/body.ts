/** How much of a refused answer is read to free its connection. More is worth a connection of its own. */
export const DRAIN_LIMIT = 64 * 1024;

/** A body that is read as it is sent, and only once: of the web, of Node, or an async iterable. */
export function isStream(body: unknown): boolean {
  const { getReader, pipe, [Symbol.asyncIterator]: iterate } = Object(body);
  return !!(getReader || pipe || iterate);
}

/**
 * Reads a stream up to the limit, and keeps what it has read: `tee` would take several times as long.
 *
 * @returns All of the stream, for a new one. Unless that is made, whoever has it must release it.
 */
export function readAhead(stream: ReadableStream<Uint8Array>) {
  const reader = stream.getReader();
  /** Not awaited, since whoever reads them must not wait for those that come later. */
  const reads: ReturnType<typeof reader.read>[] = [];
  const read = async (left: number): Promise<void> => {
    reads.push(reader.read());
    const { done, value } = await reads.at(-1)!;
    if (!done && value.length <= left) await read(left - value.length);
  };
  // When it breaks off, there is no connection to free, and whoever reads it hears.
  const ahead = read(DRAIN_LIMIT).catch(() => {});
  return {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      const { done, value } = await (reads.shift() ?? reader.read());
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason?: unknown): Promise<void> => reader.cancel(reason),
    /**
     * Cancels what is beyond the limit, and what has not come in a second. What is read to its end
     * leaves its connection to others, and a cancelled one is closed.
     */
    release(): void {
      const cancel = () => discard(reader);
      const timer = setTimeout(cancel, 1000);
      // In a browser a number, which has no `unref`.
      timer.unref?.();
      void ahead.then(() => {
        clearTimeout(timer);
        cancel();
      });
    },
  };
}

/** As `readAhead`, of a branch of `tee`: a third of the size, where hardly anybody reads streams. @returns Cancels it. */
export function drain(stream: ReadableStream<Uint8Array>): ReadableStreamDefaultReader {
  const reader = stream.getReader();
  const read = async (left: number): Promise<void> => {
    const { done, value } = await reader.read();
    return done || value.length > left ? reader.cancel() : read(left - value.length);
  };
  // When it breaks off, there is no connection to free.
  read(DRAIN_LIMIT).catch(() => {});
  return reader;
}

/** Lets go of a stream of the web that nobody will read. Anything else is left as it is. */
export function discard(stream: any): void {
  stream?.cancel?.().catch(() => {});
}
