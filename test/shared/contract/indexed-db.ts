import { browserTokens } from '../../../src/realms/browser.ts';
import type { Engine } from './contract.ts';

/** Writes that are still to fail: each is tried twice. */
let failures = 0;

/** What the contract needs of IndexedDB, be it that of the page or one in Node. */
export async function startIndexedDb(): Promise<Engine> {
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
  };
}

function done<Result>(request: IDBRequest<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}
