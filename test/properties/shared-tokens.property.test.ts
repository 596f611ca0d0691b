import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  sharedTokens,
  type Credential,
  type ReadSession,
  type StoredSession,
  type TokenSource,
} from '../../src/index.ts';
import { settled } from '../gate.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

type Action =
  | { kind: 'use'; realm: number }
  /** The token expires, and every realm meets that. */
  | { kind: 'burst' }
  | { kind: 'expire' }
  | { kind: 'open' }
  | { kind: 'set'; realm: number }
  | { kind: 'clear'; realm: number }
  | { kind: 'wait'; milliseconds: number };

const realm = fc.nat(3);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('use' as const), realm }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('burst' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('open' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('set' as const), realm }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), realm }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      milliseconds: fc.integer({ min: 1, max: 400 }),
    }),
  },
);

/** What goes wrong, drawn anew at each step of the engine. */
interface Faults {
  /** A command of the store fails: before it has an effect, or its answer is lost. */
  readonly command: 'none' | 'before' | 'after';
  /** A message does not come. */
  readonly isLost: boolean;
  /** A lease ends while its holder has not sent yet. */
  readonly isBroken: boolean;
  /** The refresh fails for now. */
  readonly isRefused: boolean;
}

const mostly = <Value>(usual: Value, ...others: Value[]): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(usual) },
    ...others.map((each) => fc.constant(each)),
  );
const faults = fc.infiniteStream(
  fc.record({
    command: mostly<Faults['command']>('none', 'before', 'after'),
    isLost: mostly(false, true),
    isBroken: mostly(false, true),
    isRefused: mostly(false, true),
  }),
);
const healthy: Faults = { command: 'none', isLost: false, isBroken: false, isRefused: false };
const none = fc.constant<Iterator<Faults>>({ next: () => ({ done: false, value: healthy }) });

/** A lock, a store and messages between realms, each of whose steps happens when fast-check says. */
class Engine {
  stored: (StoredSession<string> & { writtenAt: number }) | undefined;
  readonly #scheduler: fc.Scheduler;
  readonly #faults: Iterator<Faults>;
  readonly #listeners = new Set<() => void>();
  /** Who waits for the lock; the first has it. */
  readonly #queue: { grant: () => void }[] = [];

  constructor(scheduler: fc.Scheduler, given: Iterator<Faults>) {
    this.#scheduler = scheduler;
    this.#faults = given;
  }

  draw(): Faults {
    return this.#faults.next().value as Faults;
  }

  step(label: string): Promise<void> {
    return this.#scheduler.schedule(Promise.resolve(), label);
  }

  async #command<Result>(label: string, effect: () => Result): Promise<Result> {
    const { command } = this.draw();
    await this.step(label);
    if (command === 'before') throw new Error('the connection broke');
    const result = effect();
    await this.step(`${label} answers`);
    if (command === 'after') throw new Error('the answer was lost');
    return result;
  }

  readonly store = {
    read: () =>
      this.#command('read', (): ReadSession<string> | undefined => {
        if (!this.stored) return undefined;
        const { writtenAt, ...stored } = this.stored;
        return { ...stored, age: Date.now() - writtenAt };
      }),
    write: (stored: StoredSession<string>, { expected }: { expected: number }) =>
      this.#command('write', () => {
        if ((this.stored?.version ?? 0) !== expected) return false;
        this.stored = { ...stored, writtenAt: Date.now() };
        for (const listener of this.#listeners) void this.#message(listener);
        return true;
      }),
    subscribe: (listener: () => void) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
  };

  async #message(listener: () => void): Promise<void> {
    const { isLost } = this.draw();
    await this.step('message');
    if (!isLost) listener();
  }

  readonly locks = {
    request: async <Result>(
      _name: string,
      { signal }: { signal: AbortSignal },
      callback: (grant: unknown) => Promise<Result>,
    ): Promise<Result> => {
      await this.step('ask for the lock');
      const release = await new Promise<() => void>((resolve, reject) => {
        const waiting = { grant: () => resolve(leave) };
        const leave = () => {
          const place = this.#queue.indexOf(waiting);
          if (place < 0) return;
          this.#queue.splice(place, 1);
          if (place === 0) this.#queue[0]?.grant();
        };
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
          if (this.#queue[0] !== waiting) leave();
        });
        if (signal.aborted) return reject(signal.reason as Error);
        if (this.#queue.push(waiting) === 1) waiting.grant();
      });
      const { isBroken } = this.draw();
      try {
        await this.step('lock');
        if (isBroken) release();
        const assertHeld = () => {
          if (isBroken) throw new Error('the lease has ended');
        };
        return await callback({ assertHeld });
      } finally {
        release();
      }
    },
  };
}

