import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { build, type BuildOptions } from 'esbuild';
import puppeteer, { type CDPSession, type LaunchOptions, type Page } from 'puppeteer-core';

/** One tab, whose page has a global `pageApi`. */
export interface Tab {
  /** Calls a method of `pageApi`. Any number of calls may run at a time. */
  call<Result>(method: string, ...args: unknown[]): Promise<Result>;
  close(): Promise<void>;
  /** Resolves when the page is loaded again. */
  reload(): Promise<void>;
  /** Kills the process of the page. */
  crash?(): Promise<void>;
  /** Stops all tasks of the page, as a browser does to save power; or lets them go on. */
  freeze?(isFrozen: boolean): Promise<void>;
  /** Goes to another page, while this one is kept (bfcache)... */
  leave?(url: string): Promise<void>;
  /** ...and back to this one. */
  back?(): Promise<void>;
  /** Deletes the databases of the origin, whoever has them open: all data would split Chromium's locks. */
  clear?(): Promise<void>;
}

/** A browser, as the tests need it. Tabs share their storage. */
export interface Browser {
  openTab(url: string): Promise<Tab>;
  close(): Promise<void>;
}

export interface BrowserKind {
  name: string;
  /** Whether it is installed. */
  isThere: boolean;
  /** How it gets here. */
  install: string;
  /** A host that leads to loopback and is no secure context. `undefined` where none can be made up. */
  insecureHost?: string;
  /** What its tabs can beside. */
  can: ('back' | 'crash' | 'freeze' | 'clear')[];
  launch(): Promise<Browser>;
}

const INSECURE_HOST = 'app.test';

const CHROMIUM = '/usr/bin/chromium';
export const CHROMIUM_ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** With background tabs that are hidden, as a user's are: Playwright keeps them all in front. */
async function launchPuppeteer(options: LaunchOptions): Promise<Browser> {
  const browser = await puppeteer.launch({ headless: true, ...options });
  return {
    async openTab(url) {
      const page = await browser.newPage();
      await page.goto(url);
      const isChromium = options.browser === 'chrome';
      // What runs in a page that crashes would never end.
      const crash = new Promise<never>((_, reject) => {
        page.once('error', reject);
      });
      crash.catch(() => {});
      return {
        call: <Result>(method: string, ...args: unknown[]) =>
          Promise.race([page.evaluate(CALL, { method, args }) as Promise<Result>, crash]),
        close: () => Promise.race([page.close(), crash]),
        reload: async () => {
          await page.reload();
        },
        leave: async (to) => {
          await page.goto(to);
        },
        async back() {
          // A page that was kept does not load again, which `goBack` would wait for.
          await page.evaluate('history.back()');
          const isBack = () => page.evaluate(`location.href === ${JSON.stringify(url)}`);
          await until(async () => (await isBack().catch(() => false)) === true);
        },
        ...(isChromium && chromiumTab(page, url, await page.createCDPSession())),
      };
    },
    close: () => browser.close(),
  };
}

const chromiumTab = (page: Page, url: string, session: CDPSession) => ({
  async crash() {
    const crashed = new Promise((resolve) => {
      page.once('error', resolve);
    });
    // Nobody is left to answer.
    session.send('Page.crash').catch(() => {});
    await crashed;
  },
  async freeze(isFrozen: boolean) {
    const state = isFrozen ? 'frozen' : 'active';
    // Only what is hidden can be frozen.
    if (isFrozen) await (await page.browser().newPage()).close();
    await session.send('Page.setWebLifecycleState', { state });
  },
  async clear() {
    const { origin } = new URL(url);
    // With all kinds of data, tabs that have used locks no longer share them with those that have not.
    await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
  },
});

export const chromiumKind: BrowserKind = {
  name: 'Chromium',
  isThere: existsSync(CHROMIUM),
  install: 'chromium',
  insecureHost: INSECURE_HOST,
  can: ['back', 'crash', 'freeze', 'clear'],
  launch: () =>
    launchPuppeteer({
      browser: 'chrome',
      executablePath: CHROMIUM,
      args: [...CHROMIUM_ARGS, `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`],
    }),
};

const FIREFOX = '/usr/bin/firefox-esr';

export const firefoxKind: BrowserKind = {
  name: 'Firefox',
  isThere: existsSync(FIREFOX),
  install: 'firefox-esr',
  insecureHost: INSECURE_HOST,
  can: ['back'],
  launch: () =>
    launchPuppeteer({
      browser: 'firefox',
      executablePath: FIREFOX,
      extraPrefsFirefox: { 'network.dns.localDomains': INSECURE_HOST },
    }),
};

const WEBKIT_DRIVER = '/usr/bin/WebKitWebDriver';
const MINI_BROWSER = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser';

