import { beforeAll, describe, expect, it } from 'vitest';
import { bundle, sizes } from './sizes.ts';

let measured: Map<string, number>;

beforeAll(async () => {
  measured = new Map(
    (await sizes()).map(({ names, from, bytes }) => [`${names} of ${from}`, bytes]),
  );
});

describe('The package is small: minified, brotli, in bytes', () => {
  it.each([
    ['singleFlight, FlightGroup of oneflight', 700],
    ['withTokenRefresh of oneflight/fetch', 1200],
    ['withTokenRefresh of oneflight/axios', 1200],
    ['withTokenRefresh of oneflight/ky', 1200],
    ['createTokenSource, withTokenRefresh of both', 3900],
    // Beside the token source.
    ['sharedTokens of oneflight', 1650],
    // Beside both.
    ['browserTokens of oneflight/browser', 2000],
    ['redisTokens of oneflight/redis', 2000],
    ['postgresTokens of oneflight/postgres', 2000],
  ])('%s: at most %i', (names, budget) => {
    expect(measured.get(names)).toBeGreaterThan(100);
    expect(measured.get(names)).toBeLessThanOrEqual(budget);
  });

  it.each(['singleFlight', 'FlightGroup'])(
    '%s brings no token code and no p-retry',
    async (name) => {
      const { text, inputs } = await bundle(`export { ${name} } from 'oneflight'`);
      expect(inputs.filter((input) => input.includes('node_modules'))).toEqual([]);
      expect(text).not.toMatch(/import|retry|token|credential|session/i);
    },
  );

  it('the token source does bring p-retry, so that the test above can fail', async () => {
    const { inputs } = await bundle("export { createTokenSource } from 'oneflight'");
    expect(inputs.filter((input) => input.includes('node_modules/p-retry'))).toHaveLength(1);
  });

  it.each(['fetch', 'axios', 'ky'])('the %s adapter brings no token source', async (name) => {
    const { text, inputs } = await bundle(`export { withTokenRefresh } from 'oneflight/${name}'`);
    expect(inputs.filter((input) => input.includes('node_modules'))).toEqual([]);
    expect(text).not.toContain('SESSION_EXPIRED');
  });
});
