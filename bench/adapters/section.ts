import {
  measure,
  medians,
  quick,
  table,
  takeRounds,
  type Figures,
  type Section,
} from '../measure.ts';
import { startServer } from '../server/start.ts';
import { NETWORK_BLOCKS, STUB_BLOCKS } from './blocks.ts';
import { clients, REQUESTS } from './clients.ts';

/** All of them; when quick, one of each client, and every request with some client. */
const CASES = Object.keys(clients).flatMap((client, nth) =>
  REQUESTS.filter((_, n) => !quick || nth % REQUESTS.length === n).map((request) => ({
    client,
    request,
  })),
);
/** A transport that axios has by name cannot be a stub, but for `fetch`. */
const STUBBED = CASES.filter(({ client }) => client !== 'axios');
/** For the ratio of CPU time, on the network. */
const GOAL = 1.03;

/** What an adapter costs while no token expires. */
export async function section(): Promise<Section> {
  const network = await measureNetwork();
  const own = await measure(
    STUBBED.map(({ client, request }) => ({ script: 'adapters/stub.ts', args: [client, request] })),
  );
  return {
    title: 'Adapters while no token expires',
    text: [NETWORK, networkTable(network), OWN, ownTable(own, network), MISSED].join('\n\n'),
    data: {
      goal: GOAL,
      network: CASES.map((each, n) => ({ ...each, ...network[n] })),
      own: STUBBED.map((each, n) => ({ ...each, ...own[n] })),
    },
  };
}

/** One server for all: what it does to one block it does to the next. */
async function measureNetwork(): Promise<Figures[]> {
  const server = await startServer();
  try {
    const tokens = JSON.stringify(await server.signIn({ isGood: true }));
    const taken = await takeRounds(
      CASES.map(({ client, request }) => ({
        script: 'adapters/network.ts',
        args: [client, request, server.api, tokens],
      })),
    );
    return taken.map((rounds) => ({
      ...medians(rounds),
      ...extremes(rounds, 'ratio'),
      ...extremes(rounds, 'noise'),
    }));
  } finally {
    await server.close();
  }
}

/** The least and the most of all rounds. */
function extremes(rounds: readonly Figures[], what: string): Figures {
  const all = rounds.map((each) => each[what]!);
  return { [`${what}Low`]: Math.min(...all), [`${what}High`]: Math.max(...all) };
}

const NETWORK = `Each client wrapped by \`withTokenRefresh\`, against the same client bare, which sends the same
\`Authorization\` header by itself. The server is another process on loopback; 16 requests are under way
at a time, each answer is read. CPU time is that of the client's process, with all that it collects of
garbage. In the same process are measured, in changing order and in ${NETWORK_BLOCKS.count} blocks of ${NETWORK_BLOCKS.requests} requests each, the
wrapped client and two bare ones; a ratio is that of the totals, to the mean of both bare ones, and in
brackets are the least and the most of the rounds. "noise" is one bare client against the other. The goal
is a ratio of at most ${GOAL}. "wrapped by hand" is a closure of some lines that sends the token and looks
for a 401, with axios two interceptors: what is to be paid by whoever does no more than that.`;

function networkTable(figures: readonly Figures[]): string {
  const rows = CASES.map(({ client, request }, n) => {
    const of = figures[n]!;
    return [
      client,
      request,
      spread(ratio, of['ratio'], of['ratioLow'], of['ratioHigh']),
      spread(ratio, of['noise'], of['noiseLow'], of['noiseHigh']),
      whole(of['bareMicroseconds']),
      whole(of['wrappedMicroseconds']),
      whole(of['barePerSecond']),
      whole(of['wrappedPerSecond']),
    ];
  });
  return table(
    ['client', 'request', 'CPU ratio', 'noise', 'bare µs', 'wrapped µs', 'bare /s', 'wrapped /s'],
    rows,
  );
}

const OWN = `The same without a network, one request after the other over a stub that answers at once: the CPU
time that an adapter adds to a request, in nanoseconds; in brackets the quartiles of ${STUB_BLOCKS.count} turns of ${STUB_BLOCKS.requests}
requests each. "noise" is what another bare client adds to the bare one. "of a request" is what is added
in relation to the bare client's CPU time on the network, as 1 and the part of it: what the noise of the
first table hides, but with caches that no network has emptied. With an adapter given to axios as a
function, the stub is that function. A transport that axios has by name cannot be a stub, but for
\`fetch\`: its cost is in the first table only. The JSON of ky is read here by the adapter alone, and on the
network by whoever sends it.`;

function ownTable(figures: readonly Figures[], network: readonly Figures[]): string {
  const rows = STUBBED.map((each, n) => {
    const of = figures[n]!;
    return [
      each.client,
      each.request,
      spread(whole, of['nanoseconds'], of['low'], of['high']),
      spread(whole, of['noise'], of['noiseLow'], of['noiseHigh']),
      whole(of['bareNanoseconds']),
      ratio(1 + of['nanoseconds']! / 1000 / network[CASES.indexOf(each)]!['bareMicroseconds']!),
    ];
  });
  return table(['client', 'request', 'added ns', 'noise ns', 'bare ns', 'of a request'], rows);
}

const MISSED = `### What it costs where the goal is missed

The rows "wrapped by hand" are the floor: whoever adds a token and looks at answers pays that much. fetch
is some two hundredths above it, axios some three where its transport is a function, and some five where it is a
name. By CPU profiles of bare and wrapped GETs in turns, on a machine where one of them takes some 90 µs by fetch
and 110 by axios:

- fetch: 1 to 2 µs are the adapter's own functions. The token is asked for, promises are made, and none is
  awaited that is there already; no URL is parsed that begins with an allowed origin, nor read of an answer
  that was not redirected, which undici would put together for 3 µs. 1 µs is the copy of the headers, which every
  wrapper makes that adds one.
- axios: 5 µs are the adapter's own, half of them a copy of the config, so that neither an interceptor nor an
  error ever shows the token. To lend the token to the config that they hold, only while it is sent, would spare
  that, two hundredths: a logger that looks meanwhile would see it, and a transport that keeps what it was given,
  as mocks do, would find it without the token later.
- axios by the name of a transport, as it does unless told otherwise, costs some 8 µs beyond that: such a
  transport is reached by nothing but another \`request\`. \`adapter: axios.getAdapter('http')\` spares them.
- ky merges what we give it once more for each request: a hook, 2 µs. Its \`Request\` is not cloned without a body,
  nor with JSON, which would take 27 µs: that is read once, and sent beside it, which costs no more than to
  send what ky has made.
- What is left of the difference is thinly spread over the client, Node and the garbage collector.`;

type Figure = number | undefined;

/** A median, and in brackets how far the figures go that it is of. */
const spread = (shown: (value: Figure) => string, middle: Figure, low: Figure, high: Figure) =>
  `${shown(middle)} (${shown(low)}–${shown(high)})`;
const ratio = (value: Figure) => value!.toFixed(3);
const whole = (value: Figure) => value!.toFixed(0);
