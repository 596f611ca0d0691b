import { runOnce, table } from '../measure.ts';
import { passed } from '../results.ts';
import { checks, type Complaint } from './checks.ts';
import { contestants } from './contestants.ts';

/** What came of the checks of one contestant, by their names. */
export type Marks = Readonly<Record<string, { mark: '✓' | '✗' | '–'; complaint: Complaint }>>;

/**
 * Runs every check of every contestant, each in a process of its own.
 *
 * @throws {Error} When a contestant does another job than the others: it must not be measured.
 */
export async function correctness(): Promise<Map<string, Marks>> {
  const marks = new Map<string, Marks>();
  for (const contestant of Object.keys(contestants)) {
    const complaint = await complaintOf(contestant, 'share');
    if (complaint) throw new Error(`${contestant}: ${complaint}`);
    marks.set(contestant, await marksOf(contestant));
  }
  return marks;
}

async function marksOf(contestant: string): Promise<Marks> {
  const marked = Object.keys(checks).map(async (check) => {
    const complaint = await complaintOf(contestant, check);
    const mark = complaint === 'missing' ? '–' : complaint ? '✗' : '✓';
    return [check, { mark, complaint }] as const;
  });
  return Object.fromEntries(await Promise.all(marked));
}

async function complaintOf(contestant: string, check: string): Promise<Complaint> {
  const subject = { script: './primitive/run-check.ts', args: [contestant, check] };
  try {
    return (await runOnce<{ complaint: Complaint }>(subject)).complaint;
  } catch (error) {
    return `ends its process: ${(error as Error).message.split('\n').at(1)}`;
  }
}

/** Such as 5/6. What is missing counts as failed. */
export function score(marks: Marks): string {
  return `${passed(marks)}/${Object.keys(marks).length}`;
}

/** The table, its legend, and what was wrong. */
export function correctnessText(marked: ReadonlyMap<string, Marks>): string {
  const titles = Object.values(checks).map(({ title }) => title);
  const rows = [...marked].map(([contestant, marks]) => [
    contestant,
    ...Object.values(marks).map(({ mark }) => mark),
    score(marks),
  ]);
  const legend = Object.values(checks).map(({ title, legend }) => `- **${title}**: ${legend}.`);
  const wrong = [...marked].flatMap(([contestant, marks]) =>
    Object.entries(marks)
      .filter(([, { mark }]) => mark === '✗')
      .map(([check, { complaint }]) => `- ${contestant}, ${checks[check]!.title}: ${complaint}.`),
  );
  return [
    table(['', ...titles, 'passed'], rows),
    '✓ passed, ✗ failed, – there is no such thing, which counts as failed.',
    legend.join('\n'),
    'What failed:',
    wrong.join('\n'),
  ].join('\n\n');
}
