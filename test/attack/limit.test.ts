import { describe, expect, it } from 'vitest';
import { createTokenSource } from '../../src/index.ts';

describe('refreshLimit', () => {
  it('holds when its count is no whole number', async () => {
    const tokens = createTokenSource<string>({
      token: 'first',
      refresh: () => 'next',
      refreshLimit: { count: 2.5 },
    });
    const storm = async () => {
      for (let i = 0; i < 10; i++) await tokens.renew(await tokens.get());
    };
    await expect(storm()).rejects.toMatchObject({ code: 'REFRESH_LIMIT' });
  });
});
