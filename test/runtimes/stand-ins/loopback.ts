/**
 * In place of `test/loopback.ts` where nothing can listen, as in a page or a worker: a server whose
 * socket is in the driver (`desk.ts`), and whose handler is here, beside the tests that look into it.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { DeskLine, RelayedRequest } from '../desk.ts';

/** Set by the bundler. */
declare const DESK: string;

/** The runtime's own: tests may put another in its place. */
const { fetch } = globalThis;

export async function listen(handle: RequestListener) {
  const stream = new AbortController();
  // Firefox lets one GET of a URL wait for another that has not ended.
  const init = { method: 'POST', signal: stream.signal };
  const lines = linesOf(await fetch(`${DESK}/listen`, init));
  const { origin } = JSON.parse((await lines.next()).value!) as { origin: string };
  const pending = new Map<number, RelayedResponse>();
  void (async () => {
    for await (const text of lines) {
      const line = JSON.parse(text) as DeskLine;
      if ('gone' in line) {
        pending.get(line.gone)?.leave();
        pending.delete(line.gone);
      } else {
        const response = new RelayedResponse(line.id);
        pending.set(line.id, response);
        handle(requestOf(line), response as unknown as ServerResponse & { req: IncomingMessage });
      }
    }
  })().catch(() => {
    // Closed.
  });
  return {
    /** Connections are not told. */
    server: { on() {} },
    origin,
    async close() {
      await fetch(`${DESK}/close`, { method: 'POST', body: origin });
      stream.abort();
    },
  };
}

async function* linesOf(response: Response): AsyncGenerator<string, void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

/** What a handler reads of a request. */
function requestOf({ method, url, headers, body }: RelayedRequest): IncomingMessage {
  const request = {
    method,
    url,
    headers,
    async *[Symbol.asyncIterator]() {
      if (body) yield Buffer.from(body, 'latin1');
    },
  };
  return request as unknown as IncomingMessage;
}

/** What a handler does with a response: it is sent when it is whole. */
class RelayedResponse {
  readonly #id: number;
  readonly #listeners: Record<string, (() => void)[]> = { finish: [], close: [] };
  #headers: Record<string, string> = {};
  statusCode = 200;
  destroyed = false;
  writableFinished = false;

  constructor(id: number) {
    this.#id = id;
  }

  once(event: 'finish' | 'close', listener: () => void): void {
    this.#listeners[event]!.push(listener);
  }

  setHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  writeHead(status: number, headers: Record<string, string> = {}): void {
    this.statusCode = status;
    this.#headers = { ...this.#headers, ...headers };
  }

  end(body?: string): void {
    if (this.destroyed) return;
    const answer = { id: this.#id, status: this.statusCode, headers: this.#headers, body };
    this.writableFinished = true;
    for (const listener of this.#listeners['finish']!) listener();
    fetch(`${DESK}/answer`, { method: 'POST', body: JSON.stringify(answer) }).then(
      (response) => response.body?.cancel(),
      () => {
        // The desk has gone: the request fails, and its test tells.
      },
    );
  }

  /** Its client has gone. */
  leave(): void {
    this.destroyed = true;
    for (const listener of this.#listeners['close']!) listener();
  }
}
