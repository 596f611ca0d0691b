import axios from 'axios';
import ky from 'ky';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { withTokenRefresh as withAxios } from '../../src/adapters/axios.ts';
import { withTokenRefresh as withFetch } from '../../src/adapters/fetch.ts';
import { withTokenRefresh as withKy } from '../../src/adapters/ky.ts';
import { createTokenSource, FlightGroup, sharedTokens, singleFlight } from '../../src/index.ts';

const refresh = () => 'token';
const tokens = () => createTokenSource<string>({ token: 'first', refresh });
const origin = 'https://api.example.com';

/** Everything that takes options, with some that are good. */
const takers: [string, (options: never) => unknown, object][] = [
  ['createTokenSource', createTokenSource, { refresh }],
  ['singleFlight', (options) => singleFlight(refresh, options), { onLand: () => {} }],
  ['FlightGroup', (options) => new FlightGroup(options), { onLand: () => {} }],
  [
    'sharedTokens',
    sharedTokens,
    { name: 'a', locks: { request: refresh }, store: { read: refresh, write: refresh } },
  ],
  [
    'the fetch adapter',
    (options) => withFetch(fetch, tokens(), options),
    { allowedOrigins: [origin] },
  ],
  [
    'the axios adapter',
    (options) => withAxios(axios.create(), tokens(), options),
    { allowedOrigins: [origin] },
  ],
  [
    'the ky adapter',
    (options) => withKy(ky.create(), tokens(), options),
    { allowedOrigins: [origin] },
  ],
];

/** What an options object throws when it is looked at, unwrapped. */
const own = new RangeError('own');
const throws = (): never => {
  throw own;
};

describe.each(takers)('The options of %s', (_, take, good) => {
  const name = Object.keys(good)[0]!;

  it('may be frozen, without a prototype, of a class, or a proxy', () => {
    class Options {
      readonly [name] = undefined;
    }
    for (const options of [
      Object.freeze({ ...good }),
      Object.assign(Object.create(null), good),
      Object.assign(new Options(), good),
      new Proxy(good, {}),
    ]) {
      expect(() => take(options as never)).not.toThrow();
    }
  });

  it('that throw when they are read: that is the error', () => {
    const getter = Object.defineProperty({ ...good }, name, { get: throws, enumerable: true });
    expect(() => take(getter as never)).toThrow(own);
    const proxy = new Proxy(good, { get: throws, ownKeys: throws });
    expect(() => take(proxy as never)).toThrow(own);
    const { proxy: gone, revoke } = Proxy.revocable(good, {});
    revoke();
    expect(() => take(gone as never)).toThrow(TypeError);
  });

  it.each([{}, Symbol('secret')])('that are wrong are a TypeError: %o', (wrong) => {
    expect(() => take({ ...good, [name]: wrong } as never)).toThrow(TypeError);
    expect(() => take(null as never)).toThrow(TypeError);
  });
});

describe('Options are own properties', () => {
  afterEach(() => {
    for (const name of ['refresh', 'timeout', 'onRefresh', 'skip', 'isFinal', 'retries', 'odd']) {
      delete (Object.prototype as never)[name];
    }
  });

  it('so inherited ones are not read, and a required one is missed loudly', () => {
    class Options {
      get refresh() {
        return refresh;
      }
    }
    const message = '"refresh" must be a function, got undefined (undefined)';
    expect(() => createTokenSource(new Options())).toThrow(new TypeError(message));
    const create = createTokenSource as (options: object) => unknown;
    expect(() => create(Object.create({ refresh }))).toThrow(new TypeError(message));
  });

  it('so a polluted Object.prototype changes nothing', async () => {
    const polluted = vi.fn(() => true);
    Object.assign(Object.prototype, {
      refresh: polluted,
      timeout: 'polluted',
      onRefresh: polluted,
      skip: polluted,
      isFinal: polluted,
      retries: 'polluted',
      odd: polluted,
    });
    const sent: (string | null)[] = [];
    const source = createTokenSource<string>({ token: 'first', refresh: () => 'second' });
    const api = withFetch(
      (async (_: unknown, init?: RequestInit) => {
        sent.push(new Headers(init?.headers).get('authorization'));
        return new Response(null, { status: sent.length === 1 ? 401 : 200 });
      }) as typeof fetch,
      source,
      { allowedOrigins: [origin] },
    );
    expect((await api(origin)).status).toBe(200);
    expect(sent).toEqual(['Bearer first', 'Bearer second']);
    expect(await singleFlight(() => 'done')()).toBe('done');
    expect(polluted).not.toHaveBeenCalled();
  });

  it('so one that JSON brings as `__proto__` changes nothing either', async () => {
    const given = JSON.parse('{"__proto__":{"timeout":"5s","retry":5}}') as object;
    const source = createTokenSource<string>({ ...given, refresh });
    expect((await source.get()).token).toBe('token');
    expect(Object.hasOwn(Object.prototype, 'timeout')).toBe(false);
  });
});

describe('A complaint', () => {
  it('of an option that is unknown names it, and holds no token that was spread into the options', () => {
    const signedIn = { access_token: 'secret', refresh_token: 'secret', expires_in: 3600 };
    const create = createTokenSource as (options: object) => unknown;
    expect(() => create({ ...signedIn, refresh })).toThrow(
      new TypeError('"option" must be known, got "access_token" (string)'),
    );
    expect(() => create({ refresh, retry: signedIn })).toThrow(/^(?!.*secret)/);
    expect(() => withFetch(fetch, tokens(), signedIn as never)).toThrow(/^(?!.*secret)/);
  });

  it('can be made of a symbol and of a bigint', () => {
    const create = createTokenSource as (options: object) => unknown;
    expect(() => create({ refresh, timeout: Symbol('5s') })).toThrow(
      new TypeError('"timeout" must be a positive number of milliseconds, got Symbol(5s) (symbol)'),
    );
    expect(() => create({ refresh, timeout: 5n })).toThrow(
      new TypeError('"timeout" must be a positive number of milliseconds, got 5 (bigint)'),
    );
    const key = Symbol('id') as never;
    expect(() => singleFlight(refresh, { key })).toThrow(
      new TypeError('"key" must be a function of the arguments, got Symbol(id) (symbol)'),
    );
  });
});

describe('The options of a call', () => {
  it('that throw when they are read: that is the error, and nothing is started', async () => {
    const task = vi.fn(refresh);
    const group = new FlightGroup<string, string>();
    const hostile = Object.defineProperty({}, 'signal', { get: throws });
    expect(() => group.run('a', task, hostile)).toThrow(own);
    const source = createTokenSource<string>({ refresh: task });
    await expect(source.get(hostile)).rejects.toBe(own);
    expect(task).not.toHaveBeenCalled();
    expect([group.size, source.refreshing]).toEqual([0, false]);
  });

  it('may be null, as may the signal', async () => {
    const group = new FlightGroup<string, string>();
    expect(await group.run('a', refresh, null as never)).toBe('token');
    expect((await tokens().get(null as never)).token).toBe('first');
    expect((await tokens().get({ signal: null })).token).toBe('first');
  });
});
