import { randomInt } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { listen } from '../loopback.ts';

/** A request that has come to a socket of the desk, as it is told to the runtime that answers it. */
export interface RelayedRequest {
  id: number;
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  /** Bytes, each as a character. */
  body: string;
}

/** What the desk tells a runtime that listens: first its origin, then requests, and whose client left. */
export type DeskLine = RelayedRequest | { gone: number };

interface RelayedAnswer {
  id: number;
  status: number;
  headers: Record<string, string>;
  body?: string;
}

/**
 * Opens real HTTP servers for runtimes that have none: whatever comes to them is told to the runtime,
 * as lines of an answer that does not end, and answered with what it says. It also serves the page in
 * which a browser runs the suite.
 *
 * - `POST /listen` opens a server and tells its origin and its requests; `/close` closes it.
 * - `/answer` answers a request.
 */
export async function openDesk(page: () => string) {
  const pending = new Map<number, { response: ServerResponse; headers: Record<string, string> }>();
  const closers = new Map<string, () => Promise<void>>();

  const open = async (listener: ServerResponse): Promise<void> => {
    const tell = (line: object) => listener.write(`${JSON.stringify(line)}\n`);
    const { origin, close } = await listen((request, response) => {
      const cors = corsFor(request);
      if (request.method === 'OPTIONS') {
        response.writeHead(204, cors).end();
        return;
      }
      const id = randomInt(2 ** 47);
      pending.set(id, { response, headers: cors });
      response.once('close', () => {
        if (pending.delete(id)) tell({ gone: id });
      });
      const { method, url, headers } = request;
      text(request.setEncoding('latin1')).then(
        (body) => tell({ id, method, url, headers, body }),
        () => {
          // An upload that its client has given up.
        },
      );
    });
    closers.set(origin, close);
    listener.once('close', () => void close());
    tell({ origin });
  };

  const routes: Record<string, (body: string, response: ServerResponse) => unknown> = {
    '/listen': (_, response) => open(response),
    async '/close'(origin, response) {
      await closers.get(origin)?.();
      closers.delete(origin);
      response.end();
    },
    '/answer'(body, response) {
      const { id, status, headers, body: content } = JSON.parse(body) as RelayedAnswer;
      const asked = pending.get(id);
      pending.delete(id);
      asked?.response.writeHead(status, { ...asked.headers, ...headers }).end(content);
      response.end();
    },
    '/'(_, response) {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(`<!doctype html><title>suite</title><script>${page()}</script>`);
    },
  };
  const { origin, close } = await listen((request, response) => {
    const route = routes[request.url!] ?? (() => response.writeHead(404).end());
    text(request).then(
      (body) => route(body, response),
      () => response.destroy(),
    );
  });
  return { origin, close };
}

/** Lets a page of another origin do all that a client without CORS may do. */
function corsFor({ headers }: IncomingMessage): Record<string, string> {
  const asked = headers['access-control-request-headers'];
  return {
    'cache-control': 'no-store',
    ...(headers.origin && {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': '*',
      'access-control-expose-headers': '*',
      ...(asked && { 'access-control-allow-headers': asked }),
    }),
  };
}
