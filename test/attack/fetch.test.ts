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

  it('sends a Request with nothing beside it that takes from it', async () => {
    const tokens = createTokenSource<string>({
      token: 'first',
      refresh: () => 'next',
    });
    const fetch = vi.fn(async (_input: any, _init?: RequestInit) => new Response(''));
    const api = withTokenRefresh(fetch, tokens, {
      allowedOrigins: ['https://api.example.com'],
    });
    for (const own of [
      {},
      { referrer: '', referrerPolicy: 'origin' },
      { mode: 'same-origin', cache: 'no-store', redirect: 'manual', keepalive: true },
    ] as RequestInit[]) {
      const request = new Request('https://api.example.com/me', own);
      await api(request);
      const sent = new Request(...fetch.mock.lastCall!);
      for (const name of ['referrer', 'referrerPolicy', 'mode', 'cache', 'redirect'] as const) {
        expect(sent[name]).toBe(request[name]);
      }
      expect(sent.keepalive).toBe(request.keepalive);
    }
  });
});
