import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { Clock } from '@sinonjs/fake-timers';
import {
  createTokenSource,
  type Credential,
  type TokenSource,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { gate, settled, type Gate } from '../gate.ts';
import type { Way, World } from './explorer.ts';

/** So long that no timer of a refresh brings a token to its end: only the clock's jumps do. */
const LIFE = 1e8;
const AHEAD = 1e7;

export interface TokenWorldOptions {
  /** Each asks once, by `get` or by `renew`, with a signal of its own, which it may abort, or without. */
  callers: number;
  signIns: number;
  signOuts: number;
  /** How often the clock may jump: near the expiry of the token, or past it. */
  jumps: number;
  /** Of p-retry. */
  retries: number;
  /** Makes what is explored. @default createTokenSource */
  create?: (options: TokenSourceOptions<Token>) => TokenSource<Token>;
  /** How many things may happen before any microtask of the first has run. 1: each by itself. */
  atOnce: number;
}

export interface Token {
  readonly name: string;
  readonly session: Session;
  readonly expiresAt: number;
}

/** A timer of the clock, of which its types do not tell. */
interface Timer {
  readonly callAt: number;
  readonly delay: number;
}

interface Session {
  /** Why it is over. */
  over: string | undefined;
  newest: Token;
  /** When that one expires: never, for all one can tell, if it had expired when it came. */
  expiresAt: number;
  /** From when on it is refreshed ahead of time: never again once that has failed. */
  aheadAt: number;
  flight: Flight | undefined;
}

interface Flight {
  readonly base: Token;
  /** By the monotonic clock. */
  readonly startedAt: number;
  /** Whether anyone has asked who cannot go on without it. */
  needed: boolean;
  readonly attempts: Attempt[];
  /** Its time is up. */
  late: boolean;
  /** The clock has jumped meanwhile. */
  jumped: boolean;
}

type Outcome = 'token' | 'transient' | 'final';

interface Attempt extends Gate<Token> {
  readonly name: string;
  readonly session: Session;
  readonly flight: Flight;
  outcome: Outcome | undefined;
  /** What it got, if it got one. */
  token: Token | undefined;
}

interface Caller {
  readonly name: string;
  readonly session: Session;
  /** The credential that was refused. */
  readonly refused: Credential<Token> | undefined;
  /** The refresh it waits for. */
  readonly flight: Flight | undefined;
  readonly controller: AbortController | undefined;
  readonly heard: unknown[];
}

/** One token source, and all that can happen to it. */
export class TokenWorld implements World {
  readonly #options: TokenWorldOptions;
  readonly #clock: Clock;
  #tokens!: TokenSource<Token>;
  #session!: Session;
  readonly #callers: Caller[] = [];
  readonly #attempts: Attempt[] = [];
  /** Those of whom it was checked what they have heard. */
  readonly #checked = new Set<Caller>();
  /** All that have been given out, the oldest first. */
  readonly #credentials: Credential<Token>[] = [];
  readonly #broken: unknown[] = [];
  readonly #left: Pick<TokenWorldOptions, 'callers' | 'signIns' | 'signOuts' | 'jumps'>;
  /** Attempts that have got a token since all microtasks had run. */
  #arriving: Attempt[] = [];
  /** The state when all microtasks had run, and what has happened since. */
  #settledState = 'new';
  #since: string[] = [];
  /** Who is asking at this moment: a refresh begins within the call of someone who needs it. */
  #asking: Credential<Token> | 'get' | undefined;
  #names = 0;

  /** @param clock Of which the global timers and `Date` are. */
  constructor(options: TokenWorldOptions, clock: Clock) {
    this.#options = options;
    this.#left = { ...options };
    this.#clock = clock;
  }

  ways(): Way[] {
    // Everyone who is refused was sent with a token.
    if (this.#credentials.length === 0)
      return [{ name: 'a token is sent', go: () => this.#begin() }];
    const ways: Way[] = [];
    const way = (name: string, go: () => void) => {
      ways.push({
        name,
        go: () => {
          this.#since.push(name);
          go();
          return this.#options.atOnce > 1 ? undefined : this.#settle();
        },
      });
    };
    if (this.#since.length > 0) ways.push({ name: 'all microtasks', go: () => this.#settle() });
    if (this.#since.length === this.#options.atOnce) return ways;
    if (this.#left.callers > 0) {
      for (const refused of [undefined, ...this.#kinds().values()]) {
        const name = refused ? `renew ${refused.token.name}` : 'get';
        way(name, () => this.#ask(refused));
        way(`${name} with a signal`, () => this.#ask(refused, new AbortController()));
      }
    }
    for (const caller of this.#callers) {
      const { name, controller, heard } = caller;
      if (!controller || controller.signal.aborted || heard.length > 0) continue;
      way(`${name} aborts`, () => controller.abort('left'));
    }
    for (const attempt of this.#attempts) {
      if (attempt.outcome) continue;
      for (const outcome of ['token', 'transient', 'final'] as const) {
        way(`${attempt.name}: ${outcome}`, () => this.#end(attempt, outcome));
      }
    }
    if (this.#clock.countTimers() > 0) way('the next timer', () => this.#passTime());
    const { aheadAt, expiresAt } = this.#session;
    if (this.#left.jumps > 0 && !this.#session.over && this.#phase() !== 'expired') {
      if (this.#phase() === 'fresh') way('the token nears its expiry', () => this.#jump(aheadAt));
      if (expiresAt < Infinity) way('the token expires', () => this.#jump(expiresAt));
    }
    if (this.#left.signIns > 0) way('sign in', () => this.#signIn());
    if (this.#left.signOuts > 0) way('sign out', () => this.#signOut());
    return ways;
  }

  state(): string {
    return `${this.#settledState}|${this.#since.join()}`;
  }

  check(): void {
    if (this.#broken.length > 0) throw this.#broken[0];
    const session = this.#session;
    for (const caller of this.#callers) {
      assert.ok(caller.heard.length <= 1, `${caller.name} hears once`);
      if (this.#since.length > 0 || caller.heard.length > 0) continue;
      assert.ok(!caller.controller?.signal.aborted, `${caller.name} leaves at once`);
      assert.equal(caller.session, session, `${caller.name} hears that its session is over`);
      assert.ok(this.#tokens.refreshing, `${caller.name} waits for a refresh`);
    }
    if (this.#since.length > 0) return;
    assert.equal(this.#tokens.refreshing, session.flight !== undefined, 'a refresh runs');
    const isMoving = session.flight?.attempts.some(({ outcome }) => !outcome);
    if (this.#tokens.refreshing) assert.ok(isMoving || this.#clock.countTimers() > 0, 'it may end');
  }

  /** Asks once more, of a source that is at rest. */
  async end(): Promise<void> {
    for (const { controller } of this.#callers) {
      if (controller) assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    }
    const { over, newest } = this.#session;
    const attempts = this.#attempts.length;
    if (!over && this.#phase() === 'expired') return;
    this.#asking = 'get';
    const outcome = this.#tokens.get().then(
      ({ token }) => token,
      ({ code }: { code: string }) => code,
    );
    this.#asking = undefined;
    assert.equal(await outcome, over ?? newest, 'the newest token is held, and none is lost');
    const isAhead = !over && this.#phase() === 'ahead';
    assert.equal(this.#attempts.length - attempts, Number(isAhead));
    if (this.#broken.length > 0) throw this.#broken[0];
  }

  async #begin(): Promise<void> {
    // The world before may have been left half-way: what is under way there must not set timers here.
    await settled();
    this.#clock.reset();
    const { newest: token } = (this.#session = this.#newSession());
    const { create = createTokenSource<Token>, retries } = this.#options;
    this.#tokens = create({
      token,
      expiresAt: ({ expiresAt }) => expiresAt,
      refreshAhead: AHEAD,
      refreshLimit: false,
      retry: { retries, minTimeout: 1000, randomize: false },
      refresh: ({ token: previous }) => this.#refresh(previous!),
      onSessionExpired: () => this.#expired(),
    });
    this.#credentials.push(await this.#tokens.get());
    await this.#settle();
  }

  /** One credential of each kind that a source may tell from another. */
  #kinds(): Map<string, Credential<Token>> {
    const kinds = new Map<string, Credential<Token>>();
    for (const credential of this.#credentials) {
      const { session } = credential.token;
      const age = credential.token === session.newest ? 'newest' : 'older';
      const kind = session === this.#session ? age : session.over!;
      if (!kinds.has(kind)) kinds.set(kind, credential);
    }
    return kinds;
  }

  #phase(): 'fresh' | 'ahead' | 'expired' {
    const { aheadAt, expiresAt } = this.#session;
    if (Date.now() >= expiresAt) return 'expired';
    return Date.now() >= aheadAt ? 'ahead' : 'fresh';
  }

  #newToken(session: Session): Token {
    return { name: `token ${this.#names++}`, session, expiresAt: Date.now() + LIFE };
  }

  /** A token has come, now. */
  #hold(session: Session, token: Token): void {
    const life = token.expiresAt - Date.now();
    session.newest = token;
    session.expiresAt = life > 0 ? token.expiresAt : Infinity;
    session.aheadAt = session.expiresAt - Math.min(AHEAD, life / 2);
  }

  #newSession(): Session {
    const session = { over: undefined, flight: undefined } as Session;
    this.#hold(session, this.#newToken(session));
    return session;
  }

  #ask(refused?: Credential<Token>, controller?: AbortController): void {
    this.#left.callers--;
    const session = refused?.token.session ?? this.#session;
    const isNewest = refused?.token === session.newest;
    const { refreshing } = this.#tokens;
    const attempts = this.#attempts.length;
    const options = controller && { signal: controller.signal };
    this.#asking = refused ?? 'get';
    const promise = refused ? this.#tokens.renew(refused, options) : this.#tokens.get(options);
    this.#asking = undefined;

    let { flight } = session;
    const isLive = session === this.#session && !session.over;
    const mustWait = isLive && (isNewest || flight?.needed || this.#phase() === 'expired');
    if (mustWait) flight!.needed = true;
    else flight = undefined;
    // A refresh begins for who needs one and finds none; and once, unasked, when it is time.
    const isAhead = isLive && this.#phase() === 'ahead';
    const begins = isLive && !refreshing && (mustWait || isAhead);
    assert.equal(this.#attempts.length - attempts, Number(begins), 'a refresh begins when it must');

    const heard: unknown[] = [];
    const name = `caller ${this.#callers.length + 1}`;
    this.#callers.push({ name, session, refused, flight, controller, heard });
    promise.then(
      (credential) => {
        this.#credentials.push(credential);
        heard.push(credential);
      },
      (error: unknown) => heard.push(error),
    );
  }

  /** The option `refresh`. What it throws would be a failure of the refresh: it is kept. */
  #refresh(previous: Token): Promise<Token> {
    const { session } = previous;
    const flight = this.#beginAttempt(session);
    const name = `refresh ${this.#attempts.length + 1}`;
    const attempt: Attempt = {
      ...gate<Token>(),
      name,
      session,
      flight,
      outcome: undefined,
      token: undefined,
    };
    this.#expect(() => {
      assert.equal(session, this.#session, 'no refresh in another session');
      assert.equal(session.over, undefined, 'no refresh in a session that is over');
      assert.equal(previous, session.newest, 'the newest token is refreshed');
      assert.ok(!flight.late, 'no refresh after the timeout');
      const isAlone = flight.attempts.every(({ outcome }) => outcome === 'transient');
      assert.ok(isAlone && flight.attempts.length <= this.#options.retries, 'one at a time');
      if (flight.attempts.length === 0) assert.ok(this.#asking, 'somebody asks');
    });
    flight.attempts.push(attempt);
    this.#attempts.push(attempt);
    return attempt.promise;
  }

  #beginAttempt(session: Session): Flight {
    return (session.flight ??= {
      base: session.newest,
      startedAt: performance.now(),
      needed: false,
      attempts: [],
      late: false,
      jumped: false,
    });
  }

  #end(attempt: Attempt, outcome: Outcome): void {
    attempt.outcome = outcome;
    if (outcome === 'token') {
      this.#arriving.push(attempt);
      attempt.open((attempt.token = this.#newToken(attempt.session)));
    } else {
      attempt.fail({ status: outcome === 'final' ? 400 : 503 });
    }
  }

  /** The option `onSessionExpired`. */
  #expired(): void {
    const { flight, over } = this.#session;
    this.#expect(() => {
      assert.equal(over, undefined, 'a session expires once');
      assert.ok(flight?.needed, 'a refresh ahead of time costs nothing');
      assert.equal(flight.attempts.at(-1)?.outcome, 'final');
    });
    this.#session.over = 'SESSION_EXPIRED';
  }

  #passTime(): void {
    this.#clock.next();
    const { flight } = this.#session;
    if (!flight) return;
    // A timer that is late by the clock on the wall gives the answer one more second.
    const timeout = 30_000 + (flight.jumped ? 1000 : 0);
    flight.late ||= performance.now() - flight.startedAt >= timeout;
  }

  #signIn(): void {
    this.#left.signIns--;
    this.#session.over ??= 'SESSION_REPLACED';
    this.#session = this.#newSession();
    void this.#tokens.set(this.#session.newest);
  }

  #signOut(): void {
    this.#left.signOuts--;
    this.#session.over ??= 'SIGNED_OUT';
    void this.#tokens.clear();
  }

  #jump(to: number): void {
    this.#left.jumps--;
    this.#clock.setSystemTime(to);
    if (this.#session.flight) this.#session.flight.jumped = true;
  }

  /** Lets all microtasks run, and works out what must be true then. */
  async #settle(): Promise<void> {
    await settled();
    this.#since = [];
    for (const { session, flight, token } of this.#arriving) {
      // A token may come late, unless another one has come meanwhile.
      if (session.over || session.newest !== flight.base) continue;
      this.#hold(session, token!);
    }
    this.#arriving = [];
    if (this.#session.flight) this.#endFlight(this.#session, this.#session.flight);
    for (const caller of this.#callers) {
      // When it has heard: its session may be over later.
      if (caller.heard.length === 0 || this.#checked.has(caller)) continue;
      this.#checked.add(caller);
      this.#expect(() => this.#checkHeard(caller));
    }
    this.#settledState = this.#describe();
  }

  #endFlight(session: Session, flight: Flight): void {
    const { base, needed, late, attempts } = flight;
    const { outcome } = attempts.at(-1)!;
    const isReplaced = session.newest !== base;
    let isOver = !!session.over || late || outcome === 'token' || outcome === 'final';
    if (outcome === 'transient') {
      isOver ||= attempts.length > this.#options.retries;
      // Replaced by a late token, it tries no more, now or when it is its turn.
      isOver ||= isReplaced && !this.#tokens.refreshing;
    }
    if (!isOver) return;
    session.flight = undefined;
    const isDone = !!session.over || (isReplaced && this.#phase() !== 'expired');
    if (isDone) return;
    if (!needed) session.aheadAt = Infinity;
    const expires = needed && !late && outcome === 'final';
    this.#expect(() => assert.ok(!expires, 'a refused refresh ends the session'));
  }

  /** All of the source that makes a difference from here on, and of the test. */
  #describe(): string {
    const { over, newest, flight, aheadAt, expiresAt } = this.#session;
    const { callers, signIns, signOuts, jumps } = this.#left;
    const { timers = new Map() } = this.#clock as { timers?: Map<number, Timer> };
    const due = [...timers.values()].map(
      ({ callAt, delay }) => `${callAt - this.#clock.now} of ${delay}`,
    );
    const describe = (each: Flight) => {
      const { needed, late, jumped, attempts, base } = each;
      return [needed, late, jumped, attempts.length, base === newest, each === flight].join('/');
    };
    const pending = this.#attempts
      .filter(({ outcome }) => !outcome)
      .map((attempt) => `${attempt.session === this.#session} ${describe(attempt.flight)}`);
    const waiting = this.#callers
      .filter(({ heard }) => heard.length === 0)
      .map(({ controller }) => `${!!controller}`);
    return JSON.stringify([
      [callers, signIns, signOuts, jumps],
      [over, this.#phase(), aheadAt < Infinity, expiresAt < Infinity, flight && describe(flight)],
      pending.sort(),
      waiting.sort(),
      due.sort(),
      [...this.#kinds().keys()].sort(),
    ]);
  }

  #checkHeard({ session, refused, flight, controller, heard }: Caller): void {
    const [outcome] = heard as [Credential<Token> | { code: string } | 'left'];
    if (outcome === 'left') {
      assert.ok(controller?.signal.aborted);
    } else if ('token' in outcome) {
      assert.equal(outcome.token.session, session, 'no token of another session');
      if (flight) {
        assert.equal(session.over, undefined, 'no token of a session that is over');
        assert.notEqual(outcome.token, flight.base, 'nobody is sent with what is to be replaced');
      }
      assert.ok(outcome.generation > (refused?.generation ?? 0), 'no token that was refused');
    } else if (outcome.code.startsWith('REFRESH')) {
      assert.equal(session.over, undefined);
      const isTimeout = outcome.code === 'REFRESH_TIMEOUT';
      const isFailed = flight?.attempts.length === this.#options.retries + 1;
      assert.ok(isTimeout ? flight?.late : isFailed, 'a refresh has failed');
    } else {
      assert.equal(outcome.code, session.over);
    }
  }

  #expect(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#broken.push(error);
    }
  }
}
