/** `one.ts <client> <requests> <spread>`: bursts by hand and by that client, in turns. */
import { args, median, quick, report } from '../measure.ts';
import { startServer } from '../server/start.ts';
import { burst, bytesWaiting, ideal, type Burst } from './burst.ts';
import { boundFetch, others, ours, type Call } from './clients.ts';

const [name = '', ...numbers] = args();
const [requests, spread] = numbers.map(Number) as [number, number];

let unhandled = 0;
// By default the first would end the process, and nobody would learn which client it was.
process.on('unhandledRejection', () => unhandled++);

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

async function take(create: () => Promise<Call>, count = requests): Promise<Outcome> {
  // None pays for the garbage of another.
  globalThis.gc!();
  const taken = await burst(await create(), count);
  const { refreshes, refusals, answers, isAlive } = await server.count();
  return { ...taken, refreshes, isAlive, sends: refusals + answers };
}

/** @returns The bursts of the client, beside those by hand. Ends with the first that hangs. */
async function takeTurns(turns: number): Promise<{ own: Outcome; hand: Outcome }[]> {
  const taken: { own: Outcome; hand: Outcome }[] = [];
  // The one before the first opens connections and warms the code.
  for (let turn = quick ? 0 : -1; turn < turns; turn++) {
    const count = turn < 0 ? Math.max(requests, 200) : requests;
    const first = turn % 2 === 0 ? await take(byHand, count) : undefined;
    const own = await take(byClient, count);
    if (turn >= 0 || own.hanging) {
      taken.push({ own, hand: first ?? (await take(byHand, count)) });
    } else {
      await take(byHand, count);
    }
    if (own.hanging) break;
  }
  return taken;
}

const turnsOf = () => {
  if (quick || requests >= 5000) return 1;
  return requests >= 1000 ? 3 : 7;
};
const turns = await takeTurns(turnsOf());
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
// Whoever hangs would keep the process.
process.exit();
process.exit();
process.exit();
