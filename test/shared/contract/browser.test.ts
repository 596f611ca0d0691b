import { afterAll, vi } from 'vitest';
import { stubPage } from '../../page-in-node.ts';
import { describeEngine } from './contract.ts';
import { startIndexedDb } from './indexed-db.ts';

// The same as in browsers (`test/browser/contract`), over an IndexedDB in Node.

afterAll(() => {
  vi.unstubAllGlobals();
});

describeEngine('Tokens shared in a page of Node', async () => {
  stubPage();
  return startIndexedDb();
});
