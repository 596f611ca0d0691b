/** The contract in a page: its realms are token sources of one page, its server is beyond HTTP. */
import { browserTokens } from '../../../src/realms/browser.ts';
import { describeEngine, type Engine } from '../../shared/contract/contract.ts';
import { startServer } from './remote-server.ts';
import { runTest, testNames } from '../../stand-in.ts';

/** Writes that are still to fail: each is tried twice. */
let failures = 0;

async function start(): Promise<Engine> {
  const store: { put: any } = IDBObjectStore.prototype;
  store.put = new Proxy(store.put, {
    apply(put, self, args) {
      if (failures && failures--) throw new DOMException('no space', 'QuotaExceededError');
      return Reflect.apply(put, self, args);
    },
  });
  return {
    open: ({ name, encode, decode }) => browserTokens({ name, encode, decode }),
    // Before they are done: one that is done says so, for nothing is between it and the page.
    failWrites: (count) => {
      failures = count * 2;
    },
    wipe: async () => {
      await done(indexedDB.deleteDatabase('oneflight'));
    },
    async dump(name) {
      const database = await done(indexedDB.open('oneflight'));
      const sessions = database.transaction('sessions').objectStore('sessions');
      const stored = await done(sessions.get(name));
      database.close();
      return JSON.stringify(stored);
    },
    hasOneClock: true,
    startServer,
  };
}

function done<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}

describeEngine('Tokens shared in a browser', start);

Object.assign(globalThis, {
  pageApi: {
    names: async () => testNames(),
    async run(name: string) {
      await runTest(name).catch((error: Error) => {
        throw new Error(`${error.message}\n${error.stack}`);
      });
    },
  },
});
