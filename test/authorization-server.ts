import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gate, type Gate } from './gate.ts';
import { listen } from './loopback.ts';
import type { TokenResponse } from './token-endpoint.ts';

export { refreshAt, type TokenResponse } from './token-endpoint.ts';

/** A user's session at the server: one family of refresh tokens. */
export interface ServerSession {
  /** Revoked when a refresh token is used a second time (RFC 9700 §4.14.2). */
  alive: boolean;
  /** When it was revoked, by `performance.now()`. */
  revokedAt: number | undefined;
  refreshes: number;
  refusals: number;
}

/** One request as it came and was answered. Instants are by `performance.now()`. */
export interface LogEntry {
  kind: 'refresh' | 'request';
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  startedAt: number;
  endedAt?: number;
  status?: number;
  /** When its client left without having been answered. */
  goneAt?: number;
}

/** How the next refreshes are answered, in order: a status, or never. */
export type ScriptedRefresh =
  'ok' | 'hang' | number | { status: number; headers: Record<string, string> };

export interface ServerOptions {
  /** Milliseconds an access token is good for. @default an hour */
  accessTokenTtl?: number;
  /** Milliseconds a refresh takes. @default 0 */
  refreshDelay?: number;
  /**
   * Milliseconds within which a refresh token may be used again, and gives another token: for those
   * who lost the answer.
   * @default 0
   */
  reuseGrace?: number;
  /** Milliseconds by which the answer to the nth request to the API, from 0, is held back. @default none */
  staggered?: (n: number) => number;
  /** What the API answers a good request with: JSON, or a response. @default What it was sent. */
  api?: (request: { url: URL; method: string; type: string; body: string }) => unknown;
  /** What it serves beside, by path: pages and their scripts. They are not logged. */
  files?: Record<string, { type: string; body: string }>;
  /** Headers of every answer, for example for CORS. */
  headers?: Record<string, string>;
  /** Whether a refresh whose client has gone before the token is rotated rotates nothing. @default false */
  abandons?: boolean;
}

/**
 * A real authorization server and API on loopback, for the tests and for the demo. Refresh tokens
 * rotate, and one that is used twice revokes its session.
 *
 * - `POST /token` refreshes.
 * - `/api/…` needs a good access token, judged on arrival, and answers with what it was sent.
 *   `?delay=` holds the answer back by milliseconds, whatever it is; `?pad=` makes a refusal longer by
 *   bytes; `/api/empty` answers 204.
 * - `/redirect?to=…&status=…` redirects.
 */