/** A server whose refresh tokens rotate, and the realms that share its sessions. */
class World {
  readonly realms: TokenSource<string>[] = [];
  readonly callers: Promise<void>[] = [];
  /** What must not happen. */
  readonly violations: string[] = [];
  readonly engine: Engine;
  /** Sessions that were signed in, each with its newest token: `session:number`. */
  readonly sessions: { newest: number; isGood: boolean; expiries: number; refreshes: number }[] =
    [];
  answered = 0;

  constructor(scheduler: fc.Scheduler, given: Iterator<Faults>) {
    this.engine = new Engine(scheduler, given);
  }

  open(): TokenSource<string> {
    const { locks, store } = this.engine;
    const source = createTokenSource<string>({
      shared: sharedTokens({ name: 'session', locks, store }),
      retry: { retries: 2, minTimeout: 10 },
      refreshLimit: false,
      refresh: ({ token }) => this.#refresh(token),
    });
    this.realms.push(source);
    return source;
  }

  signIn(): string {
    this.sessions.push({ newest: 0, isGood: true, expiries: 0, refreshes: 0 });
    return `${this.sessions.length - 1}:0`;
  }

  async #refresh(token: string | undefined): Promise<string> {
    const [id, number] = (token ?? 'none').split(':').map(Number) as [number, number];
    const session = this.sessions[id];
    if (!session) throw Object.assign(new Error('no session'), { status: 400 });
    const { isRefused } = this.engine.draw();
    if (isRefused) {
      await this.engine.step('503');
      throw Object.assign(new Error('unavailable'), { status: 503 });
    }
    if (session.isGood) this.violations.push(`a refresh while ${id}:${session.newest} was good`);
    if (number !== session.newest) this.violations.push(`${token} was used again`);
    session.refreshes++;
    session.newest++;
    session.isGood = true;
    const next = `${id}:${session.newest}`;
    await this.engine.step(`refreshed ${next}`);
    return next;
  }

  perform(what: Action): void {
    if (what.kind === 'open') this.open();
    else if (what.kind === 'burst') {
      this.perform({ kind: 'expire' });
      for (const source of this.realms) this.callers.push(this.#use(source), this.#use(source));
    } else if (what.kind === 'wait') vi.advanceTimersByTime(what.milliseconds);
    else if (what.kind === 'expire') {
      const session = this.sessions.at(-1)!;
      if (session.isGood) session.expiries++;
      session.isGood = false;
    } else {
      const source = this.realms[what.realm % this.realms.length]!;
      if (what.kind === 'use') this.callers.push(this.#use(source));
      // A store that fails is told of; what was meant holds here all the same.
      else if (what.kind === 'set') source.set(this.signIn()).catch(() => {});
      else source.clear().catch(() => {});
    }
  }

  /** Sends a request, and once more after a refusal, as an adapter does. */
  async #use(source: TokenSource<string>): Promise<void> {
    try {
      const credential = await source.get();
      if (this.#accepts(credential)) return;
      const newer = await source.renew(credential);
      const [session, next] = [credential, newer].map(({ token }) => token.split(':')[0]);
      if (session !== next) this.violations.push(`${credential.token} became ${newer.token}`);
      this.answered++;
    } catch (error) {
      const { name, code } = error as { name: string; code?: string };
      if (!code) this.violations.push(`${name}: ${String(error)}`);
    }
  }

  #accepts({ token }: Credential<string>): boolean {
    const [id, number] = token.split(':').map(Number) as [number, number];
    const { newest, isGood } = this.sessions[id]!;
    return isGood && number === newest;
  }
}

