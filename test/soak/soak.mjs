// Runs by itself, over the built package: `node --expose-gc test/soak/soak.mjs`. It prints what is left
// behind, and must then exit by itself.
import { getEventListeners, setMaxListeners } from 'node:events';
import { createTokenSource, FlightGroup, singleFlight } from 'oneflight';

const FLIGHTS = 1_000_000;
const RENEWALS = 100_000;
/** At the same time. */
const BATCH = 100;

const turn = () => new Promise((resolve) => setImmediate(resolve));
const heapUsed = async () => {
  for (let n = 0; n < 5; n++) {
    await turn();
    gc();
  }
  return process.memoryUsage().heapUsed;
};

/** Brought by most callers, and aborted by nobody. */
const { signal: shared } = new AbortController();
setMaxListeners(0, shared);
const count = { settled: 0, left: 0, failed: 0 };
const outcome = (promise) =>
  promise.then(
    () => count.settled++,
    (error) => (error === 'left' ? count.left++ : count.failed++),
  );

const group = new FlightGroup();
const keyed = singleFlight(async (n) => ({ n }), { key: (n) => n });
let ran = 0;

/** Every way for a flight to end, side by side. */
async function flights(total) {
  for (let done = 0; done < total; done += BATCH) {
    const own = new AbortController();
    setMaxListeners(0, own.signal);
    const callers = [];
    for (let n = 0; n < BATCH; n++) {
      ran++;
      const key = { n };
      const task = ({ signal }) => {
        if (n % 10 === 0) throw new Error('throws');
        if (n % 10 === 1) return Promise.reject(new Error('fails'));
        if (n % 10 === 2)
          return new Promise((_, reject) => signal.addEventListener('abort', reject));
        return turn();
      };
      const leaves = n % 10 === 2 || n % 10 === 3;
      callers.push(group.run(key, task, { signal: leaves ? own.signal : shared }));
      callers.push(group.run(key, task, leaves ? { signal: own.signal } : undefined));
      if (n % 10 === 4) group.forget(key);
      if (n % 10 === 5) callers.push(keyed(n));
    }
    const settling = Promise.all(callers.map(outcome));
    own.abort('left');
    await settling;
  }
}

let calls = 0;
const tokens = createTokenSource({
  token: { n: 0 },
  refreshLimit: false,
  retry: { retries: 1, minTimeout: 0 },
  refresh: async () => {
    calls++;
    if (calls % 1000 === 0) throw Object.assign(new Error('final'), { status: 401 });
    if (calls % 100 === 0) throw Object.assign(new Error('transient'), { status: 503 });
    return { n: calls };
  },
});

async function renewals(total) {
  for (let done = 0; done < total; done++) {
    const credential = await tokens.get().catch(() => undefined);
    if (!credential) {
      await tokens.set({ n: 0 });
      continue;
    }
    const own = new AbortController();
    const settling = [
      outcome(tokens.renew(credential, { signal: shared })),
      outcome(tokens.renew(credential, { signal: own.signal })),
      outcome(tokens.renew(credential)),
    ];
    if (done % 3 === 0) own.abort('left');
    await Promise.all(settling);
  }
}

// What is compiled, and the heap's own growth, count as before.
await flights(FLIGHTS / 10);
await renewals(RENEWALS / 10);
ran = 0;
calls = 0;
const before = await heapUsed();
await flights(FLIGHTS);
await renewals(RENEWALS);
const growth = (await heapUsed()) - before;

console.log(
  JSON.stringify({
    flights: ran,
    renewals: calls,
    growth,
    ...count,
    keys: group.size,
    listeners: getEventListeners(shared, 'abort').length,
    timers: process.getActiveResourcesInfo().filter((each) => /Timeout|Immediate/.test(each))
      .length,
  }),
);
