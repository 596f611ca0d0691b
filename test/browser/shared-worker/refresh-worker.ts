/** A SharedWorker that refreshes for the pages of an origin: a refresh outlives the tab that began it. */
import { createTokenSource, type TokenRefreshError } from '../../../src/index.ts';
import { browserTokens } from '../../../src/realms/browser.ts';
import { refreshAt, type TokenResponse } from '../../token-endpoint.ts';

const openSource = () =>
  createTokenSource<TokenResponse>({
    shared: browserTokens({
      name: 'session',
      // The store of the pages, and locks of its own: a page holds its lock while it asks.
      locks: {
        request: (name, options, callback) =>
          navigator.locks.request(`${name}:worker`, options, callback),
      },
    }),
    refresh: refreshAt(location.origin),
    retry: { retries: 0 },
  });

/** A newer token than the one that a page has; or the status that its own refresh would have met. */
async function newerThan(token: TokenResponse | undefined) {
  // A source of its own knows nothing but what is stored now. Of many, the locks let one refresh.
  const tokens = openSource();
  try {
    let credential = await tokens.get();
    if (credential.token.refresh_token === token?.refresh_token) {
      credential = await tokens.renew(credential);
    }
    return { token: credential.token };
  } catch (error) {
    const { name, response } = error as TokenRefreshError & { response?: { status: number } };
    return { status: response?.status ?? (name === 'SessionExpiredError' ? 401 : 503) };
  } finally {
    tokens.close();
  }
}

globalThis.addEventListener('connect', (event) => {
  const [page] = (event as MessageEvent).ports;
  page!.addEventListener('message', ({ data, ports: [reply] }) => {
    void newerThan(data).then((answer) => reply!.postMessage(answer));
  });
  page!.start();
});
