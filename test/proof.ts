import { readSection, writeSection } from './section.ts';

const PROOF = 'docs/proof.md';

/** What a command has written into docs/proof.md under its name. */
export const readProof = (name: string): string => readSection(PROOF, name);

/**
 * Writes the numbers of a command into its section of docs/proof.md. Not in CI, whose checkout is
 * nobody's; there it only has to be there.
 */
export function writeProof(name: string, markdown: string): void {
  if (process.env['CI']) readProof(name);
  else writeSection(PROOF, name, markdown);
}
