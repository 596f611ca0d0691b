/** `stub.ts <client> <request>`: what a wrapped client adds of its own, over a stub of its transport. */
import { args, quick, report } from '../measure.ts';
import { quartiles, STUB_BLOCKS, takeBlocks, typical } from './blocks.ts';
import type { Call, RequestKind, Stub } from './clients.ts';

const [client, request] = args();

const ANSWER = '{"id":17}';
const stub: Stub = {
  fetch: async () => new Response(ANSWER, { headers: { 'Content-Type': 'application/json' } }),
  adapter: async (config) => ({
    status: 200,
    statusText: 'OK',
    headers: {},
    data: ANSWER,
    config,
    request: {},
  }),
};
const tokens = { access_token: 'access-1', refresh_token: 'refresh-1', expires_in: 3600 };

/** One after the other: nothing waits here, so there is nothing to interleave. */
async function send(call: Call, requests: number): Promise<void> {
  for (let sent = 0; sent < requests; sent++) await call();
}

const { bare, wrapped, again } = await takeBlocks(
  client!,
  request as RequestKind,
  { origin: 'http://127.0.0.1', tokens, stub },
  quick ? { count: 2, requests: 50, warmUps: 1 } : STUB_BLOCKS,
  send,
);
const added = (costs: typeof wrapped) =>
  quartiles(costs.map(({ cpu }, n) => (cpu - bare[n]!.cpu) * 1000));
const [low, nanoseconds, high] = added(wrapped);
const [noiseLow, noise, noiseHigh] = added(again);
report({
  nanoseconds,
  low,
  high,
  noise,
  noiseLow,
  noiseHigh,
  bareNanoseconds: typical(bare, 'cpu') * 1000,
});
process.exit();
