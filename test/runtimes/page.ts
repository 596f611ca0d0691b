/** Runs the suite in a page or a worker, test by test, as the driver asks. */
import { names, run, version } from './suite.ts';

const pageApi = {
  names: async () => names(),
  run,
  version: async () => version(),
};

export type PageApi = typeof pageApi;
Object.assign(globalThis, { pageApi });
