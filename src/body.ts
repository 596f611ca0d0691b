/** How much of a refused answer is read to free its connection. More is worth a new connection. */
export const DRAIN_LIMIT = 64 * 1024;

/** A body that is read as it is sent, and only once: of the web, of Node, or an async iterable. */
export function isStream(body: unknown): boolean {
  const { getReader, pipe, [Symbol.asyncIterator]: iterate } = Object(body);
  return !!(getReader || pipe || iterate);
}

/** Reads a stream that nobody may want, up to the limit. @returns Cancels it. */
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
