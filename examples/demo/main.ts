/**
 * `npm run demo [picture.svg]`: a burst of requests with an expired token, twice, through the recipes
 * that people paste and through oneflight. Prints a table, draws a picture, and fails unless
 * oneflight's row is perfect.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EXPIRIES, REQUESTS, runRecipe, type Result } from './burst.ts';
import {
  axiosAuthRefresh,
  closure,
  flagAndQueue,
  naive,
  oneflightAxios,
  oneflightFetch,
  oneflightKy1,
  oneflightKy2,
  type Recipe,
} from './recipes.ts';
import { drawTimeline } from './timeline.ts';

const TOTAL = EXPIRIES * REQUESTS;

// Whatever hangs, the demo ends.
setTimeout(() => {
  console.error('The demo did not end within 2 minutes.');
  process.exit(1);
}, 120_000).unref();

const runAll = async (recipes: Record<string, Recipe>): Promise<Result[]> => {
  const results: Result[] = [];
  for (const [name, recipe] of Object.entries(recipes)) results.push(await runRecipe(name, recipe));
  return results;
};
const others = await runAll({
  'naive interceptor': naive,
  closure,
  'isRefreshing + queue': flagAndQueue,
  'axios-auth-refresh': axiosAuthRefresh,
});
const ours = await runAll({
  'oneflight, fetch': oneflightFetch,
  'oneflight, axios': oneflightAxios,
  'oneflight, ky 1': oneflightKy1,
  'oneflight, ky 2': oneflightKy2,
});

console.log(
  `\n${TOTAL} requests with staggered latencies, over ${EXPIRIES} expiries of the token:\n`,
);
const rows = [...others, ...ours].map(({ name, refreshes, answered, alive, wall }) => [
  name,
  `${refreshes} (${EXPIRIES} needed)`,
  `${answered} of ${TOTAL}`,
  alive ? 'alive' : 'REVOKED',
  `${wall.toFixed(2)} ×`,
]);
const table = [['', 'refreshes', 'answered', 'session', 'wall ÷ ideal'], ...rows];
const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
for (const row of table)
  console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join('   '));

const picture = resolve(process.argv[2] ?? '.demo/timeline.svg');
await mkdir(dirname(picture), { recursive: true });
await writeFile(picture, drawTimeline([...others, ours[0]!]));
console.log(`\nThe picture: ${picture}`);
console.log('A row is a request, a blue band is a refresh: one band per expiry is right.');

const isPerfect = ({ refreshes, answered, alive }: Result) =>
  refreshes === EXPIRIES && answered === TOTAL && alive;
if (!ours.every(isPerfect)) {
  console.error('\noneflight is not perfect here. That is a bug.');
  process.exitCode = 1;
}
