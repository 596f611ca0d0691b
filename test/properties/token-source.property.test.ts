import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenSource, type Credential, type TokenSource } from '../../src/index.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

type Action =
  | { kind: 'get'; signal: 'own' | 'shared' | 'none' }
  /** Refuses one of the credentials given out so far: the newest, or any older one. */
  | { kind: 'renew'; credential: number; signal: 'own' | 'shared' | 'none' }
  | { kind: 'abort'; caller: number }
  | { kind: 'set' }
  | { kind: 'clear' };

type Outcome = 'token' | 'transient' | 'final' | 'throw';

const signal = fc.constantFrom('own' as const, 'shared' as const, 'none' as const);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('get' as const), signal }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('renew' as const), credential: fc.nat(4), signal }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('abort' as const), caller: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('set' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const) }) },
);
const outcomes = fc.infiniteStream(
  fc.constantFrom<Outcome[]>('token', 'token', 'token', 'transient', 'final', 'throw'),
);

/** A session as the test knows it. Its tokens are named `session:number`. */
interface Session {
  id: number;
  /** Why it is over. */
  over: string | undefined;
  running: number;
  /** The credential with the highest generation that anyone was given. */
  newest: Credential<string> | undefined;
}

interface Caller {
  session: Session;
  /** Asks for a token newer than this. */
  above: number;
  controller: AbortController | undefined;
  aborted: boolean;
  /** Set when its session ends while it still waits for a refresh: what it must then hear. */
  owed: string | undefined;
  heard: unknown[];
}

class World {
  readonly tokens: TokenSource<string>;
  readonly shared = new AbortController();
  readonly callers: Caller[] = [];
  readonly credentials: { credential: Credential<string>; session: Session }[] = [];
  readonly violations: unknown[] = [];
  refreshes = 0;
  expired = 0;
  readonly sessions: Session[] = [];
  session: Session = this.#begin();
  readonly #scheduler: fc.Scheduler;
  readonly #outcomes: Iterator<Outcome>;
  /** The call that is being made: a refresh may only begin within one that needs it. */
  #asking: 'get' | Credential<string> | undefined;

  constructor(scheduler: fc.Scheduler, outcomes: Iterator<Outcome>) {
    this.#scheduler = scheduler;
    this.#outcomes = outcomes;
    this.tokens = createTokenSource<string>({
      token: '0:0',
      retry: { retries: 0 },
      refreshLimit: false,
      refresh: ({ token }) => this.#refresh(token),
      onSessionExpired: () => this.expired++,
    });
  }

  #begin(): Session {
    const id = this.sessions.length;
    const session: Session = { id, over: undefined, running: 0, newest: undefined };
    this.sessions.push(session);
    return session;
  }

  perform(what: Action): void {
    if (what.kind === 'set') {
      this.#end('SESSION_REPLACED');
      this.session = this.#begin();
      void this.tokens.set(`${this.session.id}:0`);
    } else if (what.kind === 'clear') {
      this.#end('SIGNED_OUT');
      void this.tokens.clear();
    } else if (what.kind === 'abort') {
      const caller = this.callers[what.caller];
      if (!caller?.controller || caller.heard.length > 0) return;
      caller.aborted = true;
      caller.controller.abort(caller);
    } else {
      this.#ask(what);
    }
  }

  #ask(what: Action & { kind: 'get' | 'renew' }): void {
    const refused = what.kind === 'renew' ? this.credentials.at(-1 - what.credential) : undefined;
    if (what.kind === 'renew' && !refused) return;
    const session = refused?.session ?? this.session;
    const controller = what.signal === 'own' ? new AbortController() : undefined;
    const options = { signal: what.signal === 'shared' ? this.shared.signal : controller?.signal };
    const above = refused?.credential.generation ?? 0;
    const caller: Caller = {
      session,
      above,
      controller,
      aborted: false,
      owed: undefined,
      heard: [],
    };
    this.callers.push(caller);

    this.#asking = refused?.credential ?? 'get';
    const promise = refused
      ? this.tokens.renew(refused.credential, options)
      : this.tokens.get(options);
    this.#asking = undefined;
    if (session.over) caller.owed = session.over;
    promise.then(
      (credential) => {
        caller.heard.push(credential);
        this.credentials.push({ credential, session });
        if (credential.generation > (session.newest?.generation ?? 0)) session.newest = credential;
      },
      (error: unknown) => caller.heard.push(error),
    );
  }

  async #refresh(token: string): Promise<string> {
    const { session } = this;
    try {
      this.#expectNeeded(session, token);
    } catch (violation) {
      // Thrown, it would pass for a refresh that failed.
      this.violations.push(violation);
    }

    session.running++;
    const number = ++this.refreshes;
    const { value: outcome } = this.#outcomes.next() as { value: Outcome };
    if (outcome === 'throw') session.running--;
    if (outcome === 'throw') throw new Error('at once');
    await this.#scheduler.schedule(Promise.resolve(), `refresh ${number}: ${outcome}`);
    session.running--;
    if (outcome === 'token') return `${session.id}:${number}`;
    if (outcome === 'transient') {
      throw Object.assign(new Error('transient'), { status: 503 });
    }
    session.over ??= 'SESSION_EXPIRED';
    throw Object.assign(new Error('final'), { status: 400 });
  }

  #expectNeeded(session: Session, token: string): void {
    // (a) One at a time, in a session that lives, and with a token of it.
    expect(session.over).toBe(undefined);
    expect(session.running).toBe(0);
    expect(token.startsWith(`${session.id}:`)).toBe(true);
    // (b) and (c) Only within the call of someone whose credential was the newest.
    expect(this.#asking).toBeInstanceOf(Object);
    const { generation } = this.#asking as Credential<string>;
    expect(generation).toBe(session.newest!.generation);
  }

  #end(code: string): void {
    this.session.over ??= code;
    if (this.session.over !== code) return;
    for (const caller of this.callers) {
      // Its refresh is still running: it can only hear that the session is over.
      if (
        caller.session === this.session &&
        caller.heard.length === 0 &&
        this.session.running > 0
      ) {
        caller.owed = code;
      }
    }
  }
}

