import { startAuthorizationServer, type AuthorizationServer } from '../../authorization-server.ts';
import type { ContractServer } from './contract.ts';

/** The server of the contract, in this process. */
export async function startServer(
  options?: Parameters<typeof startAuthorizationServer>[0],
): Promise<ContractServer> {
  const server: AuthorizationServer = await startAuthorizationServer(options);
  return {
    origin: server.origin,
    async signIn() {
      const { session, token } = server.signIn();
      return { token, session: async () => session };
    },
    scriptRefreshes: async (...answers) => server.scriptRefreshes(...answers),
    async holdRefreshes() {
      const release = server.holdRefreshes();
      return async () => release();
    },
    arrival: () => server.arrival('refresh'),
    close: () => server.close(),
  };
}
