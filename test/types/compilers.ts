import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeProof } from '../proof.ts';
import manifest from './package.json' with { type: 'json' };
import { compile, COMPLAINT, createProject, SETTINGS, WRONG, type Setting } from './project.ts';

/**
 * `npm run test:types`: packs the package, installs it as a user does, and compiles the files of this
 * folder with every compiler of this folder's package.json.
 */
const root = join(import.meta.dirname, '../..');
const compilers = Object.keys(manifest.devDependencies).map((name) =>
  join(import.meta.dirname, 'node_modules', name),
);

/** How one compiler takes one file: what it complains of, if it is wrong to. */
interface Verdict {
  version: string;
  setting: string;
  file: string;
  complaints: string[];
}

async function tryAll(): Promise<Verdict[]> {
  const project = await createProject();
  try {
    const pack = ['pack', '--json', '--pack-destination', project.folder];
    const packed = execFileSync('npm', pack, { cwd: root, encoding: 'utf8' });
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
    const install = ['install', '--no-package-lock', '--no-audit', '--no-fund', `./${filename}`];
    execFileSync('npm', install, { cwd: project.folder, stdio: 'inherit' });
    const verdicts: Verdict[] = [];
    for (const typescript of compilers) {
      for (const setting of [...SETTINGS, WRONG]) {
        const complaints = await compile(typescript, project.folder, setting);
        verdicts.push(...judge(versionOf(typescript), setting, complaints));
      }
    }
    return verdicts;
  } finally {
    await project.remove();
  }
}

/** What is said of the declarations concerns every file that is compiled with them. */
function judge(version: string, setting: Setting, complaints: string[]): Verdict[] {
  return setting.files.map((file) => {
    const others = setting.files.filter((other) => other !== file);
    const its = complaints.filter((line) => !others.some((other) => line.startsWith(other)));
    const verdict = { version, setting: setting.name, file };
    if (setting !== WRONG) return { ...verdict, complaints: its };
    const isCaught = its.length === 1 && its[0]!.includes(COMPLAINT);
    return { ...verdict, complaints: isCaught ? [] : ['it compiled', ...its] };
  });
}

function versionOf(typescript: string): string {
  const { version } = JSON.parse(readFileSync(join(typescript, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

/** One row for each way to compile, and one column for each compiler. */
function tableOf(verdicts: Verdict[]): string {
  const versions = [...new Set(verdicts.map(({ version }) => version))];
  const rows = new Map<string, string[]>();
  for (const { setting, file, complaints } of verdicts) {
    const row = `${setting} | \`${file}\``;
    const result = complaints.length === 0 ? (setting === WRONG.name ? 'refused' : 'ok') : 'FAILED';
    rows.set(row, [...(rows.get(row) ?? []), result]);
  }
  return [
    ['module', 'file', ...versions.map((version) => `TypeScript ${version}`)],
    ['---', '---', ...versions.map(() => '---')],
    ...[...rows].map(([row, results]) => [row, ...results]),
  ]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

const missing = compilers.filter((typescript) => !existsSync(typescript));
const results = join(root, 'coverage/types.json');
rmSync(results, { force: true });
if (missing.length > 0) {
  console.error('SKIPPED: the compilers are not installed: npm ci --prefix test/types');
  process.exitCode = process.env['CI'] ? 1 : 0;
} else {
  const verdicts = await tryAll();
  const failed = verdicts.filter(({ complaints }) => complaints.length > 0);
  console.log(tableOf(verdicts));
  for (const { version, setting, file, complaints } of failed) {
    console.error(`\nTypeScript ${version}, ${setting}, ${file}:\n${complaints.join('\n')}`);
  }
  mkdirSync(join(root, 'coverage'), { recursive: true });
  // As vitest's reports, which CI reads.
  const report = {
    numPassedTests: verdicts.length - failed.length,
    numFailedTests: failed.length,
    success: failed.length === 0,
    testResults: failed.map(({ version, setting, file, complaints }) => ({
      name: `TypeScript ${version}, ${setting}, ${file}`,
      status: 'failed',
      message: complaints.join('\n'),
    })),
  };
  writeFileSync(results, JSON.stringify(report));
  if (failed.length > 0) process.exitCode = 1;
  else writeProof('types', tableOf(verdicts));
}
