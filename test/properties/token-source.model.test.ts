import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, type Credential, type TokenSource } from '../../src/index.ts';
import { gate, settled, type Gate } from '../gate.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

const LIFE = 100_000;
const AHEAD = 20_000;

interface Token {
  name: string;
  expiresAt: number;
}

/** One session: what it holds, why it is over, and the refresh that runs in it. */
interface ModelSession {
  token: Token;
  aheadAt: number;
  over: string | undefined;
  refresh: { needed: boolean; waiting: number[] } | undefined;
}

interface Model {
  session: ModelSession;
  /** The session of each refresh, in the order in which they began, until it has ended. */
  refreshes: (ModelSession | undefined)[];
  /** What each caller has heard: a token's name or an error's code. */
  heard: (string | undefined)[];
  /** Each credential that a caller was given: its token and its session. */
  given: { token: Token; session: ModelSession }[];
  expired: number;
}

interface Real {
  tokens: TokenSource<Token>;
  refreshes: Gate<Token>[];
  callers: { controller: AbortController; heard: string[] }[];
  given: Credential<Token>[];
  expired: number;
}

const newToken = (name: string): Token => ({ name, expiresAt: Date.now() + LIFE });

const newSession = (name: string): ModelSession => {
  const token = newToken(name);
  return { token, aheadAt: token.expiresAt - AHEAD, over: undefined, refresh: undefined };
};

/** A command, after which the source and the model must agree in all that can be seen. */
function command(
  name: string,
  predict: (model: Model) => void,
  perform: (real: Real) => void,
  check: (model: Readonly<Model>) => boolean = () => true,
): fc.AsyncCommand<Model, Real> {
  return {
    check,
    toString: () => name,
    async run(model, real) {
      predict(model);
      perform(real);
      await settled();
      expect(real.callers.map(({ heard }) => heard)).toEqual(
        model.heard.map((each) => (each === undefined ? [] : [each])),
      );
      expect(real.refreshes).toHaveLength(model.refreshes.length);
      expect(real.tokens.refreshing).toBe(model.session.refresh !== undefined);
      expect(real.given.map(({ token }) => token)).toEqual(model.given.map(({ token }) => token));
      expect(real.expired).toBe(model.expired);
    },
  };
}

function joinRefresh(model: Model, needed: boolean, caller?: number): void {
  const { session } = model;
  if (!session.refresh) {
    session.refresh = { needed: false, waiting: [] };
    model.refreshes.push(session);
  }
  session.refresh.needed ||= needed;
  if (caller !== undefined) session.refresh.waiting.push(caller);
}

function give(model: Model, caller: number): void {
  model.heard[caller] = model.session.token.name;
  model.given.push({ token: model.session.token, session: model.session });
}

function predictGet(model: Model): void {
  const { session } = model;
  const caller = model.heard.length;
  model.heard.push(session.over);
  if (session.over) return;
  const now = Date.now();
  if (session.refresh?.needed || now >= session.token.expiresAt)
    return joinRefresh(model, true, caller);
  if (now >= session.aheadAt) joinRefresh(model, false);
  give(model, caller);
}

function ask(real: Real, asked: (signal: AbortSignal) => Promise<Credential<Token>>): void {
  const caller = { controller: new AbortController(), heard: [] as string[] };
  real.callers.push(caller);
  asked(caller.controller.signal).then(
    (credential) => {
      caller.heard.push(credential.token.name);
      real.given.push(credential);
    },
    (error: { code: string } | string) =>
      caller.heard.push(typeof error === 'string' ? error : error.code),
  );
}

const get = () =>
  command('get', predictGet, (real) => ask(real, (signal) => real.tokens.get({ signal })));

/** Refuses a credential: 0 is the one given out last. */
const renew = (age: number) =>
  command(
    `renew the credential before the last ${age}`,
    (model) => {
      const { session, token } = model.given.at(-1 - age)!;
      if (session.over) model.heard.push(session.over);
      else if (token !== session.token) predictGet(model);
      else joinRefresh(model, true, model.heard.push(undefined) - 1);
    },
    (real) => {
      const credential = real.given.at(-1 - age)!;
      ask(real, (signal) => real.tokens.renew(credential, { signal }));
    },
    ({ given }) => age < given.length,
  );

