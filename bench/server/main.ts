/**
 * The process of `startServer`: an API and its authorization server, each an origin of its own, so
 * that a refresh does not queue behind the requests that wait for it. Refresh tokens rotate, and one
 * that is used twice revokes its session, as in `test/authorization-server.ts`; this one keeps no log,
 * which would cost more than the requests.
 *
 * - `POST /token` with `{ refresh_token }` refreshes.
 * - Anything at the API answers the same small JSON to a good token, at once; and a 401 to a bad one,
 *   after a delay that only its path decides.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gate, type Gate } from '../../test/gate.ts';
import { listen } from '../../test/loopback.ts';
import type { Command, Counts, SignIn } from './start.ts';

/** Milliseconds a refresh takes. */
const REFRESH_DELAY = 100;
/** JSON that is good for a client of GraphQL too. */
const ANSWER = '{"data":{"id":17,"name":"Ada Lovelace","roles":["reader","writer"]}}';
const REFUSAL = '{"errors":[{"message":"The token has expired","extensions":{"code":"EXPIRED"}}]}';

const none = { refreshes: 0, refusals: 0, answers: 0, isAlive: true };
let counts: { -readonly [Count in keyof Counts]: Counts[Count] } = { ...none };
let spread = 0;
let goodTokens = new Set<string>();
let refreshToken = '';
let issued = 0;
/** While there is one, refreshes wait for it. */
let held: Gate | undefined;

const issue = (expires_in = 3600) => {
  const serial = ++issued;
  refreshToken = `refresh-${serial}`;
  return { access_token: `access-${serial}`, refresh_token: refreshToken, expires_in };
};

/** 0 to `spread` milliseconds, neighbours far apart. The same path always gets the same. */
const delayOf = (path: string) => (Number(/\d*$/.exec(path)![0]) * 19) % (spread + 1);

function answerApi({ url, headers }: IncomingMessage, response: ServerResponse): void {
  // Judged on arrival.
  if (goodTokens.has(headers.authorization?.replace('Bearer ', '') ?? '')) {
    counts.answers++;
    answer(response, 200, ANSWER);
    return;
  }
  setTimeout(() => {
    counts.refusals++;
    answer(response, 401, REFUSAL);
  }, delayOf(url!));
}

async function answerRefresh(body: string, response: ServerResponse): Promise<void> {
  const given = (JSON.parse(body) as { refresh_token: string }).refresh_token;
  counts.refreshes++;
  await (held?.promise ?? delay(REFRESH_DELAY));
  if (given !== refreshToken) {
    counts.isAlive = false;
    goodTokens = new Set();
    refreshToken = '';
  }
  if (!counts.isAlive) return answer(response, 400, '{"error":"invalid_grant"}');
  const tokens = issue();
  goodTokens.add(tokens.access_token);
  answer(response, 200, JSON.stringify(tokens));
}

function answer(response: ServerResponse, status: number, json: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': json.length,
  });
  response.end(json);
}

const commands: Record<Command['do'], (command: SignIn) => unknown> = {
  signIn(command) {
    counts = { ...none };
    spread = command.spread;
    goodTokens = new Set();
    const tokens = issue();
    if (command.isGood) goodTokens.add(tokens.access_token);
    return tokens;
  },
  count: () => counts,
  hold() {
    held = gate();
    return true;
  },
  release() {
    held?.open();
    held = undefined;
    return true;
  },
};

const api = await listen((request, response) => {
  request.resume().once('end', () => answerApi(request, response));
});
const authorization = await listen((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
  request.once('end', () => void answerRefresh(body, response));
});
// Longer than any pause of a measurement: a connection that is closed as it is used is an error.
for (const { server } of [api, authorization]) server.keepAliveTimeout = 300_000;

process.on('message', (command: Command) => {
  process.send!(commands[command.do](command as SignIn));
});
// Whoever started it is gone, be it by a crash.
process.on('disconnect', () => process.exit());
process.send!({ api: api.origin, authorization: authorization.origin });
