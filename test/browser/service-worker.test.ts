import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listen } from '../loopback.ts';
import { bundle, isAbsent, wantedKinds, type Browser, type Tab } from './browsers.ts';

const worker = await bundle(join(import.meta.dirname, 'service-worker.ts'));

/** The page, which knows of no token. */
const PAGE = `<!doctype html><title>page</title><body><script>
globalThis.pageApi = {
  async install() {
    const { serviceWorker } = navigator;
    const isControlled = new Promise((resolve) => {
      serviceWorker.addEventListener('controllerchange', resolve);
    });
    await serviceWorker.register('/worker.js');
    if (!serviceWorker.controller) await isControlled;
  },
  async send(init) {
    const response = await fetch('/api/me', init);
    return [response.status, await response.text()];
  },
  async open(path) {
    const frame = document.createElement('iframe');
    frame.src = path;
    document.body.append(frame);
    await new Promise((resolve) => { frame.onload = resolve; });
    return frame.contentDocument.body.textContent;
  },
};
</script>`;

for (const kind of wantedKinds) {
  // Whose headers cannot be changed: https://w3c.github.io/ServiceWorker/#handle-fetch
  describe.skipIf(isAbsent(kind))(`Requests that a service worker is given in ${kind.name}`, () => {
    let browser: Browser;
    let tab: Tab;
    let desk: Awaited<ReturnType<typeof listen>>;
    let log: string[];
    let good = 1;

    beforeAll(async () => {
      desk = await listen((request, response) => {
        const { method, url, headers } = request;
        if (url === '/worker.js') {
          response.setHeader('content-type', 'text/javascript');
          response.end(worker);
        } else if (url === '/token') {
          response.end(`good-${good}`);
        } else if (url!.startsWith('/api/')) {
          log.push(`${method} ${headers['x-own']} ${headers.authorization}`);
          response.statusCode = headers.authorization === `Bearer good-${good}` ? 200 : 401;
          void text(request).then((body) => response.end(`answer to ${body}`));
        } else {
          response.setHeader('content-type', 'text/html');
          response.end(PAGE);
        }
      });
      browser = await kind.launch();
      tab = await browser.openTab(`${desk.origin}/page`);
      await tab.call('install');
    });

    beforeEach(() => {
      log = [];
      good++;
    });

    afterAll(async () => {
      await browser?.close();
      await desk?.close();
    });

    it('get the token, keep their own headers, and are replayed', async () => {
      expect(await tab.call('send', { headers: { 'x-own': '1' } })).toEqual([200, 'answer to ']);
      expect(log).toEqual([expect.stringMatching(/^GET 1 /), `GET 1 Bearer good-${good}`]);
    });

    it('are replayed with their body', async () => {
      const init = { method: 'POST', body: 'text', headers: { 'x-own': '1' } };
      expect(await tab.call('send', init)).toEqual([200, 'answer to text']);
      expect(log).toEqual([expect.stringMatching(/^POST 1 /), `POST 1 Bearer good-${good}`]);
    });

    it('get the token when they navigate, too', async () => {
      expect(await tab.call('open', '/api/page')).toBe('answer to ');
      expect(log.at(-1)).toBe(`GET undefined Bearer good-${good}`);
    });
  });
}
