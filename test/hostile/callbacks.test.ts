import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  type RefreshLanding,
  type SessionExpiredError,
  type TokenSource,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { axiosClients, fetchClient, kyClients } from '../adapters/contract/clients.ts';
import { gate, settled } from '../gate.ts';
import { refreshAt, type TokenResponse } from '../token-endpoint.ts';
import { startHostileServer } from './hostile-server.ts';

const refused = () => Promise.reject(Object.assign(new Error('refused'), { status: 400 }));

const failureOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => expect.unreachable('it is answered'),
    (error: unknown) => error,
  );

afterEach(() => {
  vi.useRealTimers();
});

/** A source whose callbacks get at it. */
function source(
  callbacks: (get: () => TokenSource<string>) => Partial<TokenSourceOptions<string>>,
) {
  const tokens: TokenSource<string> = createTokenSource<string>({
    token: 'first',
    retry: { retries: 0 },
    refresh: () => 'second',
    ...callbacks(() => tokens),
  });
  return tokens;
}

describe('`refresh` that calls its own source', () => {
  it.each<[string, (tokens: TokenSource<string>) => Promise<unknown>]>([
    ['get', (tokens) => tokens.get()],
    ['renew', async (tokens) => tokens.renew(await tokens.get())],
  ])('by `%s` at once fails, and says that it awaits itself', async (_, call) => {
    const tokens = source((get) => ({ refresh: () => call(get()) as never, timeout: 50 }));
    const error = await failureOf(tokens.renew(await tokens.get()));
    expect(error.name).toBe('RefreshFailedError');
    expect(`${error.message} ${error.cause?.message}`).toContain('awaits itself');
    expect(tokens.refreshing).toBe(false);
  });

  it('by `get` later ends at `timeout`, and says so', async () => {
    vi.useFakeTimers();
    const tokens = source((get) => ({
      refresh: async () => {
        await Promise.resolve();
        return (await get().get()).token;
      },
    }));
    const failure = failureOf(tokens.get().then(tokens.renew));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failure).toMatchObject({
      code: 'REFRESH_TIMEOUT',
      message: expect.stringContaining('refresh awaits itself'),
    });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['set', 'SESSION_REPLACED', 'signed in'],
    ['clear', 'SIGNED_OUT', undefined],
  ] as const)(
    'by `%s` at once ends its session: what it returns is not used',
    async (method, code, next) => {
      const onSessionExpired = vi.fn();
      const tokens = source((get) => ({
        onSessionExpired,
        refresh: ({ signal }) => {
          void get()[method]('signed in');
          expect(signal.aborted).toBe(true);
          return 'second';
        },
      }));
      expect(await failureOf(tokens.renew(await tokens.get()))).toMatchObject({ code });
      if (next) expect((await tokens.get()).token).toBe(next);
      else expect(await failureOf(tokens.get())).toMatchObject({ code });
      expect(onSessionExpired).not.toHaveBeenCalled();
    },
  );

  it("aborts its caller's signal: the caller leaves, and the token lands", async () => {
    const caller = new AbortController();
    const tokens = source(() => ({
      refresh: () => {
        caller.abort('left');
        return 'second';
      },
    }));
    const credential = await tokens.get();
    await expect(tokens.renew(credential, { signal: caller.signal })).rejects.toBe('left');
    await settled();
    expect((await tokens.get()).token).toBe('second');
  });
});

describe('A hook that calls its own source', () => {
  it('`onRefresh` renews, again and again: bounded by `refreshLimit`', async () => {
    let count = 0;
    const landings: RefreshLanding[] = [];
    const tokens = source((get) => ({
      refresh: () => `refreshed ${++count}`,
      onRefresh: (landing) => {
        landings.push(landing);
        return get().get().then(get().renew);
      },
    }));
    expect((await tokens.renew(await tokens.get())).token).toMatch(/^refreshed/);
    await settled();
    expect([count, landings.length]).toEqual([10, 10]);
    expect((await tokens.get()).token).toBe('refreshed 10');
  });

  it('`onRefresh` reads the state: the refresh is over, and its token is there', async () => {
    const seen: unknown[] = [];
    const tokens = source((get) => ({
      onRefresh: async () => seen.push(get().refreshing, (await get().get()).token),
    }));
    await tokens.renew(await tokens.get());
    await settled();
    expect(seen).toEqual([false, 'second']);
  });

  it('`onSessionExpired` gets, renews, clears and signs in: the waiters hear of the old session', async () => {
    const heard: unknown[] = [];
    const tokens = source((get) => ({
      refresh: refused,
      onSessionExpired: async (error: SessionExpiredError) => {
        const attempts = [get().get(), get().renew(credential)];
        void get().clear();
        void get().set('signed in');
        for (const attempt of attempts) heard.push((await failureOf(attempt)) === error);
      },
    }));
    const credential = await tokens.get();
    const waiters = [tokens.renew(credential), tokens.get()];
    for (const waiter of waiters) {
      expect(await failureOf(waiter)).toMatchObject({ code: 'SESSION_EXPIRED' });
    }
    await settled();
    expect(heard).toEqual([true, true]);
    expect((await tokens.get()).token).toBe('signed in');
  });

  it.each<[string, (resolve: () => void, reject: (error: unknown) => void) => void]>([
    ['calls both', (resolve, reject) => [resolve(), reject(new Error('hook'))]],
    ['rejects', (_, reject) => reject(new Error('hook'))],
    ['throws', () => expect.unreachable('hook')],
    ['never calls', () => {}],
  ])('may answer with a thenable that %s: nobody waits for it', async (_, then) => {
    const hook = () => ({ then });
    let count = 0;
    const tokens = source(() => ({
      refresh: () => (count++ ? refused() : 'second'),
      onRefresh: hook,
      onSessionExpired: hook,
    }));
    const credential = await tokens.renew(await tokens.get());
    expect(credential.token).toBe('second');
    expect(await failureOf(tokens.renew(credential))).toMatchObject({ code: 'SESSION_EXPIRED' });
    await settled();
  });
});

