/** `one.ts <client> <requests> <spread>`: bursts by hand and by that client, in turns. */
import { args, median, quick, report } from '../measure.ts';
import { startServer } from '../server/start.ts';
import { burst, bytesWaiting, ideal, type Burst } from './burst.ts';
import { boundFetch, others, ours, type Call } from './clients.ts';

const [name = '', ...numbers] = args();
const [requests, spread] = numbers.map(Number) as [number, number];

// tsx turns them on, and axios reads the stack of every refusal: nobody else would pay for the mapping.
process.setSourceMapsEnabled(false);

let unhandled = 0;
// By default the first would end the process, and nobody would learn which client it was.
process.on('unhandledRejection', () => unhandled++);

// Before the harness gives up, and with it all that was measured so far.
setTimeout(() => {
  report({ isTooSlow: 1 });
  process.exit();
}, 240_000).unref();

await boundFetch();
const server = await startServer();
const client = await { ...ours, ...others }[name]!(server);

/** The two that take turns. Each burst has a session, and a client, of its own. */
const byHand = async (): Promise<Call> =>
  ideal(client, await server.signIn({ isGood: false, spread }));
const byClient = async (): Promise<Call> =>
  client.create(await server.signIn({ isGood: false, spread }));

interface Outcome extends Burst {
  refreshes: number;
  sends: number;
  isAlive: boolean;
}

async function take(create: () => Promise<Call>): Promise<Outcome> {
  // None pays for the garbage of another.
  globalThis.gc!();
  const taken = await burst(await create(), requests);
  const { refreshes, refusals, answers, isAlive } = await server.count();
  return { ...taken, refreshes, isAlive, sends: refusals + answers };
}

/** One of each, in changing order. */
async function takeTurn(turn: number): Promise<{ own: Outcome; hand: Outcome }> {
  if (turn % 2) return { own: await take(byClient), hand: await take(byHand) };
  const hand = await take(byHand);
  return { hand, own: await take(byClient) };
}

/** How many: 3, and while there is time, more. */
const TURNS = { least: 3, most: 15, milliseconds: 6000 };

/** Ends with the first that hangs: what is left of it would disturb the next. */
async function takeTurns(): Promise<Awaited<ReturnType<typeof takeTurn>>[]> {
  // Opens connections and warms the code.
  const first = await takeTurn(0);
  if (first.own.hanging || quick) return [first];
  const taken: (typeof first)[] = [];
  const until = performance.now() + TURNS.milliseconds;
  const isEnough = () =>
    taken.length === TURNS.most || (taken.length >= TURNS.least && performance.now() >= until);
  while (!isEnough() && !taken.at(-1)?.own.hanging) {
    taken.push(await takeTurn(taken.length + 1));
  }
  return taken;
}

const turns = await takeTurns();
const owns = turns.map(({ own }) => own);
const isHanging = owns.some(({ hanging }) => hanging);
const middle = (what: (turn: (typeof turns)[number]) => number) =>
  isHanging ? undefined : median(turns.map(what));

/** Of a few it would be noise. */
const memory = !isHanging && (requests >= 1000 || (quick && name in ours));
const handBytes = memory ? await bytesWaiting(await byHand(), requests, server) : undefined;
const bytes = memory ? await bytesWaiting(await byClient(), requests, server) : undefined;

report({
  wallRatio: middle(({ own, hand }) => own.wall / hand.wall),
  wall: middle(({ own }) => own.wall),
  idealWall: middle(({ hand }) => hand.wall),
  cpuPerRequest: middle(({ own }) => (own.cpu * 1000) / requests),
  idealCpuPerRequest: middle(({ hand }) => (hand.cpu * 1000) / requests),
  bytesPerRequest: bytes,
  idealBytesPerRequest: handBytes,
  // The worst of the turns.
  refreshes: Math.max(...owns.map(({ refreshes }) => refreshes)),
  answers: Math.min(...owns.map(({ answers }) => answers)),
  sends: Math.max(...owns.map(({ sends }) => sends)),
  hanging: Math.max(...owns.map(({ hanging }) => hanging)),
  isAlive: Number(owns.every(({ isAlive }) => isAlive)),
  unhandled,
});
await server.close();
// Whoever hangs would keep the process.
process.exit();
