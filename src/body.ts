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
  let size = 0;
  const next = ({ done, value }: ReadableStreamReadResult<Uint8Array>): Promise<void> =>
    done || (size += value.length) > DRAIN_LIMIT ? reader.cancel() : reader.read().then(next);
  // When it breaks off, there is no connection to free.
  reader
    .read()
    .then(next)
    .catch(() => {});
  return reader;
}

/** Lets go of a stream that nobody will read. */
export function discard(stream: { cancel?(): Promise<void> } | null | undefined): void {
  stream?.cancel?.().catch(() => {});
}
