/** An OAuth token response (RFC 6749 §5.1). */
export interface TokenResponse {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  refresh_token: string;
}

/** Gets the next token response, as an app would. */
export function refreshAt(origin: string) {
  return async ({ token, signal }: { token: TokenResponse | undefined; signal?: AbortSignal }) => {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token?.refresh_token ?? '',
    });
    const response = await fetch(`${origin}/token`, {
      method: 'POST',
      body,
      signal: signal ?? null,
    });
    if (!response.ok) throw new Error('refresh failed', { cause: response });
    return (await response.json()) as TokenResponse;
  };
}
