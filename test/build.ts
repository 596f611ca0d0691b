import { execFileSync } from 'node:child_process';

/** Builds the package once per run: the tests of README, types, sizes and exports use what users get. */
export function setup(): void {
  execFileSync('npx', ['tsup'], { stdio: 'inherit' });
}
