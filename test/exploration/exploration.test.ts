import { install, type Clock } from '@sinonjs/fake-timers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  FlightGroup,
  type Credential,
  type TokenSource,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { writeProof } from '../proof.ts';
import { watchUnhandled } from '../properties/runs.ts';
import { explore, FailingSchedule, type World } from './explorer.ts';
import { FlightWorld, type FlightWorldOptions } from './flight-world.ts';
import { TokenWorld, type Token, type TokenWorldOptions } from './token-world.ts';

/** `npm run test:proof` explores all, `npm test` what takes seconds. */
const ALL = process.env['PROOF'] === 'all';

const TIMEOUT = ALL ? 3_600_000 : 60_000;

const turn = watchUnhandled();
let clock: Clock;
beforeAll(() => {
  const toFake = ['setTimeout', 'clearTimeout', 'Date', 'performance'] as const;
  clock = install({ now: new Date('2026-01-01T00:00:00Z'), toFake: [...toFake] });
  // Tokens are refreshed ahead of time by up to a tenth less: here by nothing less.
  vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterAll(() => {
  clock.uninstall();
  vi.restoreAllMocks();
});

type Waiting = Parameters<TokenSource<Token>['get']>[0];

const rows: string[] = [];
afterAll(() => {
  if (!ALL) return;
  const head =
    '| what | schedules | states | steps run | seconds |\n| --- | --: | --: | --: | --: |';
  writeProof('exploration', [head, ...rows].join('\n'));
});

async function note(name: string, create: () => World): Promise<void> {
  const startedAt = process.hrtime.bigint();
  const { schedules, states, steps } = await explore(create, { turn });
  const seconds = Math.round(Number(process.hrtime.bigint() - startedAt) / 1e9);
  const counts = [schedules, states, steps, seconds].map((count) => count.toLocaleString('en'));
  rows.push(`| ${name} | ${counts.join(' | ')} |`);
  expect(schedules).toBeGreaterThan(1000n);
}

const count = (many: number, what: string) => `${many} ${what}${many > 1 ? 's' : ''}`;

const flights: FlightWorldOptions[] = ALL
  ? [
      { callers: 2, forgets: 2, betweenMicrotasks: true },
      { callers: 3, forgets: 1, betweenMicrotasks: true },
      { callers: 4, forgets: 2, betweenMicrotasks: false },
    ]
  : [
      { callers: 2, forgets: 1, betweenMicrotasks: true },
      { callers: 3, forgets: 1, betweenMicrotasks: false },
    ];

const nameOfFlights = ({ callers, forgets, betweenMicrotasks }: FlightWorldOptions) => {
  const when = betweenMicrotasks ? 'between any two microtasks' : 'one after the other';
  return `\`FlightGroup\`: ${count(callers, 'caller')}, ${forgets} × \`forget\`, ${when}`;
};

const sources: TokenWorldOptions[] = ALL
  ? [
      { callers: 1, signIns: 1, signOuts: 1, jumps: 2, retries: 1, atOnce: 3 },
      { callers: 2, signIns: 1, signOuts: 1, jumps: 1, retries: 1, atOnce: 2 },
      { callers: 3, signIns: 1, signOuts: 1, jumps: 1, retries: 1, atOnce: 1 },
    ]
  : [
      { callers: 1, signIns: 1, signOuts: 0, jumps: 1, retries: 1, atOnce: 2 },
      { callers: 2, signIns: 1, signOuts: 0, jumps: 0, retries: 1, atOnce: 1 },
    ];

const nameOfSource = (options: TokenWorldOptions) => {
  const { callers, signIns, signOuts, jumps, retries, atOnce } = options;
  const events = `${signIns} × \`set\`, ${signOuts} × \`clear\`, ${jumps} × the clock, ${retries} × retry`;
  const when = atOnce > 1 ? `up to ${atOnce} at once` : 'one after the other';
  return `token source: ${count(callers, 'caller')}, ${events}, ${when}`;
};

describe('Every interleaving of', { timeout: TIMEOUT }, () => {
  it.each(flights.map((options) => [nameOfFlights(options), options] as const))(
    '%s',
    async (name, options) => {
      await note(name, () => new FlightWorld(options));
    },
  );

  it.each(sources.map((options) => [nameOfSource(options), options] as const))(
    '%s',
    async (name, options) => {
      await note(name, () => new TokenWorld(options, clock));
    },
  );
});

describe('The explorer', { timeout: TIMEOUT }, () => {
  /** What it does not explore twice, it counts: both counts are the same only when states are whole. */
  const bothWays = async (create: () => World) => {
    const merged = await explore(create, { turn });
    const single = await explore(create, { turn, merge: false });
    expect(merged.schedules).toBe(single.schedules);
    expect(merged.states).toBeLessThan(single.states);
    expect(Number(single.schedules)).toBeGreaterThan(50);
  };

  it.each([
    { callers: 1, forgets: 1, betweenMicrotasks: true },
    { callers: 2, forgets: 0, betweenMicrotasks: ALL },
  ])('tells states of a FlightGroup apart: $callers, $betweenMicrotasks', async (options) => {
    await bothWays(() => new FlightWorld(options));
  });

  it.each([
    { callers: 1, signIns: 1, signOuts: 0, jumps: 0, retries: 1, atOnce: 1 },
    { callers: 1, signIns: 1, signOuts: Number(ALL), jumps: 1, retries: 0, atOnce: 1 },
  ])('tells states of a token source apart: $signOuts, $jumps, $retries', async (options) => {
    await bothWays(() => new TokenWorld(options, clock));
  });

  const failureOf = (create: () => World) =>
    explore(create, { turn }).then(
      () => [],
      (error: unknown) => (error as FailingSchedule).steps,
    );

  it('finds the shortest way to evict the flight that replaced a forgotten one (golang/go#31420)', async () => {
    class Group extends FlightGroup<string, string> {
      override free(key: string): void {
        this.forget(key);
      }
    }
    const options = { callers: 2, forgets: 1, betweenMicrotasks: true, Group };
    expect(await failureOf(() => new FlightWorld(options))).toEqual([
      'call with a signal (reads)',
      'forget',
      'call (waits)',
      'caller 1 aborts',
    ]);
  });

  it('finds the shortest way to refresh twice when an old 401 comes late', async () => {
    const create = (given: TokenSourceOptions<Token>) => {
      const source = createTokenSource(given);
      let newest: Credential<Token>;
      const keep = (credential: Credential<Token>) => (newest = credential);
      // As interceptors do, that do not know with which token a request was sent.
      return Object.assign(Object.create(source) as typeof source, {
        get: (waiting?: Waiting) => source.get(waiting).then(keep),
        renew: (_: unknown, waiting?: Waiting) => source.renew(newest, waiting).then(keep),
      });
    };
    const options = {
      callers: 2,
      signIns: 0,
      signOuts: 0,
      jumps: 0,
      retries: 0,
      atOnce: 1,
      create,
    };
    expect(await failureOf(() => new TokenWorld(options, clock))).toEqual([
      'a token is sent',
      'renew token 0',
      'refresh 1: token',
      'renew token 0',
    ]);
  });
});
