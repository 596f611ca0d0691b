import { describe, expect, it, vi } from 'vitest';
import {
  createTokenSource,
  RefreshFailedError,
  SessionExpiredError,
  type TokenSourceOptions,
} from '../../src/index.ts';

const failureOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => expect.unreachable('it is answered'),
    (error: unknown) => error,
  );

/** What comes of a refresh that throws this, and how often it was tried. */
async function outcomeOf(thrown: unknown, options: Partial<TokenSourceOptions<string>> = {}) {
  // No mock, which would look at what is thrown.
  let attempts = 0;
  const refresh = (): string => {
    attempts++;
    // oxlint-disable-next-line no-throw-literal
    throw thrown;
  };
  const onSessionExpired = vi.fn();
  const onRefresh = vi.fn();
  const tokens = createTokenSource<string>({
    token: 'first',
    retry: { retries: 2, minTimeout: 0 },
    onSessionExpired,
    onRefresh,
    ...options,
    refresh,
  });
  const credential = await tokens.get();
  const error = await failureOf(tokens.renew(credential));
  return { error, tokens, credential, attempts, onSessionExpired, onRefresh };
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function unreadable(name: string, target: object = new Error('own')): object {
  return Object.defineProperty(target, name, {
    get() {
      throw new Error('getter');
    },
  });
}

const unreadables: [string, () => unknown][] = [
  ['an error with a `status` that throws', () => unreadable('status')],
  ['an error with a `response` that throws', () => unreadable('response')],
  ['an error with a `cause` that throws', () => unreadable('cause')],
  ['an answer with a `status` that throws', () => ({ response: unreadable('status', {}) })],
  ['a `status` that no number can be made of', () => ({ status: Symbol('400') })],
  ['a revoked proxy', revoked],
];

describe('A refresh that throws what cannot be read', () => {
  it.each(unreadables)('%s: has failed for now, with that as the cause', async (_, make) => {
    const thrown = make();
    const { error, tokens, credential, onSessionExpired, onRefresh } = await outcomeOf(thrown);
    expect(error).toBeInstanceOf(RefreshFailedError);
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', message: 'refresh failed' });
    expect(error.cause === thrown).toBe(true);
    expect(error.response).toBe(undefined);
    expect(await tokens.get()).toBe(credential);
    expect(onSessionExpired).not.toHaveBeenCalled();
    expect(onRefresh.mock.calls).toMatchObject([[{ status: 'rejected', callers: 1 }]]);
  });

  it.each(unreadables)('%s: ends the session where `isFinal` says so', async (_, make) => {
    const thrown = make();
    const { error, attempts, onSessionExpired } = await outcomeOf(thrown, { isFinal: () => true });
    expect(error).toBeInstanceOf(SessionExpiredError);
    expect(error.code).toBe('SESSION_EXPIRED');
    expect(error.cause === thrown).toBe(true);
    expect(attempts).toBe(1);
    expect(onSessionExpired.mock.calls).toEqual([[error]]);
  });
});

describe('A refresh that throws what is no error', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'secret'],
    ['a number', 400],
    ['NaN', Number.NaN],
    ['a symbol', Symbol('secret')],
    ['a bigint', 400n],
    ['a function', () => 'secret'],
    ['an object without a prototype', Object.create(null)],
    ['a thenable', Object.assign(() => {}, { ['then' as string]: () => {} })],
  ])('%s: is tried again like any failure without an answer', async (_, thrown) => {
    const { error, attempts, tokens, credential } = await outcomeOf(thrown);
    expect(error).toBeInstanceOf(RefreshFailedError);
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', message: 'refresh failed' });
    // What tells nothing is stood for by an error that tells nothing.
    if (thrown == null) expect(error.cause).toEqual(new Error());
    else expect(Object.is(error.cause, thrown)).toBe(true);
    expect(attempts).toBe(3);
    expect(await tokens.get()).toBe(credential);
  });
});

describe('A refresh that throws an error', () => {
  it('that is frozen: it is not written to', async () => {
    const thrown = Object.freeze(Object.assign(new Error('busy'), { status: 503 }));
    const { error, attempts } = await outcomeOf(thrown);
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', cause: thrown });
    expect(attempts).toBe(3);
    const final = await outcomeOf(Object.freeze(Object.assign(new Error('no'), { status: 400 })));
    expect(final.error).toMatchObject({ code: 'SESSION_EXPIRED' });
  });

  it('that is its own cause', async () => {
    const thrown = new Error('circle') as Error & { cause: unknown };
    thrown.cause = thrown;
    expect((await outcomeOf(thrown)).error).toMatchObject({ code: 'REFRESH_FAILED' });
  });

  it.each([0, -1, 99, 200, 304, 399, Number.NaN, null, '', {}])(
    'whose status is %j: that answer is not what made it fail',
    async (status) => {
      const { error, attempts } = await outcomeOf(Object.assign(new Error('x'), { status }));
      expect(error).toMatchObject({ code: 'REFRESH_FAILED', message: 'refresh failed' });
      expect(error.response).toBe(undefined);
      expect(attempts).toBe(3);
    },
  );

  it('that is an error of another source: it has failed for now', async () => {
    const thrown = new SessionExpiredError('of another', 'SESSION_EXPIRED');
    const { error, onSessionExpired } = await outcomeOf(thrown);
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', cause: thrown });
    expect(onSessionExpired).not.toHaveBeenCalled();
  });

  it.each<[string, unknown]>([
    [
      'a `get` that throws',
      {
        get: () => {
          throw new Error('get');
        },
      },
    ],
    ['a symbol for Retry-After', { 'retry-after': Symbol('x') }],
    ['a bigint for Retry-After', { 'retry-after': 5n }],
    ['an unreadable Retry-After', unreadable('retry-after', {})],
  ])('whose headers have %s: the session is kept', async (_, headers) => {
    const thrown = { status: 503, headers };
    const { error } = await outcomeOf(thrown);
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', cause: thrown, response: thrown });
    expect(error.message).toBe('refresh failed with status 503');
  });
});

describe('An `isFinal` that throws', () => {
  it.each<[unknown, number]>([
    [new TypeError('bug'), 1],
    [new Error('bug'), 3],
  ])('%s: that is the cause, and the session is kept', async (bug, expected) => {
    const { error, attempts, onSessionExpired } = await outcomeOf(
      { status: 400 },
      {
        isFinal: () => {
          throw bug;
        },
      },
    );
    expect(error).toMatchObject({ code: 'REFRESH_FAILED', cause: bug });
    expect(attempts).toBe(expected);
    expect(onSessionExpired).not.toHaveBeenCalled();
  });
});
