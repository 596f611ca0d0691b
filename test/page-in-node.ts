import { IDBDatabase, IDBFactory, IDBObjectStore } from 'fake-indexeddb';
import { vi } from 'vitest';
import { MemoryTokens } from './shared/memory-tokens.ts';

/** What is open: connections to databases, channels, and listeners to the page's comings and goings. */
export interface Opened {
  databases: number;
  channels: number;
  listeners: number;
}

/**
 * Gives this process what a page has and Node has not, until `vi.unstubAllGlobals()`: IndexedDB, locks
 * and the events of a page; and counts what is open. What real browsers do is tested in real ones
 * (`test/browser`); here one can come between two steps.
 */
export function stubPage() {
  const opened: Opened = { databases: 0, channels: 0, listeners: 0 };
  /** The messages of all channels, each with the name of its channel. */
  const said: [string, unknown][] = [];
  const events = new EventTarget();

  class Factory extends IDBFactory {
    override open(...args: Parameters<IDBFactory['open']>) {
      const request = super.open(...args);
      request.addEventListener('success', () => {
        opened.databases++;
        const { result } = request;
        let isOpen = true;
        result.close = () => {
          if (isOpen) opened.databases--;
          isOpen = false;
          IDBDatabase.prototype.close.call(result);
        };
      });
      return request;
    }
  }
  class Channel extends BroadcastChannel {
    constructor(name: string) {
      super(name);
      opened.channels++;
    }
    override postMessage(message: unknown) {
      said.push([this.name, message]);
      super.postMessage(message);
    }
    override close() {
      opened.channels--;
      super.close();
    }
  }
  const factory = new Factory();
  const locks = new MemoryTokens<never>();
  const globals = {
    indexedDB: factory,
    IDBDatabase,
    IDBObjectStore,
    BroadcastChannel: Channel,
    navigator: { locks },
    addEventListener(...args: Parameters<EventTarget['addEventListener']>) {
      if (args[0].startsWith('page')) opened.listeners++;
      events.addEventListener(...args);
    },
    removeEventListener(...args: Parameters<EventTarget['removeEventListener']>) {
      if (args[0].startsWith('page')) opened.listeners--;
      events.removeEventListener(...args);
    },
  };
  for (const [name, value] of Object.entries(globals)) vi.stubGlobal(name, value);
  return {
    factory,
    locks,
    opened,
    said,
    /** Tells the page that it is put aside, or shown: again, or for the first time. */
    transition(type: 'pagehide' | 'pageshow', persisted = true) {
      events.dispatchEvent(Object.assign(new Event(type), { persisted }));
    },
  };
}