describe('A refresh that returns a thenable', () => {
  it.each<[string, unknown, string]>([
    ['calls both', (resolve: any, reject: any) => [resolve('second'), reject('no')], 'second'],
    ['calls twice', (resolve: any) => [resolve('second'), resolve('third')], 'second'],
  ])('that %s: its first word counts', async (_, then, expected) => {
    const tokens = source(() => ({ refresh: () => ({ then }) as never }));
    expect((await tokens.renew(await tokens.get())).token).toBe(expected);
  });

  it('that never calls ends at `timeout`', async () => {
    vi.useFakeTimers();
    const tokens = source(() => ({ refresh: () => ({ then: () => {} }) as never }));
    const failure = failureOf(tokens.get().then(tokens.renew));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failure).toMatchObject({ code: 'REFRESH_TIMEOUT' });
  });
});

describe.each([fetchClient, ...axiosClients.slice(0, 2), kyClients[1]!])(
  "A request's own callbacks, called for $name,",
  (client) => {
    async function open() {
      const server = await startHostileServer();
      const tokens = createTokenSource<TokenResponse>({
        token: server.firstToken,
        refresh: refreshAt(server.origin),
      });
      const wrap = (options: Parameters<typeof client.wrap>[2]) =>
        client.wrap(server.origin, tokens, options);
      return { server, wrap };
    }
    const own = new RangeError('own');
    const throws = () => {
      throw own;
    };

    it.each([throws, async () => throws()])(
      '`authorize` throws: that is the error, and nothing is sent',
      async (authorize) => {
        const { server, wrap } = await open();
        expect((await failureOf(wrap({ authorize })('/api/me'))).message).toBe('own');
        expect([server.paths.length, server.refreshes]).toEqual([0, 0]);
      },
    );

    it('`authorize` throws for the second token: that is the error, and the next is as good', async () => {
      const { server, wrap } = await open();
      const authorize = vi.fn((headers, { access_token }: TokenResponse) => {
        if (authorize.mock.calls.length === 2) throw own;
        headers.set('authorization', `Bearer ${access_token}`);
      });
      const send = wrap({ authorize });
      expect((await failureOf(send('/api/me'))).message).toBe('own');
      expect([server.sends('/api/me'), server.refreshes]).toEqual([1, 1]);
      expect((await send('/api/me')).status).toBe(200);
      expect(server.refreshes).toBe(1);
    });

    it.each([throws, async () => throws()])(
      '`isRefused` throws: that is the error, and the connection is released',
      async (isRefused) => {
        const { server, wrap } = await open();
        const closed = gate();
        // Nobody will read it: only its release ends it. axios has read it whole by then.
        server.refusals.set('/api/me', (response) => {
          response.once('close', () => closed.open());
          response.writeHead(401).write('and so on');
          if (client.name === 'axios, http' || client.name === 'axios, fetch') response.end();
        });
        expect((await failureOf(wrap({ isRefused })('/api/me'))).message).toBe('own');
        await closed.promise;
        expect([server.sends('/api/me'), server.refreshes]).toEqual([1, 0]);
      },
    );

    it('`skip` throws: that is the error, and nothing is sent', async () => {
      const { server, wrap } = await open();
      expect((await failureOf(wrap({ skip: throws })('/api/me'))).message).toBe('own');
      expect(server.paths).toEqual([]);
    });

    it.each(['authorize', 'isRefused'] as const)(
      '`%s` never answers: the caller leaves by its own signal',
      async (name) => {
        const { server, wrap } = await open();
        const asked = gate();
        const send = wrap({
          [name]: () => {
            asked.open();
            return new Promise<never>(() => {});
          },
        });
        const caller = new AbortController();
        const sent = send('/api/me', { signal: caller.signal });
        await asked.promise;
        caller.abort('left');
        await expect(sent).rejects.toEqual(client.abort('left'));
        expect([server.paths.length, server.refreshes]).toEqual([name === 'authorize' ? 0 : 1, 0]);
      },
    );

    it('`authorize` answers when its caller has left: nothing is sent', async () => {
      const { server, wrap } = await open();
      const [asked, answered] = [gate(), gate()];
      const send = wrap({
        authorize: () => {
          asked.open();
          return answered.promise;
        },
      });
      const caller = new AbortController();
      const sent = send('/api/me', { signal: caller.signal });
      await asked.promise;
      caller.abort('left');
      await expect(sent).rejects.toEqual(client.abort('left'));
      answered.open();
      await settled();
      expect(server.paths).toEqual([]);
    });
  },
);
