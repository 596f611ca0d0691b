import type { Reporter } from 'vitest/node';
import { writeProof } from '../proof.ts';

const KINDS = ['statements', 'branches', 'functions', 'lines'] as const;

/** What istanbul counts of each. */
type Summary = Record<(typeof KINDS)[number], { covered: number; total: number }>;

/** Writes what was covered to docs/proof.md, unless that is less than all: then the run fails. */
export class CoverageProof implements Reporter {
  onCoverage(coverage: unknown): void {
    const summary = (coverage as { getCoverageSummary(): Summary }).getCoverageSummary();
    const isAll = KINDS.every((kind) => summary[kind].covered === summary[kind].total);
    const row = (kind: (typeof KINDS)[number]) =>
      `| ${kind} | ${summary[kind].covered} | ${summary[kind].total} |`;
    const table = ['| of `src` | covered | of |', '| --- | --: | --: |', ...KINDS.map(row)];
    if (isAll) writeProof('coverage', table.join('\n'));
  }
}