/** WebKitGTK by plain WebDriver, which does one thing at a time: calls begin, and are asked for later. */
export const webkitKind: BrowserKind = {
  name: 'WebKitGTK',
  isThere: [WEBKIT_DRIVER, MINI_BROWSER, '/usr/bin/Xvfb'].every((path) => existsSync(path)),
  install: 'webkit2gtk-driver xvfb',
  // Its tabs share one process.
  can: [],
  async launch() {
    const display = await startXvfb();
    const port = 20_000 + (process.pid % 20_000);
    const driver = spawn(WEBKIT_DRIVER, [`--port=${port}`, '--host=127.0.0.1'], {
      stdio: 'ignore',
      env: {
        ...process.env,
        DISPLAY: `:${display.number}`,
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
        WEBKIT_DISABLE_COMPOSITING_MODE: '1',
        WEBKIT_DISABLE_DMABUF_RENDERER: '1',
        LIBGL_ALWAYS_SOFTWARE: '1',
        NO_AT_BRIDGE: '1',
      },
    });
    const send = async (method: string, path: string, body?: unknown): Promise<any> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        ...(body !== undefined && {
          body: JSON.stringify(body),
          headers: { 'content-type': 'application/json' },
        }),
        signal: AbortSignal.timeout(30_000),
      });
      const { value } = (await response.json()) as { value: any };
      if (!response.ok) throw new Error(`${path}: ${JSON.stringify(value).slice(0, 300)}`);
      return value;
    };
    await until(() =>
      send('GET', '/status').then(
        () => true,
        () => false,
      ),
    );
    const { sessionId } = await send('POST', '/session', {
      capabilities: {
        alwaysMatch: {
          'webkitgtk:browserOptions': { binary: MINI_BROWSER, args: ['--automation'] },
        },
      },
    });
    const root = `/session/${sessionId}`;
    const first: string = await send('GET', `${root}/window`);
    let turn: Promise<unknown> = Promise.resolve();
    /** Does something in one window, with no other in between. */
    const inWindow = <Result>(handle: string, work: () => Promise<Result>): Promise<Result> => {
      const result = turn.then(async () => {
        await send('POST', `${root}/window`, { handle });
        return work();
      });
      turn = result.catch(() => {});
      return result;
    };
    const run = (script: string, ...args: unknown[]) =>
      send('POST', `${root}/execute/sync`, { script, args });
    return {
      async openTab(url) {
        const handle: string = await inWindow(first, async () => {
          const opened = await send('POST', `${root}/window/new`, { type: 'tab' });
          return opened.handle;
        });
        await inWindow(handle, () => send('POST', `${root}/url`, { url }));
        let isClosed = false;
        let calls = 0;
        return {
          async call<Result>(method: string, ...args: unknown[]) {
            const id = `call${++calls}`;
            const begin = `const [id, method, args] = arguments;
              window[id] = {};
              (${CALL.toString()})({ method, args }).then(
                (value) => Object.assign(window[id], { isDone: true, value }),
                (error) => Object.assign(window[id], { error: String(error) }),
              );`;
            await inWindow(handle, () => run(begin, id, method, args));
            for (;;) {
              if (isClosed) throw new Error('the tab is closed');
              const outcome = await inWindow(handle, () => run(`return window['${id}']`));
              if (!outcome) throw new Error('the page has been reloaded');
              if (outcome.error) throw new Error(outcome.error);
              if (outcome.isDone) return outcome.value as Result;
              await sleep(10);
            }
          },
          async close() {
            isClosed = true;
            await inWindow(handle, () => send('DELETE', `${root}/window`));
          },
          reload: () => inWindow(handle, () => send('POST', `${root}/refresh`, {})),
        };
      },
      async close() {
        await turn;
        await send('DELETE', root).catch(() => {});
        driver.kill();
        display.stop();
      },
    };
  },
};

/** All, or the one that `BROWSER` names. */
export const wantedKinds = [chromiumKind, firefoxKind, webkitKind].filter(
  ({ name }) => name === (process.env['BROWSER'] ?? name),
);

/** Whether to skip it, which is said aloud. Under CI, absence is a failure: the launch fails. */
export function isAbsent({ name, isThere, install }: BrowserKind): boolean {
  if (!isThere) console.warn(`SKIPPED: no ${name} here. apt-get install -y ${install}`);
  return !isThere && !process.env['CI'];
}

/** Runs in the page. */
const CALL = async ({ method, args }: { method: string; args: unknown[] }): Promise<unknown> =>
  (globalThis as any).pageApi[method](...args);

/** The code of a page or worker, in one script. */
export async function bundle(entry: string, options: BuildOptions = {}): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    ...options,
    write: false,
  });
  return outputFiles[0]!.text;
}

async function startXvfb() {
  for (let number = 80 + (process.pid % 100); ; number++) {
    if (existsSync(`/tmp/.X11-unix/X${number}`)) continue;
    const args = [`:${number}`, '-screen', '0', '1280x800x24', '-nolisten', 'tcp'];
    const server = spawn('/usr/bin/Xvfb', args, { stdio: 'ignore' });
    await until(async () => existsSync(`/tmp/.X11-unix/X${number}`));
    return { number, stop: () => server.kill() };
  }
}

async function until(is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await is()) return;
    await sleep(50);
  }
  throw new Error('did not happen within 10 seconds');
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });
}
