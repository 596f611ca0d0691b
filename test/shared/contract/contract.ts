import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createTokenSource,
  type RefreshFailedError,
  type SessionExpiredError,
  type SharedTokens,
  type TokenSource,
  type TokenSourceOptions,
} from '../../../src/index.ts';
import type { ScriptedRefresh, ServerSession } from '../../authorization-server.ts';
import { refreshAt, type TokenResponse } from '../../token-endpoint.ts';

/** The authorization server, which need not be in the process of the tests. */
export interface ContractServer {
  readonly origin: string;
  signIn(): Promise<{
    token: TokenResponse;
    /** What the server knows of the session by now. */
    session: () => Promise<ServerSession>;
  }>;
  scriptRefreshes(...answers: ScriptedRefresh[]): Promise<void>;
  holdRefreshes(): Promise<() => Promise<void>>;
  /** Resolves when a refresh has arrived. */
  arrival(): Promise<void>;
  close(): Promise<void>;
}

/** An engine, as the contract needs it. */
export interface Engine {
  /** One realm's way to the engine: a client of its own, where it has clients. */
  open<Token>(options: {
    name: string;
    /** Milliseconds, where a lock is one. */
    lease?: number;
    encode?: (token: Token) => string | Promise<string>;
    decode?: (text: string) => Token | Promise<Token>;
  }): SharedTokens<Token>;
  /**
   * Whether its realms are told of changes. Those that are not look every 5 seconds, on use, and hear
   * of a sign-in or sign-out elsewhere then, or with their next refresh.
   * @default true
   */
  hears?: boolean;
  /** Makes the next `count` writes of tokens fail: before they are done, or just their answers. */
  failWrites(count: number, when?: 'before' | 'after'): void | Promise<void>;
  /** Loses everything. */
  wipe(): Promise<void>;
  /** What is stored under a name, as text, to look for secrets in. `undefined` where it cannot be encoded. */
  dump?(name: string): Promise<string>;
  /** True where its realms cannot have clocks of their own. */
  hasOneClock?: boolean;
  /** @default One in this process. */
  startServer?: () => Promise<ContractServer>;
}

type Options = Partial<TokenSourceOptions<TokenResponse>>;

let counter = 0;

const realNow = performance.now.bind(performance);

