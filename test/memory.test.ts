import { describe, expect, it } from 'vitest';
import { runChild } from './child.ts';

const PRELUDE = `
  import { getEventListeners } from 'node:events';
  import { createTokenSource, FlightGroup, singleFlight } from 'oneflight';
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const heap = async () => { for (let n = 0; n < 4; n++) { await settle(); gc(); } return process.memoryUsage().heapUsed; };
  const collected = async (ref) => { for (let n = 0; n < 20 && ref.deref(); n++) { await settle(); gc(); } return !ref.deref(); };
`;

const measure = async (code: string) =>
  JSON.parse(await runChild(PRELUDE + code, ['--expose-gc'])) as Record<string, number>;

describe('§3.7 Nothing retained', () => {
  it('by 100 000 flights with one long-lived signal, failures and aborts among them', async () => {
    const { growth, listeners, size } = await measure(`
      const group = new FlightGroup();
      const { signal } = new AbortController();
      const round = async (from) => {
        for (let n = from; n < from + 50_000; n += 50) {
          const own = new AbortController();
          const flights = Array.from({ length: 50 }, (_, k) => group.run(n + k, async () => {
            if (k % 3 === 0) throw new Error('task');
            return { n };
          }, { signal: k % 2 ? signal : own.signal }));
          if (n % 100 === 0) own.abort();
          await Promise.allSettled(flights);
        }
      };
      await round(0);
      const before = await heap();
      await round(50_000);
      const growth = await heap() - before;
      console.log(JSON.stringify({ growth, size: group.size, listeners: getEventListeners(signal, 'abort').length }));
    `);
    expect([listeners, size]).toEqual([0, 0]);
    // Less than 10 bytes a flight.
    expect(growth).toBeLessThan(500_000);
  }, 30_000);

  it('by 20 000 refreshes of one source', async () => {
    const { growth, listeners } = await measure(`
      const { signal } = new AbortController();
      const tokens = createTokenSource({ token: {}, refresh: async () => ({ filler: 'x'.repeat(100) }), refreshLimit: false });
      const round = async () => { for (let n = 0; n < 10_000; n++) await tokens.renew(await tokens.get(), { signal }); };
      await round();
      const before = await heap();
      await round();
      const growth = await heap() - before;
      console.log(JSON.stringify({ growth, listeners: getEventListeners(signal, 'abort').length }));
    `);
    expect(listeners).toBe(0);
    expect(growth).toBeLessThan(500_000);
  }, 30_000);

  it.each([
    ['a group', 'const group = new FlightGroup(); const run = () => group.run(key, () => value);'],
    ['singleFlight', 'const run = singleFlight(() => value);'],
    ['a keyed singleFlight', 'const run = singleFlight((id) => value, { key: (id) => key });'],
  ])('by %s of its keys and outcomes', async (_, code) => {
    const { gone } = await measure(`
      let value = { big: true };
      let key = { key: true };
      ${code}
      const refs = [new WeakRef(value), new WeakRef(key)];
      // In a function of its own, whose frame is gone when the heap is looked at.
      await (async () => { await run(); })();
      value = key = undefined;
      const gone = [await collected(refs[0]), await collected(refs[1])].filter(Boolean).length;
      console.log(JSON.stringify({ gone }), run === undefined ? '' : '');
    `);
    expect(gone).toBe(2);
  });

  it('by a source of the tokens it has replaced, and of the last one after a sign-out', async () => {
    const { gone } = await measure(`
      const tokens = createTokenSource({ token: { secret: 1 }, refresh: async () => ({ secret: 2 }) });
      const refs = await (async () => {
        const first = await tokens.get();
        const second = await tokens.renew(first);
        return [new WeakRef(first.token), new WeakRef(second.token)];
      })();
      const [first] = [await collected(refs[0])];
      await tokens.clear();
      console.log(JSON.stringify({ gone: first + (await collected(refs[1])) }), tokens.refreshing ? '' : '');
    `);
    expect(gone).toBe(2);
  });
});
