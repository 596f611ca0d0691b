import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { writeProof } from '../proof.ts';

describe('A million flights and a hundred thousand refreshes, aborts and failures among them', () => {
  it('leave no memory, key, listener or timer behind, and the process ends by itself', async () => {
    const child = spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'soak.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const startedAt = performance.now();
    const exit = once(child, 'exit');
    const printed = await text(child.stdout);
    const left = JSON.parse(printed) as Record<string, number>;
    const printedAt = performance.now();
    expect((await exit)[0]).toBe(0);

    expect(left).toMatchObject({ flights: 1_000_000, keys: 0, listeners: 0, timers: 0 });
    expect(left['renewals']).toBeGreaterThanOrEqual(100_000);
    // Each way to end was taken.
    for (const way of ['settled', 'left', 'failed']) expect(left[way]).toBeGreaterThan(100_000);
    // Less than a byte for each.
    expect(left['growth']).toBeLessThan(1_000_000);
    const seconds = Math.round((printedAt - startedAt) / 1000);
    writeProof(
      'soak',
      `${left['flights']!.toLocaleString('en')} flights and ${left['renewals']!.toLocaleString('en')} refreshes in ${seconds} s:
${left['settled']!.toLocaleString('en')} callers got a value, ${left['failed']!.toLocaleString('en')} an error, ${left['left']!.toLocaleString('en')} left.
Left behind: ${Math.round(left['growth']! / 1000)} kB of heap, ${left['keys']} keys, ${left['listeners']} listeners, ${left['timers']} timers.
The process ended by itself.`,
    );
  }, 120_000);
});
