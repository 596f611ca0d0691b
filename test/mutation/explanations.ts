import { explainedRealms } from './explained-realms.ts';

/** Why a mutant survives: no test can tell it from the source, or none needs to. */
export interface Explanation {
  /** The line in which the change begins, and what is changed to what, as the report prints them. */
  readonly line: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
}

/** By file. */
export const explanations: Record<string, readonly Explanation[]> = {
  ...explainedRealms,
  'src/adapters/axios.ts': [
    {
      line: String.raw`baseURL && /\w$/.test(baseURL) && /^\/\w/.test(url)`,
      from: String.raw`baseURL && /\w$/.test(baseURL) && /^\/\w/.test(url)`,
      to: 'false',
      why: 'What axios makes of a plain base and path is the same; it takes its time.',
    },
    {
      line: "const response = await (typeof given === 'function'",
      from: "'function'",
      to: '""',
      why: 'A function may be called as what has a name is, too: that costs a twentieth of the CPU time.',
    },
    {
      line: "const response = await (typeof given === 'function'",
      from: "typeof given === 'function'",
      to: 'false',
      why: 'A function that axios calls by itself does the same, at a twentieth more of the CPU time.',
    },
    {
      line: 'return data?.getBuffer && { data: data.getBuffer(), headers: data.getHeaders() };',
      from: 'data?.getBuffer',
      to: 'data.getBuffer',
      why: 'What it throws without a body is caught; the question mark is faster.',
    },
    {
      line: '} catch {',
      from: '{ // It has streams in it. return undefined; }',
      to: '{}',
      why: 'A function that ends returns `undefined` too; the linter wants to read it.',
    },
  ],
  'src/adapters/fetch.ts': [
    {
      line: "headers?.delete('-');",
      from: 'headers?.delete',
      to: 'headers.delete',
      why: 'What it throws without a Request is caught; the question mark is faster.',
    },
    {
      line: '} catch {',
      from: '{ return undefined; }',
      to: '{}',
      why: 'A function that ends returns `undefined` too; the linter wants to read it.',
    },
  ],
  'src/connection.ts': [
    {
      line: '} catch {',
      from: '{ return undefined; }',
      to: '{}',
      why: 'A function that ends returns `undefined` too; the linter wants to read it.',
    },
  ],
  'src/flight-group.ts': [
    {
      line: 'if (this.#onLand) flight.startedAt = performance.now();',
      from: 'this.#onLand',
      to: 'true',
      why: 'Nobody asks how long a flight takes without a hook: it is spared the time of reading the clock.',
    },
  ],
  'src/realms/lease.ts': [
    {
      line: 'const NEVER: Instants = { wall: -Infinity, monotonic: -Infinity };',
      from: '-Infinity',
      to: '+Infinity',
      why: 'A lease is lost when either clock says so, and the other one still does.',
    },
  ],
  'src/session.ts': [
    {
      line: 'let begun: number[] = [];',
      from: '[]',
      to: '["Stryker was here"]',
      why: 'What is no number lies in no window, and drops out as refreshes begin.',
    },
  ],
  'src/shared-session.ts': [
    {
      line: "const YIELDING = { since: 0, replaces: [''] };",
      from: "''",
      to: '"Stryker was here!"',
      why: 'Any name that no session has: one that it replaces is not looked for.',
    },
    {
      line: "unsaved.replaces[0] ??= '';",
      from: "''",
      to: '"Stryker was here!"',
      why: 'Any name that no session has.',
    },
  ],
};
