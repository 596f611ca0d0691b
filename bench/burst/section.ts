import { measure, quick, table, type Figures, type Section } from '../measure.ts';
import { CONNECTIONS, others, ours } from './clients.ts';

/** Requests at once, and by how many milliseconds at most their refusals are held back. */
const BURSTS = quick
  ? [{ requests: 100, spread: 50 }]
  : [
      { requests: 10, spread: 50 },
      { requests: 100, spread: 50 },
      // Here most refusals come after the refresh, which takes 100.
      { requests: 100, spread: 300 },
      { requests: 1000, spread: 50 },
      { requests: 5000, spread: 50 },
    ];
/** The others up to 1000: more shows nothing new of them, and some take minutes. */
const CASES = Object.keys({ ...ours, ...others }).flatMap((client) =>
  BURSTS.filter(({ requests }) => client in ours || requests <= 1000).map((burst) => ({
    client,
    ...burst,
  })),
);
/** For the time of a burst against the ideal. */
const GOAL = 1.1;

/** One case with what was measured. */
type Row = (typeof CASES)[number] & { figures: Figures };

/** What clients do when many requests at once meet an expired token. */
export async function section(): Promise<Section> {
  const figures = await measure(
    CASES.map(({ client, requests, spread }) => ({
      script: 'burst/one.ts',
      args: [client, `${requests}`, `${spread}`],
    })),
  );
  const rows = CASES.map((each, n) => ({ ...each, figures: figures[n]! }));
  return {
    title: 'A burst of requests with an expired token',
    text: [
      BURST,
      burstTable(rows),
      BEYOND,
      WAITING,
      waitingTable(rows),
      ...(quick ? [] : [GROWTH, growthTable(rows)]),
    ].join('\n\n'),
    data: {
      goal: GOAL,
      bursts: rows.map(({ client, requests, spread, figures: own }) => ({
        client,
        isOurs: client in ours,
        n: requests,
        spread,
        ...own,
      })),
      growth: Object.keys(ours).map((client) => ({ client, ...growthOf(rows, client) })),
    },
  };
}

const BURST = `All requests are sent at once with an expired token. The API, on loopback and in a process
of its own, refuses each after a delay between 0 and "spread" milliseconds, which differs from request to
request and is the same in every burst; it answers a good token at once. The authorization server, another
origin, takes 100 ms for a refresh; its refresh tokens rotate, and one that is used twice revokes the
session. A client opens at most ${CONNECTIONS} connections to an origin (the \`Agent\` of Node's \`fetch\`, and of
\`node:http\`, are told so): without a bound each of 5000 requests opens its own.

The ideal is the same client bare, by hand: every request is sent and refused, the first refusal begins
one refresh, and each is sent again as soon as both have come. (axios tells of a refusal by an error, and by
hand that is caught.) It takes turns with the client, in one process; the ratios are medians. The goal is a
wall ratio of at most ${GOAL}. "answers" are the callers who got what they asked for, and where some
did not, "loses" tells how many of them instead of a ratio. "sends" are the requests that the API has seen:
twice the number of requests is right. Where callers have neither an answer nor an error after 10 s and 5 ms
per request, the client hangs. Alova and urql are set up without their caches, which would answer for the server, the others as their READMEs say.`;

const BEYOND = `What is beyond the ideal is CPU time, which is what a burst of 1000 waits for. By profiles of it, 3 %
(fetch) to 5 % (axios) are the adapter's own functions, for each request is sent twice, and 3 % the garbage
collector's, who has the refusals that wait to copy. The rest is spread thinly.`;

function burstTable(rows: readonly Row[]): string {
  return table(
    [
      'client',
      'requests',
      'spread',
      'wall ratio',
      'CPU ratio',
      'ideal ms',
      'refreshes',
      'answers',
      'sends',
      'session',
    ],
    rows.map(({ client, requests, spread, figures }) => [
      client,
      `${requests}`,
      `${spread}`,
      verdict(figures, requests),
      shown(divide(figures['cpuPerRequest'], figures['idealCpuPerRequest']), 2),
      shown(figures['idealWall']),
      shown(figures['refreshes']),
      shown(figures['answers']),
      shown(figures['sends']),
      figures['isAlive'] === 0 ? 'REVOKED' : 'alive',
    ]),
  );
}

/** The wall ratio, if everybody got an answer. */
function verdict({ isTooSlow, hanging, answers, wallRatio }: Figures, requests: number): string {
  if (isTooSlow) return 'too slow';
  if (hanging) return `hangs (${hanging})`;
  return answers !== undefined && answers < requests
    ? `loses (${requests - answers})`
    : shown(wallRatio, 2);
}

const WAITING = `The heap that a request takes while it waits: all have been refused, the refresh is held, garbage is
collected; in bytes per request. The ideal keeps nothing of the refusal. The adapters keep it: should there
be no token, it is the \`response\` of the caller's error.`;

function waitingTable(rows: readonly Row[]): string {
  return table(
    ['client', 'requests', 'bytes', 'bytes of the ideal', 'difference'],
    rows
      .filter(({ figures }) => figures['bytesPerRequest'] !== undefined)
      .map(({ client, requests, figures }) => [
        client,
        `${requests}`,
        shown(figures['bytesPerRequest']),
        shown(figures['idealBytesPerRequest']),
        shown(figures['bytesPerRequest']! - figures['idealBytesPerRequest']!),
      ]),
  );
}

const GROWTH = `Whether it grows linearly: what a request costs among 5000, divided by what it costs among 1000. 1 is
linear; wall time is that beyond the 100 ms of the refresh. In brackets the ideal, which has the growth of
the client itself.`;

function growthTable(rows: readonly Row[]): string {
  return table(
    ['client', 'wall', 'CPU', 'memory'],
    Object.keys(ours).map((client) => {
      const growth = growthOf(rows, client);
      const both = (own: number | undefined, hand: number | undefined) =>
        `${shown(own, 2)} (${shown(hand, 2)})`;
      return [
        client,
        both(growth.wall, growth.idealWall),
        both(growth.cpu, growth.idealCpu),
        shown(growth.memory, 2),
      ];
    }),
  );
}

/** Per request, of the largest burst against the one before; nothing when quick, which has only one. */
function growthOf(rows: readonly Row[], client: string) {
  const [few, many] = rows.filter((row) => row.client === client).slice(-2) as [Row, Row?];
  const growth = (of: (row: Row) => number | undefined) => divide(many && of(many), of(few));
  const beyond = (what: string) => (row: Row) => (row.figures[what]! - 100) / row.requests;
  const per = (what: string) => (row: Row) => row.figures[what];
  return {
    wall: growth(beyond('wall')),
    idealWall: growth(beyond('idealWall')),
    cpu: growth(per('cpuPerRequest')),
    idealCpu: growth(per('idealCpuPerRequest')),
    memory: growth(per('bytesPerRequest')),
  };
}

const divide = (value: number | undefined, by: number | undefined) =>
  value === undefined || by === undefined ? undefined : value / by;

/** A dash where a client hangs, or where it was not measured. */
const shown = (value: number | undefined, digits = 0) =>
  value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits);
