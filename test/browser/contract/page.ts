/** The contract in a page: its realms are token sources of one page, its server is beyond HTTP. */
import { describeEngine } from '../../shared/contract/contract.ts';
import { startIndexedDb } from '../../shared/contract/indexed-db.ts';
import { startServer } from './remote-server.ts';
import { runTest, testNames } from '../../stand-in.ts';

describeEngine('Tokens shared in a browser', async () => ({
  ...(await startIndexedDb()),
  startServer,
}));

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
