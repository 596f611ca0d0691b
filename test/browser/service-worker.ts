/** What a service worker does that sends a token with each request of its pages to `/api/`. */
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource } from '../../src/index.ts';

declare const self: {
  addEventListener(type: string, listener: (event: any) => void): void;
  skipWaiting(): void;
  clients: { claim(): Promise<void> };
};

const api = withTokenRefresh(
  fetch,
  createTokenSource({
    token: 'expired',
    refresh: async () => (await fetch('/token', { method: 'POST' })).text(),
  }),
);

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (new URL(request.url).pathname.startsWith('/api/')) event.respondWith(api(request));
});
