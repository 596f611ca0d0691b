import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromiumKind, firefoxKind, webkitKind, type BrowserKind } from '../browser/browsers.ts';
import type { Way } from './bundle.ts';
import type { PageApi } from './page.ts';
import type { Result } from './suite-names.ts';

const installed = join(import.meta.dirname, 'node_modules');

export interface Runtime {
  name: string;
  way: Way;
  /** The major version of p-retry that is installed with the package. */
  retry: 7 | 8 | 9;
  isThere: boolean;
  /** How it gets here. */
  install: string;
  /** Runs the suite, except tests of which `isAbsent` says that nothing they need is there. */
  run(options: RunOptions): Promise<void>;
}

export interface RunOptions {
  /** The file of the suite. */
  suite: string;
  /** The origin that serves the same as a page. */
  desk: string;
  isAbsent: (name: string) => boolean;
  /** Called once, with the version of the runtime. */
  onVersion: (version: string) => void;
  onResult: (result: Result) => void;
}

/** How all gets here but the browsers. */
export const INSTALL = 'npm ci --prefix test/runtimes';

/** A runtime that is a command, whose last argument is a file. */
function processRuntime(
  name: string,
  [command, ...args]: [string, ...string[]],
  retry: Runtime['retry'],
  way: Way = 'import',
): Runtime {
  return {
    name,
    way,
    retry,
    isThere: existsSync(command),
    install: INSTALL,
    async run({ suite, onVersion, onResult }) {
      const child = spawn(command, [...args, suite], {
        cwd: dirname(suite),
        stdio: ['ignore', 'pipe', 'inherit'],
        // Of the dependencies of axios.
        env: { ...process.env, NODE_NO_WARNINGS: '1' },
        timeout: 600_000,
      });
      try {
        for await (const line of createInterface(child.stdout)) {
          const told = JSON.parse(line) as Result | { version: string };
          if ('version' in told) onVersion(told.version);
          else onResult(told);
        }
      } finally {
        child.kill();
      }
    },
  };
}

function browserRuntime(kind: BrowserKind): Runtime {
  return {
    name: kind.name,
    way: 'bundle',
    retry: 9,
    isThere: kind.isThere,
    install: `apt-get install -y --no-install-recommends ${kind.install}`,
    async run({ desk, isAbsent, onVersion, onResult }) {
      const browser = await kind.launch();
      try {
        const tab = await browser.openTab(`${desk}/`);
        const agent = await tab.call<string>('version');
        onVersion(/(?:Chrome|Firefox|Version)\/([\d.]+)/.exec(agent)![1]!);
        for (const name of await tab.call<string[]>('names')) {
          if (!isAbsent(name)) onResult(await tab.call<Result>('run', name));
        }
      } finally {
        await browser.close();
      }
    },
  };
}

/** Cloudflare's runtime, without what it has of Node's. Each test is a request of its own. */
const workerd: Runtime = {
  name: 'workerd',
  way: 'bundle',
  retry: 9,
  isThere: existsSync(join(installed, 'miniflare')),
  install: INSTALL,
  async run({ suite, isAbsent, onVersion, onResult }) {
    const require = createRequire(join(installed, 'index.js'));
    const { Miniflare } = require('miniflare') as MiniflareModule;
    const { version } = JSON.parse(
      readFileSync(join(installed, 'workerd/package.json'), 'utf8'),
    ) as { version: string };
    const miniflare = new Miniflare({
      modules: true,
      compatibilityDate: '2026-04-01',
      unsafeEvalBinding: 'unsafeEval',
      script: `${WORKER}\nfunction load() {${readFileSync(suite, 'utf8')}}`,
    });
    const call = async <Method extends keyof PageApi>(method: Method, arg?: string) => {
      const url = `http://localhost/?${new URLSearchParams({ method, ...(arg && { arg }) })}`;
      const response = await miniflare.dispatchFetch(url);
      return (await response.json()) as Awaited<ReturnType<PageApi[Method]>>;
    };
    try {
      onVersion(version);
      for (const name of await call('names')) {
        if (!isAbsent(name)) onResult(await call('run', name));
      }
    } finally {
      await miniflare.dispose();
    }
  },
};

/** Loads the suite in a request, because outside of one a worker has no timers. */
const WORKER = `let isLoaded = false;
export default {
  async fetch(request, { unsafeEval }) {
    globalThis.compile = (...parts) => unsafeEval.newAsyncFunction(parts.pop(), 'code', ...parts);
    if (!isLoaded) load();
    isLoaded = true;
    const { searchParams } = new URL(request.url);
    return Response.json(await pageApi[searchParams.get('method')](searchParams.get('arg')));
  },
};`;

interface MiniflareModule {
  Miniflare: new (options: object) => {
    dispatchFetch(url: string): Promise<Response>;
    dispose(): Promise<void>;
  };
}

const node = (major: 22 | 24 | 26): [string] => [join(installed, `node${major}/bin/node`)];

/** Its install script, where it has run, has moved it. */
const bun =
  [join(installed, '@oven/bun-linux-x64/bin/bun'), join(installed, 'bun/bin/bun.exe')].find(
    existsSync,
  ) ?? join(installed, 'bun');

const deno = join(installed, '@deno/linux-x64-glibc/deno');

const own = `Node ${process.versions.node.split('.')[0]}`;

/** With the p-retry that npm installs there, 7 before Node 22 and then 9; and with 8 once. */
export const runtimes: Runtime[] = [
  processRuntime(own, [process.execPath], 7),
  processRuntime(own, [process.execPath], 7, 'require'),
  processRuntime('Node 22', node(22), 8),
  processRuntime('Node 24', node(24), 9),
  processRuntime('Node 24', node(24), 9, 'require'),
  processRuntime('Node 26', node(26), 9),
  processRuntime('Bun', [bun, 'run'], 9),
  processRuntime('Deno', [deno, 'run', '--allow-all', '--node-modules-dir=manual'], 9),
  workerd,
  browserRuntime(chromiumKind),
  browserRuntime(firefoxKind),
  browserRuntime(webkitKind),
];