export async function startAuthorizationServer(options: ServerOptions = {}) {
  const { accessTokenTtl = 3_600_000, refreshDelay = 0, reuseGrace = 0, staggered } = options;
  let apiRequests = 0;
  const accessTokens = new Map<string, { session: ServerSession; expiresAt: number }>();
  const refreshTokens = new Map<string, { session: ServerSession; usedAt: number }>();
  const log: LogEntry[] = [];
  const script: ScriptedRefresh[] = [];
  const awaited: { kind: LogEntry['kind']; count: number; arrived: Gate }[] = [];
  let held: Gate | undefined;
  let heldAnswers: Gate | undefined;
  const heldPaths = new Map<string, Gate>();
  let connections = 0;
  let rotations = 0;

  const hasArrived = (kind: LogEntry['kind'], count: number): boolean =>
    log.filter((entry) => entry.kind === kind).length >= count;

  const issue = (session: ServerSession): TokenResponse => {
    const [access_token, refresh_token] = [`at-${randomUUID()}`, `rt-${randomUUID()}`];
    accessTokens.set(access_token, { session, expiresAt: performance.now() + accessTokenTtl });
    refreshTokens.set(refresh_token, { session, usedAt: Infinity });
    return { access_token, token_type: 'Bearer', expires_in: accessTokenTtl / 1000, refresh_token };
  };

  const refresh = async (body: string, response: ServerResponse): Promise<void> => {
    const known = refreshTokens.get(new URLSearchParams(body).get('refresh_token') ?? '');
    if (known) known.session.refreshes++;
    const scripted = script.shift() ?? 'ok';
    await held?.promise;
    if (refreshDelay) await sleep(refreshDelay);
    if (scripted === 'hang' || (options.abandons && response.destroyed)) return;
    if (scripted !== 'ok') {
      const { status, headers } =
        typeof scripted === 'number' ? { status: scripted, headers: {} } : scripted;
      return answer(response, status, { error: 'scripted' }, headers);
    }
    const isReused = known && performance.now() - known.usedAt >= reuseGrace;
    if (isReused && known.session.alive) {
      known.session.alive = false;
      known.session.revokedAt = performance.now();
    }
    if (!known?.session.alive) return answer(response, 400, { error: 'invalid_grant' });
    known.usedAt = Math.min(known.usedAt, performance.now());
    const token = issue(known.session);
    rotations++;
    await heldAnswers?.promise;
    answer(response, 200, token);
  };

  const api = async (
    url: URL,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ) => {
    const known = accessTokens.get(request.headers.authorization?.replace('Bearer ', '') ?? '');
    const good = known?.session.alive && known.expiresAt > performance.now();
    if (known && !good) known.session.refusals++;
    const delay = staggered?.(apiRequests++) ?? Number(url.searchParams.get('delay'));
    if (delay) await sleep(delay);
    await heldPaths.get(url.pathname)?.promise;
    const pad = 'x'.repeat(Number(url.searchParams.get('pad')));
    if (!good) return answer(response, 401, { error: 'invalid_token', ...(pad && { pad }) });
    if (url.pathname === '/api/empty') return answer(response, 204);
    if (options.api) {
      const type = request.headers['content-type'] ?? '';
      const given = await options.api({
        url,
        method: request.method!,
        type,
        body: body.toString(),
      });
      if (!(given instanceof Response)) return answer(response, 200, given);
      response.writeHead(given.status, Object.fromEntries(given.headers));
      response.end(await given.text());
      return;
    }
    answer(response, 200, {
      method: request.method,
      path: url.pathname,
      type: request.headers['content-type'] ?? null,
      bytes: body.length,
      body: body.toString('latin1'),
    });
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url!, 'http://localhost');
    for (const [name, value] of Object.entries(options.headers ?? {})) {
      response.setHeader(name, value);
    }
    const file = options.files?.[url.pathname];
    if (file) {
      response.writeHead(200, { 'content-type': file.type });
      response.end(file.body);
      return;
    }
    const entry: LogEntry = {
      kind: url.pathname === '/token' ? 'refresh' : 'request',
      method: request.method!,
      path: request.url!,
      headers: request.headers,
      startedAt: performance.now(),
    };
    log.push(entry);
    for (const { kind, count, arrived } of awaited) if (hasArrived(kind, count)) arrived.open();
    response.once('finish', () =>
      Object.assign(entry, { endedAt: performance.now(), status: response.statusCode }),
    );
    response.once('close', () => {
      if (!response.writableFinished) entry.goneAt = performance.now();
    });
    const chunks: Buffer[] = [];
    // An upload that its client gives up ends here: there is nobody to answer.
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    if (url.pathname === '/token') return refresh(body.toString(), response);
    if (url.pathname === '/redirect') {
      response.writeHead(Number(url.searchParams.get('status') ?? 302), {
        location: url.searchParams.get('to')!,
      });
      response.end();
      return;
    }
    return api(url, request, body, response);
  };
  const { server, origin, close } = await listen((request, response) => {
    void handle(request, response);
  });
  server.on('connection', () => connections++);

  return {
    origin,
    log,
    /** How many TCP connections were ever opened. */
    get connections() {
      return connections;
    },
    /** How many refreshes have got a new token, be it answered yet or not. */
    get rotations() {
      return rotations;
    },
    signIn() {
      const session: ServerSession = {
        alive: true,
        revokedAt: undefined,
        refreshes: 0,
        refusals: 0,
      };
      return { session, token: issue(session) };
    },
    /** Ends the time of every access token given out so far. */
    expireAccessTokens() {
      for (const known of accessTokens.values()) known.expiresAt = 0;
    },
    /** How the next refreshes are answered. */
    scriptRefreshes(...answers: ScriptedRefresh[]) {
      script.push(...answers);
    },
    /** Makes refreshes wait, once they have arrived, until the function that this returns is called. */
    holdRefreshes(): () => void {
      const opening = gate();
      held = opening;
      return () => {
        held = undefined;
        opening.open();
      };
    },
    /** The same after the token was rotated, and before the answer is sent. */
    holdAnswers(): () => void {
      const opening = gate();
      heldAnswers = opening;
      return () => {
        heldAnswers = undefined;
        opening.open();
      };
    },
    /** Holds back the answer to whatever comes to a path of the API, which is judged on arrival. */
    holdPath(path: string): () => void {
      const opening = gate();
      heldPaths.set(path, opening);
      return () => {
        heldPaths.delete(path);
        opening.open();
      };
    },
    /** Resolves when that many have arrived: refreshes, or requests to the API. */
    arrival(kind: LogEntry['kind'], count = 1): Promise<void> {
      const arrived = gate();
      if (hasArrived(kind, count)) arrived.open();
      awaited.push({ kind, count, arrived });
      return arrived.promise;
    },
    /** The requests to the API: their path without the query, in the order they came. */
    paths: () => log.filter(({ kind }) => kind === 'request').map(({ path }) => path.split('?')[0]),
    close,
  };
}

export type AuthorizationServer = Awaited<ReturnType<typeof startAuthorizationServer>>;

function answer(response: ServerResponse, status: number, body?: unknown, headers = {}): void {
  response.writeHead(status, {
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...headers,
  });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
