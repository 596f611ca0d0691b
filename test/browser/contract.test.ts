import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { listen } from '../loopback.ts';
import type { ContractServer } from '../shared/contract/contract.ts';
import { startServer } from '../shared/contract/server.ts';
import { bundle, isAbsent, wantedKinds, type Browser, type Tab } from './browsers.ts';

/** The contract that every engine keeps (`test/shared/contract`), as it is, in a page. */
const script = await bundle(join(import.meta.dirname, 'contract/page.ts'), {
  alias: { vitest: join(import.meta.dirname, '../stand-in.ts') },
  // Never used in a page.
  external: ['./server.ts'],
});

/** Its tests have names of their own, which are known before there is a page. */
const names = await namesOf(script);

for (const kind of wantedKinds) {
  describe.skipIf(isAbsent(kind))(`Tokens shared in ${kind.name}`, () => {
    let browser: Browser;
    let tab: Tab;
    let desk: Awaited<ReturnType<typeof openDesk>>;

    beforeAll(async () => {
      desk = await openDesk();
      browser = await kind.launch();
      tab = await browser.openTab(`${desk.origin}/page`);
    });

    afterAll(async () => {
      await browser?.close();
      await desk?.close();
    });

    it.each(names)('%s', (name) => tab.call('run', name));
  });
}

async function namesOf(code: string): Promise<string[]> {
  await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const { pageApi } = globalThis as unknown as { pageApi: { names(): Promise<string[]> } };
  return pageApi.names();
}

/** Serves the page, and does for it what only this process can: start servers, and ask them. */
async function openDesk() {
  const servers: ContractServer[] = [];
  const sessions: (() => Promise<unknown>)[] = [];
  const releases = new Map<number, () => Promise<void>>();
  const methods: Record<string, (id: number, ...args: any[]) => unknown> = {
    async start() {
      const server = await startServer({ headers: { 'access-control-allow-origin': '*' } });
      return { id: servers.push(server) - 1, origin: server.origin };
    },
    async signIn(id) {
      const { token, session } = await servers[id]!.signIn();
      return { token, session: sessions.push(session) - 1 };
    },
    session: (_, session: number) => sessions[session]!(),
    scriptRefreshes: (id, ...answers) => servers[id]!.scriptRefreshes(...answers),
    async holdRefreshes(id) {
      releases.set(id, await servers[id]!.holdRefreshes());
    },
    releaseRefreshes: (id) => releases.get(id)!(),
    arrival: (id) => servers[id]!.arrival(),
    close: (id) => servers[id]!.close(),
  };
  const { origin, close } = await listen((request, response) => {
    const [, method] = /^\/ask\/(\w+)$/.exec(request.url!) ?? [];
    if (method) {
      void text(request)
        .then((body) => methods[method]!(...(JSON.parse(body) as [number])))
        .then((answer) => response.end(JSON.stringify(answer ?? null)));
    } else {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(`<!doctype html><title>page</title><script>${script}</script>`);
    }
  });
  return {
    origin,
    async close() {
      await close();
      for (const server of servers) await server.close();
    },
  };
}
