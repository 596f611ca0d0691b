/** `network.ts <client> <request> <origin> <tokens>`: what a wrapped client costs on loopback. */
import { args, quick, report } from '../measure.ts';
import { NETWORK_BLOCKS, takeBlocks, total, typical } from './blocks.ts';
import type { Call, RequestKind } from './clients.ts';

/** How many requests are under way at a time. */
const CONCURRENCY = 16;
const [client, request, origin, tokens] = args();

async function send(call: Call, requests: number): Promise<void> {
  let left = requests;
  const lane = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
}

const { bare, wrapped, again } = await takeBlocks(
  client!,
  request as RequestKind,
  { origin: origin!, tokens: JSON.parse(tokens!) },
  quick ? { count: 1, requests: 50, warmUps: 1 } : NETWORK_BLOCKS,
  send,
);
// Of the totals: a block has the garbage of others to collect, or leaves its own to them.
const bareCpu = (total(bare, 'cpu') + total(again, 'cpu')) / 2;
report({
  ratio: total(wrapped, 'cpu') / bareCpu,
  noise: total(again, 'cpu') / total(bare, 'cpu'),
  bareMicroseconds: typical(bare, 'cpu'),
  wrappedMicroseconds: typical(wrapped, 'cpu'),
  barePerSecond: 1e6 / typical(bare, 'wall'),
  wrappedPerSecond: 1e6 / typical(wrapped, 'wall'),
});
// Connections that are kept would keep the process.
process.exit();
