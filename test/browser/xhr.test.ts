import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  startAuthorizationServer,
  type AuthorizationServer,
  type ServerSession,
} from '../authorization-server.ts';
import type { PageApi } from './page.ts';

declare const pageApi: PageApi;

const CHROMIUM = '/usr/bin/chromium';
const isAbsent = !existsSync(CHROMIUM);
if (isAbsent) console.warn('SKIPPED: no Chromium here. apt-get install -y chromium');

let browser: Browser;
let bundle: string;
let server: AuthorizationServer;
let session: ServerSession;
let page: Page;

// Under CI, absence is a failure: the launch fails.
describe.skipIf(isAbsent && !process.env['CI'])('In Chromium', () => {
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [join(import.meta.dirname, 'page.ts')],
      bundle: true,
      write: false,
      format: 'iife',
      platform: 'browser',
      target: 'es2022',
    });
    bundle = outputFiles[0]!.text;
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  });

  afterAll(() => browser?.close());

  beforeEach(async () => {
    server = await startAuthorizationServer();
    page = await browser.newPage();
    await page.route('**/page', (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>page</title>' }),
    );
    await page.goto(`${server.origin}/page`);
    await page.addScriptTag({ content: bundle });
    const signedIn = server.signIn();
    session = signedIn.session;
    await page.evaluate((token) => pageApi.open(token), signedIn.token);
    server.expireAccessTokens();
  });

  afterEach(async () => {
    await page.close();
    await server.close();
  });

  it('one refresh serves XMLHttpRequest, fetch and ky, whose 401s come staggered', async () => {
    const paths = await page.evaluate(() => pageApi.burst(30));
    expect(paths).toEqual(Array.from({ length: 30 }, (_, n) => `/api/${n}`));
    expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 30 });
  });

  it('axios over XMLHttpRequest replays a body whole, and reports progress', async () => {
    const answer = await page.evaluate(() =>
      pageApi.request({ url: '/api/me', method: 'post', data: { text: 'x'.repeat(50_000) } }),
    );
    expect(answer).toMatchObject({ status: 200, isXhr: true });
    expect(answer.up).toBeGreaterThan(50_000);
    expect(answer.down).toBeGreaterThan(50_000);
    expect(JSON.parse(answer.text)).toMatchObject({ type: 'application/json' });
    expect(server.paths()).toEqual(['/api/me', '/api/me']);
  });

  it('axios over XMLHttpRequest gives a Blob when one is asked for', async () => {
    const answer = await page.evaluate(() =>
      pageApi.request({ url: '/api/me', responseType: 'blob' }),
    );
    expect(JSON.parse(answer.text)).toMatchObject({ path: '/api/me' });
    expect(session.refreshes).toBe(1);
  });

  it('axios over XMLHttpRequest rejects with the refused answer when there is no token', async () => {
    server.scriptRefreshes(400);
    expect(await page.evaluate(() => pageApi.fail({ url: '/api/me' }))).toEqual({
      name: 'SessionExpiredError',
      code: 'SESSION_EXPIRED',
      status: 401,
    });
  });

  it('axios over XMLHttpRequest leaves at once when it is aborted; the refresh lands', async () => {
    const release = server.holdRefreshes();
    const outcome = await page.evaluate(() => pageApi.fail({ url: '/api/me' }, true));
    expect(outcome).toMatchObject({ name: 'CanceledError', code: 'ERR_CANCELED' });
    release();
    expect(await page.evaluate(() => pageApi.burst(3))).toHaveLength(3);
    expect(session).toMatchObject({ alive: true, refreshes: 1 });
    expect(server.paths()).toHaveLength(4);
  });

  it('axios over XMLHttpRequest: a redirect to another origin takes no token along', async () => {
    const foreign = await startAuthorizationServer();
    const outcome = await page.evaluate(
      (url) => pageApi.fail({ url }),
      `/redirect?to=${encodeURIComponent(`${foreign.origin}/api/me`)}`,
    );
    // Without CORS headers the answer stays hidden: a network error, not a refusal.
    expect(outcome).toMatchObject({ name: 'AxiosError', code: 'ERR_NETWORK' });
    for (const { headers } of foreign.log) expect(headers.authorization).toBe(undefined);
    expect(session.refreshes).toBe(0);
    await foreign.close();
  });
});
