import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, type TokenSource, type TokenSourceOptions } from '../src/index.ts';
import { browserTokens, type BrowserTokensOptions } from '../src/realms/browser.ts';
import { settled } from './gate.ts';
import { stubPage } from './page-in-node.ts';

// What browsers do is tested in browsers (`test/browser`); here a test can come between two steps.

let page: ReturnType<typeof stubPage>;
const sources: TokenSource<any>[] = [];

beforeEach(() => {
  page = stubPage();
});

afterEach(() => {
  for (const source of sources.splice(0)) source.close();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** A realm, as a tab would be. */
const open = (
  shared: Partial<BrowserTokensOptions<any>> = {},
  options: Partial<TokenSourceOptions<any>> = {},
) => {
  let refreshes = 0;
  const source = createTokenSource<any>({
    shared: browserTokens<any>({ name: 'session', ...shared }),
    refresh: () => `refreshed ${++refreshes}`,
    retry: { retries: 0 },
    ...options,
  });
  sources.push(source);
  return source;
};
const renew = async (source: TokenSource<any>) => (await source.renew(await source.get())).token;
/** The token that a realm has, or the code of why it has none. */
const stateOf = (source: TokenSource<any>) =>
  source.get().then(
    ({ token }) => token,
    ({ code }) => code,
  );
const eventually = (check: () => unknown) => vi.waitFor(check, { interval: 1 });

const nothing = { databases: 0, channels: 0, listeners: 0 };

/** A request to open the database that comes to nothing. */
const failing = (type: string) => () => {
  const request = Object.assign(new EventTarget(), { error: new Error(type) });
  setImmediate(() => request.dispatchEvent(new Event(type)));
  return request as never;
};

describe('Tokens in a browser are coordinated', () => {
  it('by the locks of the navigator', async () => {
    const request = vi.spyOn(page.locks, 'request');
    const one = open();
    expect(await renew(one)).toBe('refreshed 2');
    expect(one.coordination).toBe('shared');
    expect(request.mock.lastCall![0]).toBe('oneflight:session');
  });

  it('by locks of the app', async () => {
    vi.spyOn(page.locks, 'request').mockImplementation(() => expect.unreachable());
    const request = vi.fn(async (_name, _options, callback) => callback(null));
    const one = open({ locks: { request } });
    await one.set('first');
    expect(await renew(one)).toBe('refreshed 1');
    expect(one.coordination).toBe('shared');
    expect(request).toHaveBeenCalledOnce();
  });

  it.each([
    ['without locks', {}],
    ['without a navigator', undefined],
  ])('not %s; the token is shared all the same', async (_, navigator) => {
    vi.stubGlobal('navigator', navigator);
    const [one, other] = [open(), open()];
    await one.set('first');
    expect(one.coordination).toBe('none');
    const refused = await other.get();
    expect(refused.token).toBe('first');
    expect(await renew(one)).toBe('refreshed 1');
    expect((await other.renew(refused)).token).toBe('refreshed 1');
  });

  it('without a BroadcastChannel, by looking', async () => {
    vi.stubGlobal('BroadcastChannel', undefined);
    const [one, other] = [open(), open()];
    const transaction = vi.spyOn(IDBDatabase.prototype, 'transaction');
    await one.set('first');
    // That nobody can be told is no reason to write again.
    expect(transaction.mock.calls.filter(([, mode]) => mode === 'readwrite')).toHaveLength(1);
    const refused = await other.get();
    expect(await renew(one)).toBe('refreshed 1');
    expect((await other.renew(refused)).token).toBe('refreshed 1');
    expect(one.coordination).toBe('shared');
  });

  it('in a worker that is told of no page', async () => {
    vi.stubGlobal('addEventListener', undefined);
    vi.stubGlobal('removeEventListener', undefined);
    const [one, other] = [open(), open()];
    await one.set('first');
    expect(await stateOf(other)).toBe('first');
    await one.clear();
    await eventually(async () => expect(await stateOf(other)).toBe('SIGNED_OUT'));
    for (const source of [one, other]) source.close();
    await eventually(() => expect(page.opened).toEqual(nothing));
  });
});

describe('Tokens in a browser whose IndexedDB', () => {
  it.each([
    ['throws', () => expect.unreachable()],
    ['fails', failing('error')],
    ['is blocked', failing('blocked')],
  ])('%s when it is opened, and again, are those of each realm alone', async (_, fail) => {
    const opening = vi.spyOn(page.factory, 'open').mockImplementation(fail);
    vi.spyOn(page.locks, 'request').mockImplementation(() => expect.unreachable());
    const one = open();
    await one.set('first');
    expect(one.coordination).toBe('none');
    expect(await stateOf(one)).toBe('first');
    expect(await renew(one)).toBe('refreshed 1');
    await one.clear();
    expect(await stateOf(one)).toBe('SIGNED_OUT');
    expect(await stateOf(open())).toBe('refreshed 1');
    // Twice for each, and not once it is known.
    expect(opening).toHaveBeenCalledTimes(4);
    expect(page.said).toEqual([]);
  });

  it('fails once may work the next time', async () => {
    vi.spyOn(page.factory, 'open').mockImplementationOnce(failing('error'));
    const one = open();
    await one.set('first');
    expect(one.coordination).toBe('shared');
    expect(await stateOf(open())).toBe('first');
  });

  it('has worked, and fails, are not taken for missing: the failure is told of', async () => {
    const one = open();
    await one.set('first');
    const opening = vi.spyOn(page.factory, 'open').mockImplementation(failing('error'));
    const error = await one.set('second').catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'STORE_FAILED', cause: { message: 'error' } });
    expect(one.coordination).toBe('shared');
    opening.mockRestore();
    expect(await renew(one)).toBe('refreshed 1');
    expect(await stateOf(open())).toBe('refreshed 1');
  });

  it('is closed by the browser are stored through another connection', async () => {
    const one = open();
    await one.get();
    const closed = vi.spyOn(IDBDatabase.prototype, 'transaction').mockImplementationOnce(() => {
      throw new DOMException('closing', 'InvalidStateError');
    });
    await one.set('second');
    expect(closed.mock.results[0]!.type).toBe('throw');
    expect(await stateOf(open())).toBe('second');
    // The one that failed was closed, in case it was not.
    expect(page.opened.databases).toBe(2);
  });

  it('aborts the transaction of a write are written once more, at once', async () => {
    const store: { put: any } = IDBObjectStore.prototype;
    const { put } = store;
    const one = open({}, { timeout: 60_000 });
    await one.set('first');
    vi.spyOn(store, 'put').mockImplementationOnce(function (this: IDBObjectStore, ...args) {
      const request = put.apply(this, args);
      request.addEventListener('success', () => request.transaction!.abort());
      return request;
    });
    await one.set('second');
    expect(await stateOf(open())).toBe('second');
    // A store that says nothing is waited for longer.
  }, 4_000);

  it('cannot clone them are not stored, which is told with its cause', async () => {
    const one = open();
    const error = await one.set(() => {}).catch((thrown) => thrown);
    expect([error.code, error.cause.name]).toEqual(['STORE_FAILED', 'DataCloneError']);
    expect(one.coordination).toBe('shared');
  });

  it('is to be deleted do not keep it, and are stored in the next', async () => {
    const one = open();
    await one.set('first');
    await one.get();
    await eventually(() => expect(page.opened.databases).toBe(1));
    const request = page.factory.deleteDatabase('oneflight');
    await new Promise((resolve, reject) => {
      request.addEventListener('success', resolve);
      request.addEventListener('blocked', reject);
    });
    expect(page.opened.databases).toBe(0);
    expect(await renew(one)).toBe('refreshed 1');
    expect(await stateOf(open())).toBe('refreshed 1');
  });
});

