import type { IncomingMessage, ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';
import { listen } from '../loopback.ts';
import type { TokenResponse } from '../token-endpoint.ts';

/** One answer: by the book, or whatever it likes to write to `response.socket`. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** What no message may hold: every token of this server has it. */
export const SECRET = 'secret';

const tokenOf = (n: number): TokenResponse => ({
  access_token: `at-${SECRET}-${n}`,
  token_type: 'Bearer',
  expires_in: 3600,
  refresh_token: `rt-${SECRET}-${n}`,
});

/**
 * An authorization server and API on loopback that answers as a test says, where
 * `test/authorization-server.ts` answers by the book. The first token is refused, and `POST /token`
 * gives the next, until the test scripts another answer.
 */
export async function startHostileServer() {
  /** How the next refreshes are answered, in order; as they should be, when there are none left. */
  const refreshAnswers: Answer[] = [];
  /** How a request is refused, by its path. */
  const refusals = new Map<string, Answer>();
  /** Paths that refuse any token. */
  const closedPaths = new Set<string>();
  const paths: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let refreshes = 0;
  let issued = 0;

  const { server, origin, close } = await listen((request, response) => {
    request.resume();
    if (request.url === '/token') {
      refreshes++;
      const scripted = refreshAnswers.shift();
      if (scripted) scripted(response, request);
      else json(tokenOf(++issued))(response, request);
      return;
    }
    const path = request.url!;
    paths.push(path);
    headers.push(request.headers);
    const isGood = request.headers.authorization === `Bearer ${tokenOf(issued).access_token}`;
    if (isGood && issued > 0 && !closedPaths.has(path)) response.end('fine');
    else (refusals.get(path) ?? status(401))(response, request);
  });
  onTestFinished(close);

  return {
    server,
    origin,
    refreshAnswers,
    refusals,
    closedPaths,
    /** The requests to the API, in the order they came, and their headers. */
    paths,
    headers,
    /** The one that a source begins with, and that the API refuses. */
    firstToken: tokenOf(0),
    get refreshes() {
      return refreshes;
    },
    /** How often a path of the API was asked. */
    sends: (path: string) => paths.filter((each) => each === path).length,
  };
}

export const json =
  (body: unknown): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };

export const text =
  (type: string, body: string): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': type });
    response.end(body);
  };

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response.writeHead(code, headers);
    response.end('no');
  };

/** What comes over the wire, whether it is HTTP or not; then the connection is closed. */
export const raw =
  (wire: string): Answer =>
  (response) => {
    response.socket!.end(wire);
  };
