import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTokenSource, type RefreshContext, type TokenSource } from '../../src/index.ts';
import { axiosClients, fetchClient, kyClients } from '../adapters/contract/clients.ts';
import { ACCESS_TOKEN_TTL, CLIENT_ID, startProvider, type Tokens } from './oidc-provider.ts';

let provider: Awaited<ReturnType<typeof startProvider>>;
let signedIn: Tokens;

beforeAll(async () => {
  provider = await startProvider();
});

afterAll(() => provider.close());

beforeEach(async () => {
  // Only the clock is ours: it decides when a token expires, at the provider too.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  signedIn = await provider.signIn();
  Object.assign(provider.counts, { refreshes: 0, revocations: 0, refusals: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Beyond the tolerance that the provider has for clocks. */
const expire = () => vi.setSystemTime(Date.now() + (ACCESS_TOKEN_TTL + 30) * 1000);

type Context = RefreshContext<Tokens>;

/** `refresh` as a user writes it, by hand and with the libraries of the field. */
const ways: [string, () => Promise<(context: Context) => Promise<Tokens>>][] = [
  [
    'fetch',
    async () =>
      async ({ token, signal }) => {
        const response = await fetch(`${provider.issuer}/token`, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            client_id: CLIENT_ID,
            refresh_token: token.refresh_token,
          }),
          signal,
        });
        if (!response.ok) throw new Error('refresh failed', { cause: response });
        return (await response.json()) as Tokens;
      },
  ],
  [
    'openid-client',
    async () => {
      const config = await openid.discovery(
        new URL(provider.issuer),
        CLIENT_ID,
        undefined,
        openid.None(),
        { execute: [openid.allowInsecureRequests] },
      );
      return async ({ token }) =>
        (await openid.refreshTokenGrant(config, token.refresh_token)) as unknown as Tokens;
    },
  ],
  [
    'oauth4webapi',
    async () => {
      const insecure = { [oauth.allowInsecureRequests]: true };
      const issuer = new URL(provider.issuer);
      const discovered = await oauth.discoveryRequest(issuer, insecure);
      const server = await oauth.processDiscoveryResponse(issuer, discovered);
      const client = { client_id: CLIENT_ID };
      return async ({ token, signal }) => {
        const response = await oauth.refreshTokenGrantRequest(
          server,
          client,
          oauth.None(),
          token.refresh_token,
          { ...insecure, signal },
        );
        const tokens = await oauth.processRefreshTokenResponse(server, client, response);
        return tokens as unknown as Tokens;
      };
    },
  ],
];

/** 100 requests over three expiries, staggered, by this client. */
async function sendHundred(client: typeof fetchClient, tokens: TokenSource<Tokens>) {
  const send = client.wrap(provider.issuer, tokens as never);
  const statuses: number[] = [];
  for (const count of [34, 33, 33]) {
    expire();
    const answers = Array.from({ length: count }, async (_, n) => {
      await new Promise((resolve) => {
        setTimeout(resolve, n * 3);
      });
      return (await send('/me')).status;
    });
    statuses.push(...(await Promise.all(answers)));
  }
  return statuses;
}

describe.each(ways)('oidc-provider, refreshed by %s', (_, way) => {
  it.each([
    ['as its `expires_in` says', {}],
    ['only when it answers 401', { expiresAt: () => undefined }],
  ])(
    '%s: 100 staggered requests over three expiries are three refreshes',
    async (_when, options) => {
      const tokens = createTokenSource<Tokens>({
        token: signedIn,
        refresh: await way(),
        ...options,
      });
      const statuses = await sendHundred(fetchClient, tokens);
      expect(statuses).toEqual(Array.from({ length: 100 }, () => 200));
      expect(provider.counts).toMatchObject({ refreshes: 3, revocations: 0 });
      expect((await tokens.get()).token.refresh_token).not.toBe(signedIn.refresh_token);
      if (!('expiresAt' in options)) expect(provider.counts.refusals).toBe(0);
      else expect(provider.counts.refusals).toBeGreaterThanOrEqual(3);
    },
  );

  it('learns from its error that the session is over', async () => {
    const refresh = await way();
    const onSessionExpired = vi.fn();
    const tokens = createTokenSource<Tokens>({
      token: signedIn,
      refresh,
      onSessionExpired,
    });
    // Somebody else used the refresh token: the next use revokes the grant.
    await refresh({ token: signedIn, signal: new AbortController().signal });
    const send = fetchClient.wrap(provider.issuer, tokens as never);
    expire();
    const outcome = send('/me').catch((error: unknown) => error);
    expect(await outcome).toMatchObject({ name: 'SessionExpiredError', code: 'SESSION_EXPIRED' });
    expect(onSessionExpired).toHaveBeenCalledTimes(1);
    expect(provider.counts.revocations).toBe(1);
  });
});

describe.each([...axiosClients, ...kyClients])('oidc-provider, called by $name', (client) => {
  it('100 staggered requests over three expiries are three refreshes', async () => {
    const refresh = await ways[0]![1]();
    const tokens = createTokenSource<Tokens>({
      token: signedIn,
      refresh,
      expiresAt: () => undefined,
    });
    const statuses = await sendHundred(client, tokens);
    expect(statuses).toEqual(Array.from({ length: 100 }, () => 200));
    expect(provider.counts).toMatchObject({ refreshes: 3, revocations: 0 });
  });
});
