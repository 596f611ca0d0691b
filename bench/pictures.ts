/** Draws docs/primitive.svg and docs/burst.svg of what was measured: readable on white and on black. */
import { writeFileSync } from 'node:fs';
import { isOurs, type BurstData, type PrimitiveData, type Results } from './results.ts';

const WIDTH = 900;
const ROW = 26;

const STYLE = `<style>
  text { font: 13px system-ui, 'DejaVu Sans', sans-serif } .title { font-size: 17px; font-weight: 600 }
  .ours { font-weight: 700 } .end { text-anchor: end } .middle { text-anchor: middle }
  .ground { fill: #ffffff } .ink { fill: #1c2330 } .soft { fill: #687182 } .track { fill: #e8ebf1 } .bar { fill: #8fa3c7 } .good { fill: #2e9e6b } .bad { fill: #d64545 } .own { fill: #3b6fd9 }
  @media (prefers-color-scheme: dark) { .ground { fill: #11151d } .ink { fill: #e9edf5 } .soft { fill: #98a2b5 } .track { fill: #232b39 } .bar { fill: #5d6f94 } .good { fill: #3fbf86 } .bad { fill: #f06a6a } .own { fill: #6d9bff } }
</style>`;

const text = (x: number, y: number, classes: string, content: string) =>
  `<text x="${x}" y="${y}" class="${classes}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
const rect = (x: number, y: number, width: number, height: number, classes: string) =>
  `<rect x="${x}" y="${y}" width="${width.toFixed(1)}" height="${height}" rx="2" class="${classes}"/>`;

/** What a picture shows, in words for those who do not see it. */
function picture(label: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${label}">`,
    STYLE,
    rect(0, 0, WIDTH, height, 'ground'),
    ...parts,
    '</svg>\n',
  ].join('\n');
}

const CHECKS_AT = 200;
/** Where the bars of each column begin. */
const COLUMNS = [
  { at: 340, name: 'cold', title: 'cold flight, ns' },
  { at: 530, name: 'settle', title: 'join and settle, ns' },
  { at: 720, name: 'heap', title: 'heap per key, bytes' },
];
const BAR = 110;

function drawPrimitive({ correctness, figures }: PrimitiveData): string {
  const cold = figures['cold']!;
  const rows = cold.map(({ name }, n) => {
    const y = 92 + n * ROW;
    const marks = Object.values(correctness[name]!).map(({ mark }, nth) =>
      rect(
        CHECKS_AT + nth * 18,
        y - 11,
        13,
        13,
        mark === '✓' ? 'good' : mark === '✗' ? 'bad' : 'track',
      ),
    );
    const bars = COLUMNS.map(({ at, name: column }) => {
      const all = figures[column]!;
      const figure = all.find((each) => each.name === name)?.figure;
      if (figure === undefined) return text(at, y, 'soft', '–');
      // By the root: the slowest are a hundredfold slower than the rest.
      const longest = Math.sqrt(Math.max(...all.map((each) => each.figure ?? 0)));
      const width = (Math.sqrt(figure) / longest) * BAR;
      return [
        rect(at, y - 11, width, 13, isOurs(name) ? 'own' : 'bar'),
        text(at + width + 5, y, 'soft', Math.round(figure).toLocaleString('en')),
      ].join('');
    });
    return [text(24, y, `ink${isOurs(name) ? ' ours' : ''}`, name), ...marks, ...bars].join('\n');
  });
  const heads = COLUMNS.map(({ at, title }) => text(at, 66, 'soft', title));
  return picture(
    'How many checks each contestant passes, and what it costs',
    92 + rows.length * ROW + 24,
    [
      text(
        24,
        34,
        'title ink',
        'Concurrent calls share one run: who does it right, and what it costs',
      ),
      text(CHECKS_AT, 66, 'soft', 'six checks'),
      ...heads,
      ...rows,
      text(
        24,
        92 + rows.length * ROW + 8,
        'soft',
        'green: passed, red: failed, grey: not there. Bars by the square root; shorter is better.',
      ),
    ],
  );
}

const TRACK_AT = 220;
const TRACK = 330;

function drawBurst({ bursts }: BurstData): string {
  const shown = bursts.filter(({ n, spread }) => n === 100 && spread === 300);
  const rows = shown.map(
    ({ client, isOurs, n, answers = 0, refreshes = 0, hanging, isAlive }, nth) => {
      const y = 92 + nth * ROW;
      const isWhole = answers === n;
      const ending = [
        `${answers} of ${n}`,
        `${refreshes} ${refreshes === 1 ? 'refresh' : 'refreshes'}`,
        ...(hanging ? ['hangs'] : []),
        ...(isAlive === 0 ? ['session revoked'] : []),
      ];
      const isGood = isWhole && refreshes === 1;
      return [
        text(24, y, `ink${isOurs ? ' ours' : ''}`, client),
        rect(TRACK_AT, y - 11, TRACK, 13, 'track'),
        rect(TRACK_AT, y - 11, (answers / n) * TRACK, 13, isGood ? 'good' : 'bad'),
        text(TRACK_AT + TRACK + 10, y, isGood ? 'soft' : 'bad', ending.join(', ')),
      ].join('\n');
    },
  );
  return picture(
    'How many of 100 requests each client answers, and with how many refreshes',
    92 + rows.length * ROW + 8,
    [
      text(
        24,
        34,
        'title ink',
        '100 requests meet an expired token: who is answered, by how many refreshes',
      ),
      text(
        24,
        60,
        'soft',
        'Refusals come over 300 ms, a refresh takes 100: one refresh is right, and an answer for everyone.',
      ),
      ...rows,
    ],
  );
}

/** Those of whose section there are results. */
export function drawPictures({ primitive, burst }: Results): void {
  const write = (name: string, svg: string) =>
    writeFileSync(new URL(`../docs/${name}.svg`, import.meta.url), svg);
  if (primitive) write('primitive', drawPrimitive(primitive.data as PrimitiveData));
  if (burst) write('burst', drawBurst(burst.data as BurstData));
}