const abort = (caller: number) =>
  command(
    `abort caller ${caller}`,
    ({ session, heard }) => {
      if (heard[caller] !== undefined) return;
      heard[caller] = 'left';
      const waiting = session.refresh?.waiting;
      waiting?.splice(waiting.indexOf(caller), 1);
    },
    ({ callers }) => callers[caller]!.controller.abort('left'),
    ({ heard }) => caller < heard.length,
  );

const endRefresh = (index: number, how: 'token' | 'transient' | 'final') =>
  command(
    `refresh ${index}: ${how}`,
    (model) => {
      const session = model.refreshes[index]!;
      model.refreshes[index] = undefined;
      if (session.over) return;
      const { needed, waiting } = session.refresh!;
      session.refresh = undefined;
      if (how === 'token') {
        Object.assign(session, newSession(`refreshed ${index}`));
        for (const caller of waiting) give(model, caller);
      } else if (how === 'final' && needed) {
        session.over = 'SESSION_EXPIRED';
        model.expired++;
        for (const caller of waiting) model.heard[caller] = session.over;
      } else {
        if (!needed) session.aheadAt = Infinity;
        for (const caller of waiting) model.heard[caller] = 'REFRESH_FAILED';
      }
    },
    ({ refreshes }) => {
      if (how === 'token') refreshes[index]!.open(newToken(`refreshed ${index}`));
      const status = how === 'final' ? 401 : 502;
      if (how !== 'token') refreshes[index]!.fail(Object.assign(new Error(how), { status }));
    },
    ({ refreshes }) => refreshes[index] !== undefined,
  );

function endSession(model: Model, code: string): void {
  const { session } = model;
  session.over ??= code;
  for (const caller of session.refresh?.waiting ?? []) model.heard[caller] = code;
  session.refresh = undefined;
}

const set = (name: string) =>
  command(
    `set ${name}`,
    (model) => {
      endSession(model, 'SESSION_REPLACED');
      model.session = newSession(name);
    },
    ({ tokens }) => void tokens.set(newToken(name)),
  );

const clear = () =>
  command(
    'clear',
    (model) => endSession(model, 'SIGNED_OUT'),
    ({ tokens }) => void tokens.clear(),
  );

const pass = (time: number) =>
  command(
    `${time} ms pass`,
    () => void vi.setSystemTime(Date.now() + time),
    () => {},
  );

const commands = fc.commands(
  [
    fc.constant(get()),
    fc.constant(get()),
    fc.nat(5).map(renew),
    fc.nat(2).map(renew),
    fc.nat(12).map(abort),
    fc
      .tuple(fc.nat(6), fc.constantFrom('token' as const, 'transient' as const, 'final' as const))
      .map((args) => endRefresh(...args)),
    fc.nat(6).map((index) => endRefresh(index, 'token')),
    fc.constantFrom('Ada', 'Bob').map(set),
    fc.constant(clear()),
    fc.constantFrom(LIFE, LIFE - AHEAD, AHEAD / 4, AHEAD).map(pass),
  ],
  { maxCommands: upTo(40) },
);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T00:00:00Z') });
  vi.spyOn(Math, 'random').mockReturnValue(0);
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function setup() {
  const real: Real = { tokens: undefined!, refreshes: [], callers: [], given: [], expired: 0 };
  real.tokens = createTokenSource<Token>({
    token: newToken('first'),
    expiresAt: (token) => token.expiresAt,
    refreshAhead: AHEAD,
    refreshLimit: false,
    retry: { retries: 0 },
    refresh: () => {
      real.refreshes.push(gate<Token>());
      return real.refreshes.at(-1)!.promise;
    },
    onSessionExpired: () => real.expired++,
  });
  const model: Model = {
    session: newSession('first'),
    refreshes: [],
    heard: [],
    given: [],
    expired: 0,
  };
  return { real, model };
}

describe('A token source, against a model', () => {
  it('agrees with it after every command', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const world = setup();
        await fc.asyncModelRun(() => world, sequence);
        await world.real.tokens.clear();
        await expectNoneUnhandled();
      }),
      runs(2000),
    );
  });
});
