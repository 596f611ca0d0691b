/** The answer that made a refresh fail, in the type of the client that got it; empty where there was none. */
export interface FailedAnswer {
  readonly status?: number;
  readonly headers?: any;
}

/**
 * What a refresh threw, read as HTTP: axios, ky, ofetch and `new Error('…', { cause: response })`. An
 * answer below 400 is not what made it fail: it broke off, or there was no token in it.
 */
export function answerOf(error: any): FailedAnswer {
  try {
    return [error.response, error.cause, error].find((each) => each?.status >= 400) ?? {};
  } catch {
    // It does not let itself be read: it is nothing, a getter throws, or it is a revoked proxy.
    return {};
  }
}

/** The refresh token is no good any more: RFC 6749 §5.2 answers 400 or 401, gateways 403. */
export function isFinalFailure(error: unknown): boolean {
  return [400, 401, 403].includes(answerOf(error).status!);
}

/** Trying again may help. No status at all means that no answer came: the network. */
export function isTransient({ status }: FailedAnswer): boolean {
  return !(status! < 500) || status === 408 || status === 429;
}

/** Milliseconds to wait before the next attempt, as `Retry-After` asks for (RFC 9110 §10.2.3). 0 without one. */
export function retryAfter({ headers }: FailedAnswer): number {
  const value = headers?.get?.('retry-after') ?? headers?.['retry-after'];
  return Math.max(value * 1000 || Date.parse(value) - Date.now() || 0, 0);
}
