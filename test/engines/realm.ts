/** A process of its own that shares sessions, as `realms.ts` starts it and tells it what to do. */
import { createTokenSource, singleFlight, type TokenSource } from 'oneflight';
import { postgresTokens, type PostgresClient } from 'oneflight/postgres';
import { redisTokens, type RedisClient } from 'oneflight/redis';
import { refreshAt, type TokenResponse } from '../authorization-server.ts';
import { isRedis, openClient, watched, type ClientName, type OpenClient } from './clients.ts';
import { openRival, type RivalName } from './rivals.ts';

export interface RealmSetup {
  /** Where refreshes are sent. */
  origin: string;
  /** Missing for a realm that shares with nobody. */
  client?: ClientName;
  port?: number;
  /** The most connections of a pool. */
  max?: number;
  /** Whether statements are prepared, by a client that does. */
  prepare?: boolean;
  /** One session each. */
  names?: string[];
  /** Of the adapter. */
  lease?: number;
  listen?: boolean;
  /** Of the source. */
  timeout?: number;
  /** What is used instead of this library. */
  rival?: RivalName;
}

/** Where a realm does something to itself: a signal comes at that very place. */
export interface Trap {
  /** The lease has been granted, and the refresh is next; or a write is about to be sent. */
  at: 'granted' | 'write';
  signal: 'SIGSTOP' | 'SIGKILL' | 'none';
}

/** What one caller got. */
export interface Outcome {
  token?: string;
  name?: string;
  code?: string;
  message?: string;
  /** When, in milliseconds by the clock that all processes share. */
  at: number;
}

export type RealmEvent = 'granted' | 'refused' | 'write' | 'trapped' | 'expired';

const now = () => Number(process.hrtime.bigint()) / 1e6;
/** After `close` there is nobody to tell. */
const send = (message: object) => {
  if (process.connected) process.send!(message);
};
const tell = (event: RealmEvent) => send({ event });

let open: OpenClient | undefined;
let sources: Pick<TokenSource<TokenResponse>, 'get' | 'renew' | 'set' | 'clear' | 'close'>[] = [];
let held: Awaited<ReturnType<TokenSource<TokenResponse>['get']>>[] = [];
let trap: Trap | undefined;
let commands = 0;
let refreshes = 0;

const outcomeOf = (promise: Promise<{ token: TokenResponse }>): Promise<Outcome> =>
  promise.then(
    ({ token }) => ({ token: token.access_token, at: now() }),
    ({ name, code, message }) => ({ name, code, message, at: now() }),
  );

const spring = (at: Trap['at']) => {
  if (trap?.at !== at) return;
  const { signal } = trap;
  trap = undefined;
  tell('trapped');
  if (signal !== 'none') process.kill(process.pid, signal);
};

const methods = {
  async open(setup: RealmSetup) {
    const { origin, client, port, max, prepare, names, lease, listen, timeout, rival } = setup;
    const post = refreshAt(origin);
    const options = {
      refresh: (given: { token: TokenResponse | undefined; signal?: AbortSignal }) => {
        refreshes++;
        return post(given);
      },
      retry: { retries: 0 },
      refreshLimit: false as const,
      timeout,
      onSessionExpired: () => tell('expired'),
    };
    if (rival) {
      const opened = await openRival(rival, port!, options.refresh);
      open = opened;
      sources = [{ ...opened.source, renew: singleFlight(opened.source.renew, { key: () => 0 }) }];
      return;
    }
    if (!client) {
      sources = (names ?? ['']).map(() => createTokenSource<TokenResponse>(options));
      return;
    }
    open = await openClient(client, port!, { max, prepare });
    const eyed = watched(
      open.client,
      (kind) => {
        commands++;
        if (kind === 'write') spring('write');
      },
      ({ kind, isGranted }) => {
        if (kind === 'write') tell('write');
        if (kind !== 'take') return;
        tell(isGranted ? 'granted' : 'refused');
        if (isGranted) spring('granted');
      },
    );
    sources = names!.map((name) =>
      createTokenSource<TokenResponse>({
        ...options,
        shared: isRedis(client)
          ? redisTokens<TokenResponse>(eyed as RedisClient, { name, lease })
          : postgresTokens<TokenResponse>(eyed as PostgresClient, { name, lease, listen }),
      }),
    );
  },
  /** Signs in to the session of the nth name. */
  async signIn(token: TokenResponse, n = 0) {
    await sources[n]!.set(token);
  },
  async signOut() {
    await sources[0]!.clear();
  },
  /** Gets the credentials that the next burst is refused with. */
  async hold() {
    held = await Promise.all(sources.map((source) => source.get()));
  },
  get: () => outcomeOf(sources[0]!.get()),
  /** Everyone is refused what is held, at an instant that all processes share. */
  async burst(callers: number, at = now()) {
    await new Promise((resolve) => setTimeout(resolve, at - now()));
    const startedAt = now();
    const outcomes = await Promise.all(
      sources.flatMap((source, n) => {
        const renewal = () => outcomeOf(source.renew(held[n]!));
        return Array.from({ length: callers }, renewal);
      }),
    );
    const endedAt = now();
    return { startedAt, endedAt, outcomes };
  },
  async trap(next: Trap) {
    trap = next;
  },
  /** Commands that the engine was sent, without those of the subscription. */
  count: async () => ({ commands, refreshes }),
  now: async () => Date.now(),
  /** Closes what an app closes; then the process has to end by itself. */
  async close() {
    for (const source of sources) source.close();
    await open?.close();
  },
};

export type RealmMethods = typeof methods;

const answer = async ({ id, method, args }: any) => {
  try {
    const result = await (methods as any)[method](...args);
    send({ id, result });
  } catch (error) {
    send({ id, error: `${(error as Error).stack}` });
  }
  if (method === 'close') process.disconnect();
};

process.on('message', (message) => void answer(message));
