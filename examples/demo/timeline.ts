import { EXPIRIES, REQUESTS, type Burst, type Result } from './burst.ts';

const WIDTH = 1000;
const MARGIN = 24;
const GAP = 36;
const ROW = 3;
const HEAD = 58;
const PANEL = HEAD + REQUESTS * ROW + 30;
const TOP = 84;
const LEGEND = 44;

const PALETTES = {
  light: {
    ground: '#ffffff',
    card: '#f4f6f9',
    ink: '#1c2330',
    soft: '#687182',
    sent: '#eba53c',
    wait: '#c3cad6',
    good: '#2e9e6b',
    bad: '#d64545',
    refresh: '#3b6fd9',
  },
  dark: {
    ground: '#11151d',
    card: '#1a202b',
    ink: '#e9edf5',
    soft: '#98a2b5',
    sent: '#d9952f',
    wait: '#465063',
    good: '#3fbf86',
    bad: '#f06a6a',
    refresh: '#6d9bff',
  },
};

const fills = (palette: Record<string, string>) =>
  Object.entries(palette)
    .map(([name, colour]) => `.${name} { fill: ${colour} }`)
    .join(' ');

/** Light and dark: the picture brings its own ground, so it reads on any page. */
const STYLE = `
  text { font-family: system-ui, 'DejaVu Sans', sans-serif }
  .title { font-size: 17px; font-weight: 600 } .verdict { font-size: 14px } .small { font-size: 12px }
  .band { opacity: .26 } .refused { opacity: .16 }
  ${fills(PALETTES.light)}
  @media (prefers-color-scheme: dark) { ${fills(PALETTES.dark)} }
`;

/** One panel per recipe: a row per request, in the order of their latencies; time goes to the right. */
export function drawTimeline(results: Result[]): string {
  const height = TOP + results.length * (PANEL + 16) + LEGEND;
  const end = Math.max(...results.flatMap(({ bursts }) => bursts.map(({ wall }) => wall)), 1);
  const scale = (WIDTH - 2 * MARGIN - 32 - GAP) / EXPIRIES / end;
  const panels = results.map((result, index) => panel(result, TOP + index * (PANEL + 16), scale));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img"
  aria-label="What ${EXPIRIES * REQUESTS} requests over ${EXPIRIES} expiries do to a session, with ${results.map(({ name }) => name).join(', ')}">
<style>${STYLE}</style>
<rect class="ground" width="${WIDTH}" height="${height}" rx="12"/>
<text class="ink" x="${MARGIN}" y="38" font-size="22" font-weight="700">The token expires twice; ${REQUESTS} requests meet it each time</text>
<text class="soft verdict" x="${MARGIN}" y="62">A row is a request, a blue band is a refresh. One per expiry is right; each one more is a chance to lose the session.</text>
${panels.join('\n')}
${legend(height - LEGEND + 14)}
</svg>
`;
}

function panel(result: Result, top: number, scale: number): string {
  const { name, bursts, refreshes, answered, alive } = result;
  const total = EXPIRIES * REQUESTS;
  const perfect = refreshes === EXPIRIES && answered === total && alive;
  const verdict = `${count(refreshes)} · ${answered} of ${total} answered · ${alive ? 'session alive' : 'session revoked: signed out'}`;
  const half = (WIDTH - 2 * MARGIN - 32 - GAP) / EXPIRIES;
  return `<g transform="translate(${MARGIN} ${top})">
<rect class="card" width="${WIDTH - 2 * MARGIN}" height="${PANEL}" rx="10"/>
<text x="16" y="26"><tspan class="ink title">${name}</tspan><tspan class="${perfect ? 'good' : 'bad'} verdict" font-weight="600" dx="14">${perfect ? '✓' : '✗'} ${verdict}</tspan></text>
${bursts.map((each, index) => `<g transform="translate(${16 + index * (half + GAP)} ${HEAD})">${burst(each, index, scale, half)}</g>`).join('\n')}
</g>`;
}

function burst(
  { requests, refreshes, revokedAt }: Burst,
  index: number,
  scale: number,
  width: number,
) {
  const height = REQUESTS * ROW;
  const bar = (className: string, from: number, to: number, y: number, tall: number) =>
    `<rect class="${className}" x="${round(from * scale)}" y="${y}" width="${round(Math.max((to - from) * scale, 1))}" height="${tall}"/>`;
  const bands = refreshes.flatMap(({ startedAt, endedAt, status }) => [
    bar(status === 200 ? 'refresh band' : 'bad refused', startedAt, endedAt, -8, height + 8),
    `<circle class="${status === 200 ? 'refresh' : 'bad'}" cx="${round(startedAt * scale)}" cy="-9" r="3"/>`,
  ]);
  const rows = requests
    .slice()
    .sort((a, b) => a.delay - b.delay)
    .flatMap(({ sends, endedAt, answered }, row) => {
      const y = row * ROW;
      const waits = sends
        .slice(1)
        .map((send, n) => bar('wait', sends[n]!.endedAt, send.startedAt, y + 1, 1));
      const sent = sends.map(({ startedAt, endedAt: answeredAt, status }) =>
        bar(status === 200 ? 'good' : 'sent', startedAt, answeredAt, y, ROW - 1),
      );
      const lost = `<rect class="bad" x="${round(endedAt * scale)}" y="${y - 0.5}" width="7" height="${ROW}"/>`;
      return [...waits, ...sent, ...(answered ? [] : [lost])];
    });
  const revoked =
    revokedAt === undefined
      ? ''
      : `<rect class="bad" x="${round(revokedAt * scale)}" width="2" y="-14" height="${height + 32}"/>
<text class="bad small" x="${round(revokedAt * scale) + 6}" y="${height + 18}" font-weight="600">session revoked</text>`;
  const caption = `<text class="soft small" x="${width}" y="${height + 18}" text-anchor="end">expiry ${index + 1}: ${count(refreshes.length)}</text>`;
  return `${bands.join('')}${rows.join('')}${revoked}${caption}`;
}

function legend(y: number): string {
  const entries = [
    ['sent', 'sent, refused (401)'],
    ['wait', 'waiting'],
    ['good', 'sent, answered'],
    ['refresh', 'refresh'],
    ['bad', 'refresh refused; request lost'],
  ];
  let x = MARGIN;
  return entries
    .map(([className, text]) => {
      const entry = `<rect class="${className}" x="${x}" y="${y}" width="14" height="10" rx="2"/><text class="soft small" x="${x + 20}" y="${y + 9}">${text}</text>`;
      x += 44 + text!.length * 6.6;
      return entry;
    })
    .join('');
}

const count = (refreshes: number) => `${refreshes} refresh${refreshes === 1 ? '' : 'es'}`;
const round = (value: number) => Math.round(value * 10) / 10;