beforeAll(() => {
  vi.useFakeTimers({
    toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'],
    now: new Date('2026-01-01T00:00:00Z'),
  });
});
afterAll(() => void vi.useRealTimers());

/** Lets the scheduler, and the timers when it has nothing left, go on until the work is done. */
async function finish(scheduler: fc.Scheduler, work: Promise<unknown>): Promise<void> {
  const state = { isDone: false };
  void work.finally(() => (state.isDone = true));
  for (let steps = 0; !state.isDone; steps++) {
    if (steps > 20_000) throw new Error('it hangs');
    await settled();
    if (scheduler.count()) await scheduler.waitOne();
    else if (!state.isDone) await vi.advanceTimersByTimeAsync(10);
  }
}

async function play(
  scheduler: fc.Scheduler,
  given: Iterator<Faults>,
  realms: number,
  actions: Action[],
): Promise<World> {
  const world = new World(scheduler, given);
  const first = world.open();
  await finish(
    scheduler,
    first.set(world.signIn()).catch(() => {}),
  );
  while (world.realms.length < realms) world.open();
  for (const each of actions) {
    world.perform(each);
    await settled();
    // Some of what is under way happens before the next action.
    for (let steps = 0; steps < 3 && scheduler.count(); steps++) await scheduler.waitOne();
  }
  await finish(scheduler, Promise.all(world.callers));
  return world;
}

const count = fc.integer({ min: 2, max: 4 });
const actions = fc.array(action, { minLength: 5, maxLength: upTo(40), size: 'max' });

describe('Realms that share a session', () => {
  it('refresh once per expiry, whatever the order of locks, reads, writes and messages', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        none,
        count,
        actions.map((all) => all.filter(({ kind }) => kind !== 'set' && kind !== 'clear')),
        async (scheduler, given, realms, all) => {
          const world = await play(scheduler, given, realms, all);
          expect(world.violations).toEqual([]);
          const [{ expiries, refreshes, isGood }] = world.sessions as [World['sessions'][number]];
          // The last expiry may have met no request.
          expect(refreshes).toBe(isGood ? expiries : expiries - 1);
          for (const source of world.realms) source.close();
          await expectNoneUnhandled();
        },
      ),
      runs(150),
    );
  });

  it('use no refresh token twice and cross no session, whatever fails, and agree in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        faults,
        count,
        actions,
        async (scheduler, given, realms, all) => {
          const world = await play(scheduler, given, realms, all);
          expect(world.violations).toEqual([]);
          // What a realm has to write yet is written, and the others look, when they are next used.
          world.engine.draw = () => healthy;
          for (let round = 0; round < 2; round++) {
            await vi.advanceTimersByTimeAsync(60_000);
            for (const source of world.realms) {
              const use = source.get().then(
                async (credential) => source.renew(credential),
                () => {},
              );
              await finish(
                scheduler,
                use.catch(() => {}),
              );
            }
            // What was asked for in vain before may be answered only now, and is to be looked at then.
            await scheduler.waitIdle();
          }
          const known = await Promise.all(
            world.realms.map(async (source) =>
              source.get().then(
                ({ token }) => token.split(':')[0],
                () => 'over',
              ),
            ),
          );
          expect(new Set(known).size).toBe(1);
          for (const source of world.realms) source.close();
          await expectNoneUnhandled();
        },
      ),
      runs(150),
    );
  });
});
