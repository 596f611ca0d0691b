/** An OAuth token response as it comes (RFC 6749 §5.1). Other fields are kept as they are. */
export interface TokenResponse {
  access_token: string;
  /** Seconds from the moment the response was received. */
  expires_in?: number | string;
  refresh_token?: string;
}

function isTokenResponse(token: unknown): token is TokenResponse {
  const { access_token } = Object(token);
  return !!access_token && typeof access_token === 'string';
}

/**
 * The token to keep after a refresh. A token response without `refresh_token` keeps the old one
 * (RFC 6749 §6): the client that forgets it has lost the session.
 *
 * @throws {TypeError} When `next` is no token though `previous` was one: some servers answer an error
 *   with status 200.
 */
export function succeed<Token>(previous: Token | undefined, next: Token): Token {
  if (!isTokenResponse(previous)) {
    if (previous == null || (next ?? '') !== '') return next;
  } else if (isTokenResponse(next)) {
    return next.refresh_token ? next : { ...next, refresh_token: previous.refresh_token };
  }
  throw new TypeError('"refresh" must return a token');
}

/** When a token response expires, in epoch milliseconds; `undefined` for any other token. */
export function expiryOf(token: unknown, receivedAt: number): number | undefined {
  return (isTokenResponse(token) && receivedAt + Number(token.expires_in) * 1000) || undefined;
}
