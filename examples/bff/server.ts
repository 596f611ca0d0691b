/**
 * A backend for frontend: the browser has a cookie, the server has the tokens. Any number of these
 * processes share the sessions by Redis, and refresh each of them once per expiry.
 *
 * `SECRET=… REDIS_URL=… SIGN_IN_URL=… TOKEN_URL=… API_URL=… PORT=… npx tsx examples/bff/server.ts`
 */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { createTokenSource, SessionExpiredError, type TokenSource } from 'oneflight';
import { withTokenRefresh } from 'oneflight/fetch';
import { redisTokens } from 'oneflight/redis';

interface Token {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** What a process keeps of one user's session. */
interface Session {
  tokens: TokenSource<Token>;
  api: typeof fetch;
}

const { SECRET, REDIS_URL, SIGN_IN_URL, TOKEN_URL, API_URL } = process.env;
const { PORT = '0', IDLE = '60000' } = process.env;
if (!SECRET || !REDIS_URL || !SIGN_IN_URL || !TOKEN_URL || !API_URL) {
  throw new Error('needs SECRET, REDIS_URL, SIGN_IN_URL, TOKEN_URL and API_URL');
}
const DAYS = 24 * 3_600_000;

const redis = new Redis(REDIS_URL);

async function refresh({ token, signal }: { token: Token | undefined; signal: AbortSignal }) {
  // Redis has forgotten the session. As a 401 of the server's would, it ends it.
  if (!token) throw Object.assign(new Error('not signed in'), { status: 401 });
  const { refresh_token } = token;
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token });
  const response = await fetch(TOKEN_URL!, { method: 'POST', body, signal });
  if (!response.ok) throw new Error('refresh failed', { cause: response });
  return (await response.json()) as Token;
}

/**
 * A source per session that is in use here. An idle one is closed and forgotten: its tokens are in
 * Redis, and the next request, in whatever process, finds them there.
 */
const sessions = new LRUCache<string, Session>({
  max: 10_000,
  ttl: Number(IDLE),
  ttlAutopurge: true,
  updateAgeOnGet: true,
  dispose: ({ tokens }) => tokens.close(),
});

function sessionOf(id: string): Session {
  const known = sessions.get(id);
  if (known) return known;
  const shared = redisTokens<Token>(redis, { name: `session:${id}`, ttl: 30 * DAYS });
  const tokens = createTokenSource<Token>({ shared, refresh });
  const session = { tokens, api: withTokenRefresh(fetch, tokens, { allowedOrigins: [API_URL!] }) };
  sessions.set(id, session);
  return session;
}

/** Signed, so that nobody can make one up: each would be a session in Redis. */
const sign = (id: string) => createHmac('sha256', SECRET).update(id).digest('base64url');

function readCookie(cookies = ''): string | undefined {
  const [, id, signature] = /(?:^|; )sid=([\w-]+)\.([\w-]{43})(?:;|$)/.exec(cookies) ?? [];
  return id && timingSafeEqual(Buffer.from(signature!), Buffer.from(sign(id))) ? id : undefined;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url!, 'http://localhost');
  const route = `${request.method} ${pathname}`;
  if (route === 'POST /sign-in') {
    // Where an app runs its authorization code flow (RFC 6749 §4.1), with a new cookie for every sign-in.
    const answer = await fetch(SIGN_IN_URL!, { method: 'POST' });
    const id = randomUUID();
    await sessionOf(id).tokens.set((await answer.json()) as Token);
    response.setHeader('set-cookie', `sid=${id}.${sign(id)}; HttpOnly; SameSite=Lax; Path=/`);
    response.end();
    return;
  }
  if (route === 'GET /stats') {
    response.end(JSON.stringify({ sources: sessions.size }));
    return;
  }
  const id = readCookie(request.headers.cookie);
  if (!id) {
    response.writeHead(401).end();
    return;
  }
  const { tokens, api } = sessionOf(id);
  if (route === 'POST /sign-out') {
    await tokens.clear();
    response.end();
    return;
  }
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD';
  const answer = await api(`${API_URL}${pathname}${search}`, {
    method: request.method!,
    ...(hasBody && { body: Readable.toWeb(request) as ReadableStream, duplex: 'half' }),
  });
  response.writeHead(answer.status, {
    'content-type': answer.headers.get('content-type') ?? 'application/octet-stream',
  });
  if (answer.body) Readable.fromWeb(answer.body as never).pipe(response);
  else response.end();
}

const server = createServer((request, response) => {
  handle(request, response).catch((error: unknown) => {
    // Over for good: the browser is to sign in. For now: it may try again.
    response.writeHead(error instanceof SessionExpiredError ? 401 : 503).end();
  });
});
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
process.on('SIGTERM', () => {
  server.close(() => {
    sessions.clear();
    redis.disconnect();
  });
  server.closeIdleConnections();
});