describe('A token source, under any interleaving of calls, refreshes, aborts, set and clear', () => {
  it('refreshes only for the newest credential, and gives every caller what it is owed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(action, { minLength: 1, maxLength: upTo(25) }),
        outcomes,
        async (scheduler, actions, refreshOutcomes) => {
          const world = new World(scheduler, refreshOutcomes);
          const first = await world.tokens.get();
          world.credentials.push({ credential: first, session: world.session });
          world.session.newest = first;
          const performed = actions.map((what) =>
            scheduler.schedule(Promise.resolve(), what.kind).then(() => world.perform(what)),
          );
          await scheduler.waitIdle();
          await Promise.all(performed);
          // Whoever waited for a refresh that was discarded has long been told.
          await expectNoneUnhandled();
          expect(world.violations).toEqual([]);
          expect(world.expired).toBe(
            world.sessions.filter(({ over }) => over === 'SESSION_EXPIRED').length,
          );

          for (const { session, above, aborted, controller, owed, heard } of world.callers) {
            expect(heard).toHaveLength(1);
            const [outcome] = heard as [Credential<string> & { code?: string }];
            if (aborted && (outcome as unknown) === controller!.signal.reason) continue;
            if (outcome instanceof Error) {
              const allowed = owed ? [owed] : [session.over, 'REFRESH_FAILED'];
              expect(allowed).toContain(outcome.code);
            } else {
              expect(owed).toBe(undefined);
              // Never another session's token, and never one that was refused already.
              expect(outcome.token.startsWith(`${session.id}:`)).toBe(true);
              expect(outcome.generation).toBeGreaterThan(above);
            }
          }
          expect(world.tokens.refreshing).toBe(false);
          expect(getEventListeners(world.shared.signal, 'abort')).toEqual([]);
        },
      ),
      runs(1000),
    );
  });

  it('causes exactly one refresh when any number of callers are refused, in any order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 4 }),
        async (scheduler, callers, expiries) => {
          let refreshes = 0;
          const tokens = createTokenSource<number>({
            token: 0,
            refreshLimit: false,
            refresh: async () => {
              const generation = ++refreshes;
              await scheduler.schedule(Promise.resolve(), `refresh ${generation}`);
              return generation;
            },
          });
          for (let expiry = 1; expiry <= expiries; expiry++) {
            // All are sent with the token that has expired; their 401s come in any order, also long
            // after the refresh that the first of them began.
            const refused = await Promise.all(Array.from({ length: callers }, () => tokens.get()));
            const renewals = refused.map((credential, caller) =>
              scheduler
                .schedule(Promise.resolve(), `401 of caller ${caller}`)
                .then(() => tokens.renew(credential)),
            );
            await scheduler.waitIdle();
            const renewed = await Promise.all(renewals);
            expect(new Set(renewed.map(({ token }) => token))).toEqual(new Set([expiry]));
            expect(refreshes).toBe(expiry);
          }
          await expectNoneUnhandled();
        },
      ),
      runs(300),
    );
  });
});