/** What every engine must do, each with real HTTP to a server that revokes a session whose refresh token is used twice. */
export function describeEngine(title: string, start: () => Promise<Engine>): void {
  describe(`${title}: the contract`, () => {
    let engine: Engine;
    let server: ContractServer;
    let name: string;
    const sources: TokenSource<any>[] = [];

    const open = (options: Options = {}): TokenSource<TokenResponse> => {
      const source = createTokenSource<TokenResponse>({
        refresh: refreshAt(server.origin),
        retry: { retries: 0 },
        refreshLimit: false,
        shared: engine.open({ name }),
        ...options,
      });
      sources.push(source);
      return source;
    };
    /** Realms that know one session, and what the server knows of it. */
    const openSignedIn = async (count: number, options: Options = {}) => {
      const { session, token } = await server.signIn();
      const realms = Array.from({ length: count }, () => open(options));
      await realms[0]!.set(token);
      await Promise.all(realms.map((realm) => realm.get()));
      return { session, token, realms };
    };
    const outcomeOf = (promise: Promise<unknown>): Promise<any> =>
      promise.catch((error: unknown) => error);
    /** Waits for what comes by a message; where none comes, for what is found on use 5 seconds later. */
    const eventually = async (is: () => boolean | Promise<boolean>) => {
      for (let tries = 1; tries <= 400; tries++) {
        if (await is()) return;
        if (engine.hears === false) {
          performance.now = () => realNow() + tries * 5_001;
          await Promise.allSettled(sources.map((source) => source.get()));
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      throw new Error('did not happen within 2 seconds');
    };

    beforeEach(async () => {
      engine ??= await start();
      server = await (engine.startServer ?? (await import('./server.ts')).startServer)();
      name = `user ${++counter}: ä {x}`;
    });

    afterEach(async () => {
      performance.now = realNow;
      for (const source of sources.splice(0)) source.close();
      await server.close();
    });

    it('gives a realm that opens later the token of the others, without a refresh', async () => {
      const { session, token, realms } = await openSignedIn(3);
      for (const realm of realms) {
        expect((await realm.get()).token).toEqual(token);
        expect(realm.coordination).toBe('shared');
      }
      expect(await session()).toMatchObject({ refreshes: 0 });
    });

    it('refreshes once for every realm, however often the token expires', async () => {
      const { session, realms } = await openSignedIn(6);
      for (let round = 1; round <= 5; round++) {
        const refused = await Promise.all(realms.map((realm) => realm.get()));
        const newer = await Promise.all(
          realms.flatMap((realm, n) => [realm.renew(refused[n]!), realm.renew(refused[n]!)]),
        );
        expect(new Set(newer.map(({ token }) => token.access_token)).size).toBe(1);
        expect(await session()).toMatchObject({ refreshes: round, alive: true });
      }
    });

    it('answers a late refusal with the token of another realm, without a refresh', async () => {
      const { session, realms } = await openSignedIn(2);
      const [one, other] = realms as [TokenSource<TokenResponse>, TokenSource<TokenResponse>];
      const refused = await other.get();
      await one.renew(await one.get());
      await one.renew(await one.get());
      expect((await other.renew(refused)).token).not.toEqual(refused.token);
      expect(await session()).toMatchObject({ refreshes: 2, alive: true });
    });

    it('keeps the refresh token where an answer has none', async () => {
      let sent: string | undefined;
      const refresh = async ({ token }: { token: TokenResponse | undefined }) => {
        sent = token?.refresh_token;
        return { access_token: 'next', token_type: 'Bearer', expires_in: 60 } as TokenResponse;
      };
      const { token, realms } = await openSignedIn(2, { refresh });
      for (const realm of realms) await realm.renew(await realm.get());
      expect(sent).toBe(token.refresh_token);
    });

    it('tells in `attempts` which realm refreshed', async () => {
      const attempts: number[] = [];
      const onRefresh = (landing: { attempts: number }) => attempts.push(landing.attempts);
      const { realms } = await openSignedIn(3);
      for (const realm of realms) realm.close();
      const watched = Array.from({ length: 3 }, () => open({ onRefresh }));
      const credentials = await Promise.all(watched.map((realm) => realm.get()));
      attempts.length = 0;
      await Promise.all(watched.map((realm, n) => realm.renew(credentials[n]!)));
      expect(attempts.sort((one, other) => one - other)).toEqual([0, 0, 1]);
    });

    it('signs out everywhere', async () => {
      const heard: SessionExpiredError[] = [];
      const { session, realms } = await openSignedIn(3, {
        onSessionExpired: (error) => heard.push(error),
      });
      await realms[0]!.clear();
      await eventually(() => heard.length === 2);
      for (const realm of realms) {
        expect(await outcomeOf(realm.get())).toMatchObject({
          name: 'SessionExpiredError',
          code: 'SIGNED_OUT',
        });
      }
      expect(await outcomeOf(open().get())).toMatchObject({ code: 'SIGNED_OUT' });
      expect(await session()).toMatchObject({ refreshes: 0 });
    });

    it('signs in everywhere, and lets no request of the old session have the new token', async () => {
      const heard: SessionExpiredError[] = [];
      const { realms } = await openSignedIn(2, { onSessionExpired: (error) => heard.push(error) });
      const [one, other] = realms as [TokenSource<TokenResponse>, TokenSource<TokenResponse>];
      const old = await other.get();
      const { token } = await server.signIn();
      await one.set(token);
      await eventually(() => heard.length === 1);
      expect(heard[0]).toMatchObject({ code: 'SESSION_REPLACED' });
      expect((await other.get()).token).toEqual(token);
      expect(await outcomeOf(other.renew(old))).toMatchObject({ code: 'SESSION_REPLACED' });
    });

    it('signs in again everywhere after a sign-out', async () => {
      const { realms } = await openSignedIn(2);
      await realms[0]!.clear();
      const { session, token } = await server.signIn();
      await realms[0]!.set(token);
      await eventually(
        async () => (await outcomeOf(realms[1]!.get())).token?.access_token === token.access_token,
      );
      expect((await realms[1]!.renew(await realms[1]!.get())).token).not.toEqual(token);
      expect(await session()).toMatchObject({ refreshes: 1, alive: true });
    });

    it('ends a session in every realm when its refresh is refused for good', async () => {
      const heard: string[] = [];
      const { session, realms } = await openSignedIn(3, {
        onSessionExpired: ({ code }) => heard.push(code),
      });
      await server.scriptRefreshes(400, 400, 400);
      const errors = await Promise.all(
        realms.map(async (realm) => outcomeOf(realm.renew(await realm.get()))),
      );
      expect(errors.map(({ code }) => code)).toEqual(Array(3).fill('SESSION_EXPIRED'));
      expect(await session()).toMatchObject({ refreshes: 1 });
      await eventually(() => heard.length === 3);
      expect(await outcomeOf(open().get())).toMatchObject({ code: 'SESSION_EXPIRED' });
    });

    it('lets the next realm try when a refresh fails for now', async () => {
      const { session, realms } = await openSignedIn(3);
      await server.scriptRefreshes(503);
      const outcomes = await Promise.all(
        realms.map(async (realm) => outcomeOf(realm.renew(await realm.get()))),
      );
      expect(outcomes.filter((outcome) => outcome instanceof Error)).toHaveLength(1);
      expect(outcomes.find((outcome) => outcome instanceof Error)).toMatchObject({
        code: 'REFRESH_FAILED',
      });
      expect(await session()).toMatchObject({ refreshes: 2, alive: true });
    });

    it('discards a refresh during which another realm signed out', async () => {
      const { realms } = await openSignedIn(2);
      const release = await server.holdRefreshes();
      const waiting = outcomeOf(realms[0]!.renew(await realms[0]!.get()));
      await server.arrival();
      await realms[1]!.clear();
      await release();
      expect(await waiting).toMatchObject({ code: 'SIGNED_OUT' });
      expect(await outcomeOf(realms[0]!.get())).toMatchObject({ code: 'SIGNED_OUT' });
      expect(await outcomeOf(open().get())).toMatchObject({ code: 'SIGNED_OUT' });
    });

    it('discards a refresh during which another realm signed in', async () => {
      const { realms } = await openSignedIn(2);
      const release = await server.holdRefreshes();
      const waiting = outcomeOf(realms[0]!.renew(await realms[0]!.get()));
      await server.arrival();
      const { token } = await server.signIn();
      await realms[1]!.set(token);
      await release();
      expect(await waiting).toMatchObject({ code: 'SESSION_REPLACED' });
      expect((await realms[0]!.get()).token).toEqual(token);
      expect((await open().get()).token).toEqual(token);
    });

    it('loses no token to a write that fails', async () => {
      const { session, realms } = await openSignedIn(2);
      await engine.failWrites(1);
      const { token } = await realms[0]!.renew(await realms[0]!.get());
      await eventually(
        async () => (await realms[1]!.get()).token.access_token === token.access_token,
      );
      await realms[1]!.renew(await realms[1]!.get());
      expect(await session()).toMatchObject({ refreshes: 2, alive: true });
    });

    it('takes its own token for no newer one when the answer to its write was lost', async () => {
      const { session, realms } = await openSignedIn(1);
      await engine.failWrites(1, 'after');
      const refused = await realms[0]!.renew(await realms[0]!.get());
      const newer = await realms[0]!.renew(refused);
      expect(newer.token).not.toEqual(refused.token);
      expect((await open().get()).token).toEqual(newer.token);
      expect(await session()).toMatchObject({ refreshes: 2, alive: true });
    });

    it('goes on with the token of a realm when the store has lost its data', async () => {
      const { session, token, realms } = await openSignedIn(2);
      const refused = await realms[1]!.get();
      await engine.wipe();
      expect((await realms[0]!.get()).token).toEqual(token);
      const next = await realms[0]!.renew(await realms[0]!.get());
      expect((await realms[1]!.renew(refused)).token).toEqual(next.token);
      expect((await open().get()).token).toEqual(next.token);
      expect(await session()).toMatchObject({ refreshes: 1, alive: true });
    });

    it('loses no token when the store loses its data while a refresh runs', async () => {
      const { session, realms } = await openSignedIn(2);
      const refused = await realms[1]!.get();
      const release = await server.holdRefreshes();
      const renewed = realms[0]!.renew(await realms[0]!.get());
      await server.arrival();
      await engine.wipe();
      await release();
      const next = await renewed;
      expect(next.token).not.toEqual(refused.token);
      expect((await realms[1]!.renew(refused)).token).toEqual(next.token);
      await realms[0]!.renew(next);
      expect(await session()).toMatchObject({ refreshes: 2, alive: true });
    });

    it('writes the initial token of a realm with its first refresh', async () => {
      const { session, token } = await server.signIn();
      const one = open({ token });
      expect((await one.get()).token).toEqual(token);
      const next = await one.renew(await one.get());
      // This one knows the old token only: it is answered by the newer one.
      const other = open({ token });
      expect((await other.renew(await other.get())).token).toEqual(next.token);
      expect(await session()).toMatchObject({ refreshes: 1, alive: true });
    });

    it('replaces an expired token that a new realm finds', async () => {
      const { session, token } = await server.signIn();
      await open().set({ ...token, expires_in: 0.001 });
      await new Promise((resolve) => setTimeout(resolve, 5));
      const realms = [open(), open()];
      const found = await Promise.all(realms.map((realm) => realm.get()));
      expect(found[0]!.token).toEqual(found[1]!.token);
      expect(found[0]!.token).not.toMatchObject({ access_token: token.access_token });
      expect(await session()).toMatchObject({ refreshes: 1, alive: true });
    });

    it('counts the time of a token from when it was written, by one clock', async () => {
      if (engine.hasOneClock) return;
      const { session, realms } = await openSignedIn(1);
      const now = Date.now;
      try {
        await realms[0]!.renew(await realms[0]!.get());
        // A realm whose clock is an hour ahead, and one whose clock is behind.
        Date.now = () => now() + 3_600_000;
        const ahead = open();
        for (let uses = 0; uses < 3; uses++) await ahead.get();
        Date.now = () => now() - 3_600_000;
        const behind = open();
        await behind.get();
        for (let uses = 0; uses < 3; uses++) await behind.renew(await behind.get());
      } finally {
        Date.now = now;
      }
      expect(await session()).toMatchObject({ refreshes: 4, alive: true });
    });

    it('shares a session that has no token at all', async () => {
      let refreshes = 0;
      const realms = Array.from({ length: 3 }, () =>
        createTokenSource<void>({
          shared: engine.open({ name }),
          refresh: () => {
            refreshes++;
          },
        }),
      );
      sources.push(...realms);
      const credentials = await Promise.all(realms.map((realm) => realm.get()));
      expect(refreshes).toBe(1);
      await Promise.all(realms.map((realm, n) => realm.renew(credentials[n]!)));
      expect(refreshes).toBe(2);
    });

    it('keeps the sessions of two names apart', async () => {
      const one = await openSignedIn(2);
      name += ' another';
      const two = await openSignedIn(2);
      await Promise.all(
        [...one.realms, ...two.realms].map(async (realm) => realm.renew(await realm.get())),
      );
      for (const { session } of [one, two]) {
        expect(await session()).toMatchObject({ refreshes: 1 });
      }
      await one.realms[0]!.clear();
      expect((await two.realms[0]!.get()).token).toBeDefined();
    });

    it('gives up a wait for a holder that hangs, and tells why', async () => {
      const { realms } = await openSignedIn(1);
      await server.scriptRefreshes('hang');
      const abandoned = outcomeOf(realms[0]!.renew(await realms[0]!.get()));
      await server.arrival();
      // A third of it is how long it waits for the store, which may be slow beside other suites.
      const impatient = open({ timeout: 1500, shared: engine.open({ name, lease: 200 }) });
      const error: RefreshFailedError = await outcomeOf(
        impatient.get().then((credential) => impatient.renew(credential)),
      );
      expect(error).toMatchObject({ name: 'RefreshFailedError', code: 'REFRESH_TIMEOUT' });
      expect(error.message).toContain('no lock within 1500 ms');
      await realms[0]!.clear();
      expect(await abandoned).toMatchObject({ code: 'SIGNED_OUT' });
    });

    it('hears no more when it is closed', async () => {
      const heard: unknown[] = [];
      const { realms } = await openSignedIn(2, { onSessionExpired: (error) => heard.push(error) });
      realms[1]!.close();
      realms[1]!.close();
      // It may still be used; and what it had begun to read is over then.
      await realms[1]!.renew(await realms[1]!.get());
      await realms[0]!.clear();
      await realms[0]!.set((await server.signIn()).token);
      expect(await outcomeOf(realms[1]!.get())).toHaveProperty('token');
      expect(heard).toEqual([]);
    });

    it('stores what `encode` makes of a token', async () => {
      if (!engine.dump) return;
      const shared = () =>
        engine.open<TokenResponse>({
          name,
          encode: async (token) => btoa(JSON.stringify(token)),
          decode: async (text) => JSON.parse(atob(text)),
        });
      const { token } = await server.signIn();
      await open({ shared: shared() }).set(token);
      expect((await open({ shared: shared() }).get()).token).toEqual(token);
      const dump = await engine.dump(name);
      expect(dump).toContain(btoa(JSON.stringify(token)));
      expect(dump).not.toContain(token.refresh_token);
    });
  });
}
