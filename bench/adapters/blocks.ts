import { quantile } from '../../test/quantile.ts';
import { clients, type Call, type RequestKind, type Target } from './clients.ts';

/** CPU time and wall time, both in microseconds. */
interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

/** The cost of a request by each, one figure per block. `again` is another `bare`: the noise floor. */
export type Blocks = Readonly<Record<'bare' | 'wrapped' | 'again', readonly Cost[]>>;

/** So long that each has its own share of full collections, which take as long as hundreds of requests. */
export const NETWORK_BLOCKS = { count: 12, requests: 2000, warmUps: 2 };

export const STUB_BLOCKS = { count: 24, requests: 1000, warmUps: 6 };

/** Each order is followed by its reverse, and each pair is met as often either way round. */
const ORDERS = [
  ['bare', 'wrapped', 'again'],
  ['again', 'wrapped', 'bare'],
  ['wrapped', 'bare', 'again'],
  ['again', 'bare', 'wrapped'],
  ['wrapped', 'again', 'bare'],
  ['bare', 'again', 'wrapped'],
] as const;

/**
 * Sends by all three in turns, in blocks: whatever else the machine does meanwhile, it does to
 * all of them.
 *
 * @param count Of the blocks of each; a multiple of 6 is fair.
 * @param send One block.
 */
export async function takeBlocks(
  client: string,
  request: RequestKind,
  target: Target,
  { count, requests, warmUps }: { count: number; requests: number; warmUps: number },
  send: (call: Call, requests: number) => Promise<void>,
): Promise<Blocks> {
  const make = clients[client]!;
  const calls = {
    bare: await make(target, request, false),
    wrapped: await make(target, request, true),
    again: await make(target, request, false),
  };
  const blocks: Record<keyof Blocks, Cost[]> = { bare: [], wrapped: [], again: [] };
  for (let block = -warmUps; block < count; block++) {
    for (const name of ORDERS[(block + warmUps) % ORDERS.length]!) {
      const startedAt = performance.now();
      const used = process.cpuUsage();
      await send(calls[name], requests);
      const { user, system } = process.cpuUsage(used);
      const wall = (performance.now() - startedAt) * 1000;
      if (block >= 0) {
        blocks[name].push({ cpu: (user + system) / requests, wall: wall / requests });
      }
    }
  }
  return blocks;
}

/** The lower quartile, the median and the upper quartile. */
export const quartiles = (values: readonly number[]): [number, number, number] => [
  quantile(values, 0.25),
  quantile(values, 0.5),
  quantile(values, 0.75),
];

/** The median cost of a request. */
export const typical = (costs: readonly Cost[], what: keyof Cost): number =>
  quantile(
    costs.map((cost) => cost[what]),
    0.5,
  );

export const total = (costs: readonly Cost[], what: keyof Cost): number =>
  costs.reduce((sum, cost) => sum + cost[what], 0);
