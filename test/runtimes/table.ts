import type { Score } from './score.ts';

const WAYS = { import: '`import`', require: '`require`', bundle: 'bundled' };

/** The table of a run: a row for each runtime, also for one that is not there. */
export function tableOf(scores: Score[]): string {
  const rows = scores.map(({ runtime, version, passed, failures, lacking }) => {
    const lacks = lacking.reduce((sum, { count }) => sum + count, 0);
    const state = runtime.isThere
      ? [passed, failures.length, lacks]
      : [0, `not here: \`${runtime.install}\``, 0];
    const cells = [runtime.name, version, WAYS[runtime.way], runtime.retry, ...state];
    return `| ${cells.join(' | ')} |`;
  });
  const head = '| runtime | version | the package | p-retry | passed | failed | lacking |';
  return [head, '|---|---|---|---|---|---|---|', ...rows].join('\n');
}

/** The same with what it means and what is lacking where, for docs/proof.md. */
export function markdownOf(scores: Score[], count: number): string {
  const lacking = new Map<string, Set<string>>();
  for (const { runtime, lacking: all } of scores) {
    for (const lack of all) {
      if (!lacking.has(lack.what)) lacking.set(lack.what, new Set());
      lacking.get(lack.what)!.add(`${runtime.name} (${lack.count})`);
    }
  }
  const lines = [...lacking].map(([what, where]) => `- ${what}: ${[...where].join(', ')}`);
  return `The suites of the primitive, of the token source and of what must not stay unhandled, and the contract of
the adapters with fetch, ky 1 and 2, axios and axios 1.7.0 by each of its transports: ${count} tests, the very files
that \`npm test\` runs from the sources, here over the built package. An unhandled rejection fails a test.

${tableOf(scores)}

Lacking are tests that need what a runtime has not got. They are run, and one that passes there is a failure; only
those of a client that is not there are not run.

${lines.join('\n')}`;
}
