/** What runs in each tab: a token source that shares its session with the others. */
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource, type TokenSource } from '../../src/index.ts';
import { browserTokens } from '../../src/realms/browser.ts';
import { refreshAt, type TokenResponse } from '../token-endpoint.ts';
import { refreshBy } from './shared-worker/worker-refresh.ts';

let tokens: TokenSource<TokenResponse>;
let api: typeof fetch;
/** The sessions that have ended, by their codes. */
let ended: string[] = [];
let requests = 0;
const overheard: unknown[] = [];
const uncaught: string[] = [];
addEventListener('error', ({ message }) => uncaught.push(message));
addEventListener('unhandledrejection', ({ reason }) => uncaught.push(String(reason)));
const { now } = Date;

const pageApi = {
  /** Begins to share the session, with a refresh of its own or by a SharedWorker. */
  async open({ timeout, worker }: { timeout?: number; worker?: string } = {}) {
    tokens = createTokenSource<TokenResponse>({
      shared: browserTokens({ name: 'session' }),
      refresh: worker ? refreshBy(new SharedWorker(worker)) : refreshAt(location.origin),
      retry: { retries: 0 },
      refreshLimit: false,
      timeout,
      onSessionExpired: ({ code }) => ended.push(code),
    });
    api = withTokenRefresh(fetch, tokens);
    ended = [];
  },
  signIn: (token: TokenResponse) => tokens.set(token),
  /** Why a token that cannot be cloned cannot be shared. */
  signInUncloneable: () =>
    tokens
      .set({ ...({} as TokenResponse), access_token: (() => {}) as never })
      .catch((error) => [error.code, error.cause.name]),
  signOut: () => tokens.clear(),
  close: async () => tokens.close(),
  /** What requests to the API come to: each a status, or the code of an error. */
  burst: (count: number) => Promise.all(Array.from({ length: count }, () => pageApi.request())),
  async request(path = `/api/${++requests}`) {
    try {
      return (await api(path)).status;
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  },
  state: async () => ({
    coordination: tokens.coordination,
    isSecureContext,
    hasLocks: !!navigator.locks,
    ended,
  }),
  /** The locks that are waited for, in all tabs. */
  waiting: async () => (await navigator.locks.query()).pending!.map(({ name }) => name),
  /** What the page was told of: that it is frozen, goes on, or is shown again. */
  lifecycle: async () => (globalThis as any).lifecycle,
  /** Deletes what is shared; whether that had to wait for a tab. */
  deleteDatabase: () =>
    new Promise<boolean>((resolve, reject) => {
      const request = indexedDB.deleteDatabase('oneflight');
      let isBlocked = false;
      request.addEventListener('blocked', () => (isBlocked = true));
      request.addEventListener('success', () => resolve(isBlocked));
      request.addEventListener('error', () => reject(request.error));
    }),
  async shiftClock(milliseconds: number) {
    Date.now = () => now() + milliseconds;
  },
  hasDatabase: async () => (await indexedDB.databases()).some(({ name }) => name === 'oneflight'),
  /** Lets the transaction of the next write fail when all seems well. */
  async abortNextWrite() {
    const store: { put: any } = IDBObjectStore.prototype;
    const { put } = store;
    store.put = function (this: IDBObjectStore, ...args: unknown[]) {
      store.put = put;
      const request: IDBRequest = put.apply(this, args);
      request.addEventListener('success', () => request.transaction!.abort());
      return request;
    };
  },
  /** Tells the page that it is put aside, or shown: again, or for the first time. */
  async transition(type: 'pagehide' | 'pageshow', persisted = true) {
    dispatchEvent(new PageTransitionEvent(type, { persisted }));
  },
  /** Listens to what any script of the origin can hear. */
  async eavesdrop() {
    const channel = new BroadcastChannel('oneflight:session');
    channel.addEventListener('message', ({ data }) => overheard.push(data));
  },
  overheard: async () => overheard,
  /** Errors that nobody caught. */
  uncaught: async () => uncaught,
  /** What is open: connections, channels, and listeners for the page's comings and goings. */
  opened: async () => (globalThis as any).opened,

  /** What many apps have: `localStorage`, read again under the lock. */
  readNaively: async () => localStorage.getItem('token'),
  writeNaively: async (token: string) => localStorage.setItem('token', token),
  refreshNaively: (refused: string) =>
    navigator.locks.request('naive', async () => {
      const stored = localStorage.getItem('token')!;
      if (stored !== refused) return;
      const next = await refreshAt(location.origin)({ token: JSON.parse(stored) }).catch(() => {});
      if (next) localStorage.setItem('token', JSON.stringify(next));
    }),
};

Object.assign(globalThis, { pageApi });
