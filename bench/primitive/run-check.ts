/** Runs one check of one contestant: `tsx run-check.ts <contestant> <check>`. */
import { setTimeout as delay } from 'node:timers/promises';
import { args, report } from '../measure.ts';
import { checks, share } from './checks.ts';
import { contestants } from './contestants.ts';

/** Milliseconds. Whoever has not answered by then never will. */
const DEADLINE = 2000;

// Counted by the check that looks for them; in the others they must not end the process.
process.on('unhandledRejection', () => {});

const [contestant, check] = args();
const create = await contestants[contestant!]!.load();
const run = check === 'share' ? share : checks[check!]!.run;
const complaint = await Promise.race([
  run(create).catch((error: unknown) => `fails: ${error}`),
  delay(DEADLINE, 'hangs'),
]);
report({ complaint });
// A peer's timers may go on.
process.exit();
