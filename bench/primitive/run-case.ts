/** Measures one case of one contestant: `tsx run-case.ts <case> <contestant>`. */
import { args, report } from '../measure.ts';
import { cases, growth } from './cases.ts';
import { contestants } from './contestants.ts';

const [name, contestant] = args();
const measured = { ...cases, ...growth }[name!]!;
report({ figure: await measured.measure(await contestants[contestant!]!.load()) });
// A peer's timers may go on.
process.exit();
