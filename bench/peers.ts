/** What is measured beside: packages of `bench/package.json`, so that the library's own install stays lean. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const INSTALL = 'npm ci --prefix bench';

/** @throws {Error} Which says how to install them. */
export function requirePeers(): void {
  if (!existsSync(join(import.meta.dirname, 'node_modules'))) throw new Error(`first ${INSTALL}`);
}

/** A package without its types: those are not there where the library is checked. */
export const peer = (name: string): Promise<any> => import(name);
