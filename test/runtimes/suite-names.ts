/** How a test went: with an `error` it has failed. */
export interface Result {
  name: string;
  error?: string;
}

/** What the names of tests begin with that must fail. */
export const SELF_CHECK = '[self-check]';

export const isSelfCheck = (name: string): boolean => name.startsWith(SELF_CHECK);

/** As a console prints it, for some stacks are without the message. */
export function textOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const cause = reason.cause === undefined ? '' : `\ncause: ${textOf(reason.cause)}`;
  return `${reason}\n${reason.stack}${cause}`;
}
