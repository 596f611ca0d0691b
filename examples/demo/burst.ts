import { startAuthorizationServer, type LogEntry } from '../../test/authorization-server.ts';
import type { Recipe } from './recipes.ts';

/** Two expiries, and at each as many requests at once. */
export const EXPIRIES = 2;
export const REQUESTS = 50;
export const REFRESH_DELAY = 70;
const TTL = 750;
/** A client that hangs is not waited for any longer. */
const PATIENCE = 3000;

/** How long the server takes for each request, in milliseconds: 10 to 250, in no order. */
export const DELAYS = Array.from(
  { length: REQUESTS },
  (_, n) => 10 + Math.round(((n * 19) % REQUESTS) * 4.9),
);

/** The least that one burst can take: every request is refused once, and one refresh begins with the first refusal. */
export const IDEAL = Math.max(
  ...DELAYS.map((delay) => Math.max(delay, Math.min(...DELAYS) + REFRESH_DELAY) + delay),
);

/** One request as its client saw it. Instants are milliseconds from the start of its burst. */
export interface Request {
  delay: number;
  sends: { startedAt: number; endedAt: number; status: number }[];
  endedAt: number;
  answered: boolean;
}

export interface Burst {
  requests: Request[];
  refreshes: { startedAt: number; endedAt: number; status: number }[];
  revokedAt: number | undefined;
  wall: number;
}

export interface Result {
  name: string;
  bursts: Burst[];
  refreshes: number;
  answered: number;
  alive: boolean;
  /** Times the ideal. */
  wall: number;
}

const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** Runs a recipe against a server of its own. */
export async function runRecipe(name: string, recipe: Recipe): Promise<Result> {
  const server = await startAuthorizationServer({
    accessTokenTtl: TTL,
    refreshDelay: REFRESH_DELAY,
  });
  const { session, token } = server.signIn();
  const api = recipe(server.origin, token);
  const bursts: Burst[] = [];
  for (let expiry = 0; expiry < EXPIRIES; expiry++) {
    await sleep(TTL + 20);
    const startedAt = performance.now();
    const logged = server.log.length;
    const wasAlive = session.alive;
    const ends = await Promise.all(
      DELAYS.map(async (delay, n) => {
        const answered = await Promise.race([
          api(`${server.origin}/api/${expiry}/${n}?delay=${delay}`).then(
            async (response) => (await response.text()) !== '' && response.ok,
            () => false,
          ),
          sleep(PATIENCE).then(() => false),
        ]);
        return { answered, endedAt: performance.now() - startedAt };
      }),
    );
    const wall = performance.now() - startedAt;
    // What a recipe began and waits for no more, such as refreshes of its own, ends here.
    await sleep(REFRESH_DELAY + 50);

    const log = server.log.slice(logged).map((entry) => since(startedAt, entry));
    const requests = ends.map((end, n) => {
      const sends = log.filter(({ path }) => path.split('?')[0] === `/api/${expiry}/${n}`);
      return { delay: DELAYS[n]!, sends, ...end };
    });
    bursts.push({
      requests,
      refreshes: log.filter(({ kind }) => kind === 'refresh'),
      revokedAt: wasAlive && session.revokedAt ? session.revokedAt - startedAt : undefined,
      wall,
    });
  }
  await server.close();
  const { refreshes, alive } = session;
  const answered = bursts
    .flatMap(({ requests }) => requests)
    .filter((each) => each.answered).length;
  const wall = bursts.reduce((sum, burst) => sum + burst.wall, 0) / (EXPIRIES * IDEAL);
  return { name, bursts, refreshes, answered, alive, wall };
}

function since(start: number, { startedAt, endedAt, ...entry }: LogEntry) {
  const ended = (endedAt ?? performance.now()) - start;
  return { ...entry, startedAt: startedAt - start, endedAt: ended, status: entry.status ?? 0 };
}
