import { afterEach, expect, vi } from 'vitest';
import {
  createTokenSource,
  sharedTokens,
  type SharedTokensOptions,
  type StoredSession,
  type TokenSource,
  type TokenSourceOptions,
} from '../../src/index.ts';
import { MemoryTokens } from '../shared/memory-tokens.ts';

/** A place where a test can come between a realm and the store. */
export class Place extends MemoryTokens<string> {
  beforeRead: () => unknown = () => {};
  beforeWrite: (stored: StoredSession<string>) => unknown = () => {};

  override async read() {
    await this.beforeRead();
    return super.read();
  }

  override async write(...args: Parameters<MemoryTokens<string>['write']>) {
    await this.beforeWrite(args[0]);
    return super.write(...args);
  }
}

const sources: TokenSource<string>[] = [];

export function open(
  place: Place,
  name: string,
  options: Partial<TokenSourceOptions<string>> = {},
  shared: Partial<SharedTokensOptions<string, string>> & { close?: never } = {},
  store: Partial<Place> = {},
): TokenSource<string> {
  let number = 0;
  // An override is called on the place, as a method of its would be.
  const own: any = { ...(({ read, write }: any) => ({ read, write }))(place), ...store };
  const source = createTokenSource<string>({
    refresh: () => `${name}${++number}`,
    retry: { retries: 0 },
    shared: sharedTokens<string, string>({
      name: 'session',
      locks: place,
      store: {
        read: () => own.read.call(place),
        write: (...args) => own.write.call(place, ...args),
        subscribe: (listener) => place.subscribe(listener),
      },
      ...shared,
    }),
    ...options,
  });
  sources.push(source);
  return source;
}

export const errorOf = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
export const renew = async (source: TokenSource<string>) => source.renew(await source.get());
export const tokenOf = async (source: TokenSource<string>) => (await source.get()).token;

afterEach(() => {
  vi.useRealTimers();
  for (const source of sources.splice(0)) source.close();
});
