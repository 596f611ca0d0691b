import type { ContractServer } from '../../shared/contract/contract.ts';

/** A server of the contract in the process of the tests, asked over HTTP at the page's own origin. */
export async function startServer(): Promise<ContractServer> {
  const { id, origin } = await ask('start');
  return {
    origin,
    async signIn() {
      const { session, token } = await ask('signIn', id);
      return { token, session: () => ask('session', id, session) };
    },
    scriptRefreshes: (...answers) => ask('scriptRefreshes', id, ...answers),
    async holdRefreshes() {
      await ask('holdRefreshes', id);
      return () => ask('releaseRefreshes', id);
    },
    arrival: () => ask('arrival', id),
    close: () => ask('close', id),
  };
}

async function ask(method: string, ...args: unknown[]): Promise<any> {
  const response = await fetch(`/ask/${method}`, { method: 'POST', body: JSON.stringify(args) });
  return response.json();
}
