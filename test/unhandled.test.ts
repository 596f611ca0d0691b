import { describe, expect, it } from 'vitest';
import { runChild } from './child.ts';

const PRELUDE = `
  import { createTokenSource, FlightGroup, singleFlight } from 'oneflight';
  const later = (fn) => new Promise((resolve, reject) => setTimeout(() => { try { resolve(fn()) } catch (e) { reject(e) } }, 5));
  const fails = () => later(() => { throw new Error('task') });
  const refused = (status) => () => later(() => { throw Object.assign(new Error('refused'), { status }) });
  const retry = { retries: 0 };
`;

/** Node ends a process that leaves a rejection unhandled, with code 1: so it is the judge. */
const cases: [string, string][] = [
  [
    'a flight whose callers have all left, and then fails',
    `const caller = new AbortController();
     const run = new FlightGroup().run('a', fails, { signal: caller.signal });
     caller.abort('left');
     await run.catch(() => {});
     await later(() => {}); await later(() => {});`,
  ],
  [
    'a flight that fails for callers who all handle it, with a signal and without',
    `const group = new FlightGroup();
     const { signal } = new AbortController();
     await Promise.allSettled([group.run('a', fails, { signal }), group.run('a', fails), group.run('a', fails, { signal })]);`,
  ],
  [
    'a flight that fails for callers with signals only',
    `const group = new FlightGroup();
     const callers = [new AbortController(), new AbortController()];
     await Promise.allSettled(callers.map(({ signal }) => group.run('a', fails, { signal })));`,
  ],
  [
    'a caller whose signal is none',
    `await new FlightGroup().run('a', fails, { signal: {} }).catch(() => {});
     await later(() => {}); await later(() => {});`,
  ],
  [
    'hooks that throw or reject',
    `for (const hook of [() => { throw new Error('hook') }, async () => { throw new Error('hook') }]) {
       await singleFlight(() => 1, { onLand: hook })();
       const tokens = createTokenSource({ refresh: refused(400), onRefresh: hook, onSessionExpired: hook });
       await tokens.get().catch(() => {});
     }`,
  ],
  [
    'a refresh in the background that fails',
    `for (const status of [400, 503]) {
       const tokens = createTokenSource({ token: 'a', retry, refresh: refused(status), refreshAhead: 60000, expiresAt: () => Date.now() + 1000 });
       await tokens.get();
       await later(() => {}); await later(() => {});
     }`,
  ],
  [
    'a refresh that times out and then fails, or lands',
    `for (const end of [fails, () => later(() => 'late')]) {
       const tokens = createTokenSource({ timeout: 1, retry, refresh: end });
       await tokens.get().catch(() => {});
       await later(() => {}); await later(() => {});
     }`,
  ],
  [
    'a sign-out or sign-in during a refresh that fails',
    `for (const method of ['set', 'clear']) {
       const tokens = createTokenSource({ retry, refresh: fails });
       const waiting = tokens.get();
       tokens[method]('a');
       await waiting.catch(() => {});
       await later(() => {}); await later(() => {});
     }`,
  ],
  [
    'a sign-out while a refresh waits to be retried',
    `const tokens = createTokenSource({ refresh: refused(503) });
     const waiting = tokens.get();
     await later(() => {}); await later(() => {});
     tokens.clear();
     await waiting.catch(() => {});`,
  ],
  [
    'a background refresh during which the session ends',
    `const tokens = createTokenSource({ token: 'a', refresh: fails, refreshAhead: 60000, expiresAt: () => Date.now() + 1000 });
     await tokens.get();
     await tokens.clear();
     await later(() => {}); await later(() => {});`,
  ],
];

describe('§3.7 Nothing unhandled', () => {
  it.concurrent.each(cases)('%s', async (_, code) => {
    expect(await runChild(`${PRELUDE}${code}\nconsole.log('done');`)).toBe('done\n');
  });

  it("but a caller's own rejection, which it does not handle, is not swallowed", async () => {
    for (const code of [
      "void singleFlight(() => Promise.reject(new Error('mine')))();",
      "void singleFlight(() => Promise.reject(new Error('mine')), { onLand() {} })();",
      "void new FlightGroup().run('a', () => Promise.reject(new Error('mine')), new AbortController());",
      "void createTokenSource({ retry, refresh: () => Promise.reject(new Error('mine')) }).get();",
    ]) {
      const run = runChild(`${PRELUDE}${code}`);
      await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('mine') });
    }
  });
});

describe('A process that has nothing else to do ends', () => {
  it.concurrent.each([
    ['after importing', ''],
    ['after a refresh', "await createTokenSource({ refresh: () => later(() => 'a') }).get();"],
    [
      'after a sign-out while a refresh waits to be retried',
      `const tokens = createTokenSource({ retry: { minTimeout: 20000, maxTimeout: 20000 }, refresh: refused(503) });
       const waiting = tokens.get().catch(() => {});
       await later(() => {}); await later(() => {});
       await tokens.clear(); await waiting;`,
    ],
    [
      'after a sign-out while Retry-After is obeyed',
      `const response = new Response(null, { status: 503, headers: { 'retry-after': '20' } });
       const tokens = createTokenSource({ refresh: () => { throw Object.assign(new Error(''), { response }) } });
       const waiting = tokens.get().catch(() => {});
       await later(() => {}); await tokens.clear(); await waiting;`,
    ],
  ])('%s', async (_, code) => {
    const startedAt = performance.now();
    await runChild(`${PRELUDE}${code}`);
    // Whatever it would wait for lasts 20 seconds and more.
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });

  it('but not while callers wait for a refresh that hangs: they hear of it at `timeout`', async () => {
    const code = `createTokenSource({ timeout: 50, refresh: () => new Promise(() => {}) }).get().catch(({ code }) => console.log(code));`;
    expect(await runChild(`${PRELUDE}${code}`)).toBe('REFRESH_TIMEOUT\n');
  });
});
