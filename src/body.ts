/** How much of a refused answer is read to free its connection. More is worth a new connection. */
export const DRAIN_LIMIT = 64 * 1024;

/** A body that is read as it is sent, and only once: of the web, of Node, or an async iterable. */
export function isStream(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    ('getReader' in body || 'pipe' in body || Symbol.asyncIterator in body)
  );
}

/** Reads a stream that nobody may want, up to the limit. @returns Aborts it. */
export function drain(stream: ReadableStream<Uint8Array>): AbortController {
  const enough = new AbortController();
  let size = 0;
  const sink = new WritableStream<Uint8Array>({
    write({ byteLength }) {
      size += byteLength;
      if (size > DRAIN_LIMIT) enough.abort();
    },
  });
  // When it breaks off, there is no connection to free.
  stream.pipeTo(sink, enough).catch(() => {});
  return enough;
}

/** Lets go of a stream that nobody will read. */
export function discard(stream: ReadableStream | null | undefined): void {
  stream?.cancel?.().catch(() => {});
}
