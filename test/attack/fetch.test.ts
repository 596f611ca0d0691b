import { describe, expect, it, vi } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource } from '../../src/index.ts';

describe('the fetch adapter', () => {
  it('does not ask isRefused about an answer of another origin', async () => {
    const tokens = createTokenSource<string>({
      token: 'first',
      refresh: () => 'next',
    });
    const fetch = async (_input: unknown) => {
      const response = new Response('<html>', { status: 200 });
      Object.defineProperties(response, {
        redirected: { value: true },
        url: { value: 'https://login.example.net/' },
      });
      return response;
    };
    const api = withTokenRefresh(fetch, tokens, {
      allowedOrigins: ['https://api.example.com'],
      isRefused: async (response) => (await response.clone().json()).code === 'expired',
    });
    expect(await (await api('https://api.example.com/me')).text()).toBe('<html>');
  });

  it('sends a Request without an init of its own', async () => {
    const tokens = createTokenSource<string>({
      token: 'first',
      refresh: () => 'next',
    });
    const fetch = vi.fn(async (_input: any, _init?: RequestInit) => new Response(''));
    const api = withTokenRefresh(fetch, tokens, {
      allowedOrigins: ['https://api.example.com'],
    });
    await api(new Request('https://api.example.com/me'));
    expect(fetch.mock.calls[0]![1]).toBe(undefined);
  });
});
