import { createHash, randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';
import { listen } from '../loopback.ts';

/** How long an access token lives, in seconds. */
export const ACCESS_TOKEN_TTL = 60;

/** Public, as a browser's or a phone's. */
export const CLIENT_ID = 'app';
const REDIRECT_URI = 'http://127.0.0.1/callback';

/**
 * A certified OpenID provider on loopback. Refresh tokens rotate, and one that is used a second time
 * revokes the grant, at once and for ever.
 */
export async function startProvider() {
  const { server, origin: issuer, close } = await listen();
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT_ID,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [REDIRECT_URI],
      },
    ],
    scopes: ['openid', 'offline_access'],
    rotateRefreshToken: true,
    ttl: { AccessToken: ACCESS_TOKEN_TTL, RefreshToken: 1e6, Grant: 1e6, Session: 1e6 },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    cookies: { keys: ['loopback'] },
  });
  const handle = provider.callback();
  server.on('request', (request, response) => void handle(request, response));

  const counts = { refreshes: 0, revocations: 0, refusals: 0 };
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params?.['grant_type'] === 'refresh_token') counts.refreshes++;
  });
  provider.on('grant.revoked', () => counts.revocations++);
  provider.on('userinfo.error', () => counts.refusals++);

  return {
    issuer,
    counts,
    signIn: () => signIn(issuer),
    close,
  };
}

export interface Tokens {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** Signs a user in by the authorization code flow with PKCE: both forms filled in, as a browser would. */
async function signIn(issuer: string): Promise<Tokens> {
  const cookies = new Map<string, string>();
  const verifier = randomBytes(32).toString('base64url');
  const visit = async (location: string, form?: Record<string, string>): Promise<Response> => {
    const response = await fetch(new URL(location, issuer), {
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
      headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') },
      redirect: 'manual',
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, value] = cookie.split(';')[0]!.split('=') as [string, string];
      cookies.set(name, value);
    }
    const next = response.headers.get('location');
    return next && !next.startsWith(REDIRECT_URI) ? visit(next) : response;
  };

  const request = new URLSearchParams({
    client_id: CLIENT_ID,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid offline_access',
    prompt: 'consent',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const loginForm = await (await visit(`/auth?${request}`)).text();
  const action = (html: string) => /action="([^"]+)"/.exec(html)![1]!;
  const login = { prompt: 'login', login: 'ada', password: 'any' };
  const consentForm = await (await visit(action(loginForm), login)).text();
  const granted = await visit(action(consentForm), { prompt: 'consent' });
  const code = new URL(granted.headers.get('location')!).searchParams.get('code')!;
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: CLIENT_ID,
      redirect_uri: REDIRECT_URI,
      code,
      code_verifier: verifier,
    }),
  });
  return (await response.json()) as Tokens;
}
