/** Why a mutant survives that no test could tell from the source, or none needs to. */
export interface Explanation {
  /** The line in which the change begins, and what it changes, as the report prints them. */
  readonly line: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

/** By file. */
export const explanations: Record<string, readonly Explanation[]> = {};