describe('A token that is stored in a browser', () => {
  const token = { access_token: 'first', expires_in: 10 };

  it.each([
    ['when it was written', 4_000, 10_000],
    ['when it was read, by a clock that was set back', -5_000, 5_000],
  ])('lives from %s', async (_, readAt, expiresAt) => {
    const began = Date.now();
    const clock = vi.spyOn(Date, 'now').mockReturnValue(began);
    await open().set(token);
    clock.mockReturnValue(began + readAt);
    const other = open({}, { refresh: () => ({ access_token: 'next' }) });
    expect(await stateOf(other)).toEqual(token);
    clock.mockReturnValue(began + expiresAt - 1);
    expect(await stateOf(other)).toEqual(token);
    clock.mockReturnValue(began + expiresAt);
    expect(await stateOf(other)).toEqual({ access_token: 'next', refresh_token: undefined });
  });

  it('is found under its name only', async () => {
    const [one, other] = [open({ name: 'one' }), open({ name: 'other' })];
    await one.set('of one');
    await other.set('of other');
    expect(await stateOf(open({ name: 'one' }))).toBe('of one');
    expect(await stateOf(open({ name: 'other' }))).toBe('of other');
  });

  it('is what `encode` makes of it', async () => {
    const ways = {
      encode: async (plain: string) => ({ secret: btoa(plain) }),
      decode: async ({ secret }: { secret: string }) => atob(secret),
    };
    await open(ways).set('plain');
    expect(await stateOf(open(ways))).toBe('plain');
    expect(await stateOf(open())).toEqual({ secret: btoa('plain') });
  });
});

