/** One of the things that may happen next. */
export interface Way {
  readonly name: string;
  /** Makes it happen: at once, unless it is time or a microtask that passes. */
  readonly go: () => void | Promise<void>;
}

/** What is explored: made anew for every step, since no world can be copied half-way. */
export interface World {
  /** All that may happen next; the same, in the same order, whenever the same has happened. */
  ways(): readonly Way[];
  /** All on which its future depends. Worlds of the same state are explored further only once. */
  state(): string;
  /** Throws when a promise is broken. Called after every step. */
  check(): void;
  /** Throws when something is owed or kept, now that nothing can happen any more. */
  end(): void | Promise<void>;
}

export interface Exploration {
  /** How many different schedules there are, from the beginning to the end of a world. */
  schedules: bigint;
  /** How many states they lead through. */
  states: number;
  /** How many steps from one state to another were run and checked: all there are. */
  steps: number;
  /** How many steps the longest schedule has that leads to a state of its own. */
  longest: number;
}

/** The shortest schedule that breaks a promise. */
export class FailingSchedule extends Error {
  override readonly name = 'FailingSchedule';
  declare readonly steps: readonly string[];

  constructor(steps: readonly string[], cause: unknown) {
    super(`\n  ${steps.join('\n  ')}\n${String(cause)}`, { cause });
    this.steps = steps;
  }
}

/** A state, and the first way that was found to it: one of the shortest. */
interface Found {
  readonly from: Found | undefined;
  readonly index: number;
  readonly depth: number;
  /** How many ways lead on from here. */
  ways: number;
  /** Where they lead. */
  readonly next: Found[];
}

/** After so many steps the event loop turns once, for rejections that nobody handles to show. */
const BATCH = 1000;

/**
 * Leads worlds through every schedule there is, without randomness: from every state that can be
 * reached, each way on is taken once, the states with the fewest steps to them first.
 *
 * @param options.turn Called now and then. Throws when something went wrong that no step saw.
 * @param options.merge `false` explores each schedule by itself, whatever states it shares with
 *   others: for small worlds, as a proof that `state` leaves nothing out.
 * @throws {FailingSchedule} When `check` or `end` throws: no schedule of fewer steps fails.
 */
export async function explore(
  create: () => World,
  {
    turn = async () => {},
    merge = true,
  }: { turn?: (() => Promise<void>) | undefined; merge?: boolean } = {},
): Promise<Exploration> {
  const beginning = create();
  const root: Found = {
    from: undefined,
    index: 0,
    depth: 0,
    ways: beginning.ways().length,
    next: [],
  };
  const found = new Map([[beginning.state(), root]]);
  let steps = 0;
  let last = root;
  let frontier = [root];
  while (frontier.length > 0) {
    const further: Found[] = [];
    for (const from of frontier) {
      for (let index = 0; index < from.ways; index++) {
        const world = create();
        const names: string[] = [];
        try {
          for (const each of indexesTo(from, index)) {
            const { name, go } = world.ways()[each]!;
            names.push(name);
            const going = go();
            // Nothing else is awaited: a microtask that passes is a step of its own.
            if (going) await going;
          }
          world.check();
          const state = merge ? world.state() : `${steps}`;
          const ways = world.ways().length;
          let to = found.get(state);
          if (!to) {
            to = { from, index, depth: from.depth + 1, ways, next: [] };
            found.set(state, to);
            further.push((last = to));
          }
          if (to.ways !== ways) throw new Error(`the state leaves something out: ${state}`);
          from.next.push(to);
          if (to.ways === 0) await world.end();
        } catch (error) {
          throw new FailingSchedule(names, error);
        }
        if (++steps % BATCH === 0) await turn();
      }
    }
    frontier = further;
  }
  await turn();
  return { schedules: count(root), states: found.size, steps, longest: last.depth };
}

/** The ways to a state, from the beginning, and one step beyond. */
function indexesTo(to: Found, index: number): number[] {
  const indexes = [index];
  for (let found = to; found.from; found = found.from) indexes.unshift(found.index);
  return indexes;
}

/** How many schedules there are from here on. Nothing leads back to a state: something has happened. */
function count(from: Found, counted = new Map<Found, bigint>()): bigint {
  let schedules = counted.get(from);
  if (schedules === undefined) {
    schedules = from.ways === 0 ? 1n : 0n;
    for (const to of from.next) schedules += count(to, counted);
    counted.set(from, schedules);
  }
  return schedules;
}
