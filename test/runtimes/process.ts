/**
 * Runs the suite in a process of Node, Bun or Deno: a line of JSON for its version, then one for each
 * result. With an argument it only tells the names of the tests.
 */
import { names, run, version } from './suite.ts';

async function runAll(): Promise<void> {
  console.log(JSON.stringify({ version: version() }));
  for (const name of names()) console.log(JSON.stringify(await run(name)));
  process.exit();
}

if (process.argv[2]) console.log(JSON.stringify(names()));
else void runAll();