describe('What a browser is told', () => {
  it('is a version with each write, and no more than that', async () => {
    const one = open();
    await one.set('first');
    await renew(one);
    await one.clear();
    const versions = page.said.map(([, version]) => version);
    expect(page.said).toEqual(versions.map((version) => ['oneflight:session', version]));
    expect(versions).toEqual([expect.any(Number), expect.any(Number), expect.any(Number)]);
    expect(versions).toEqual([...new Set(versions as number[])].sort((one, next) => one - next));
  });

  it('reaches every realm, also of the same page', async () => {
    const heard: string[] = [];
    const onSessionExpired = ({ code }: { code: string }) => heard.push(code);
    const one = open();
    const others = [open({}, { onSessionExpired }), open({}, { onSessionExpired })];
    await one.set('first');
    for (const other of others) await other.get();
    await one.clear();
    await eventually(() => expect(heard).toEqual(['SIGNED_OUT', 'SIGNED_OUT']));
  });

  it('is nothing of a write that is not done', async () => {
    const [one, other] = [open(), open()];
    const transaction = vi.spyOn(IDBDatabase.prototype, 'transaction');
    const put = vi.spyOn(IDBObjectStore.prototype, 'put');
    // Both find nothing there, and one comes first.
    await Promise.all([one.set('of one'), other.set('of the other')]);
    const tries = transaction.mock.calls.filter(([, mode]) => mode === 'readwrite');
    expect(tries.length).toBeGreaterThan(put.mock.calls.length);
    expect(page.said).toHaveLength(put.mock.calls.length);
    await eventually(async () => expect(await stateOf(one)).toBe(await stateOf(other)));
  });
});

describe('A page', () => {
  it('that is put aside has nothing open, and finds what it missed when it is shown again', async () => {
    const heard: string[] = [];
    const onSessionExpired = ({ code }: { code: string }) => heard.push(code);
    const [one, aside] = [open(), open({}, { onSessionExpired })];
    await one.set('first');
    expect(await stateOf(aside)).toBe('first');
    one.close();
    await eventually(() =>
      expect(page.opened).toEqual({ databases: 1, channels: 1, listeners: 2 }),
    );

    page.transition('pagehide');
    await eventually(() =>
      expect(page.opened).toEqual({ databases: 0, channels: 0, listeners: 2 }),
    );
    await one.clear();
    await settled();
    expect(heard).toEqual([]);

    page.transition('pageshow');
    await eventually(() => expect(heard).toEqual(['SIGNED_OUT']));
    expect(page.opened).toEqual({ databases: 1, channels: 1, listeners: 2 });
    // And hears again.
    await one.set('second');
    await eventually(async () => expect(await stateOf(aside)).toBe('second'));
  });

  it('that is shown for the first time listens once', async () => {
    const one = open();
    await one.get();
    page.transition('pageshow', false);
    expect(page.opened).toMatchObject({ channels: 1 });
  });

  it('has nothing open when its sources are closed, and may use them still', async () => {
    const [one, other] = [open(), open()];
    await one.set('first');
    for (const source of [one, other]) await source.get();
    one.close();
    await eventually(() =>
      expect(page.opened).toEqual({ databases: 1, channels: 1, listeners: 2 }),
    );
    other.close();
    await eventually(() => expect(page.opened).toEqual(nothing));
    expect(await renew(one)).toBe('refreshed 1');
    await eventually(() => expect(page.opened).toEqual(nothing));
  });

  it('has nothing open when it has only signed in', async () => {
    await open().set('first');
    await eventually(() => expect(page.opened).toEqual(nothing));
  });

  it('keeps one connection while a source is in use', async () => {
    const opening = vi.spyOn(page.factory, 'open');
    const one = open();
    for (let uses = 0; uses < 3; uses++) await renew(one);
    expect(opening.mock.calls).toEqual([['oneflight']]);
  });
});
