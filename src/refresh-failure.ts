/** What a refresh threw, read as HTTP: axios, ky, ofetch and `new Error('…', { cause: response })`. */
export interface Failure {
  /** Of the answer, where there was one: `error.response`, `error.cause`, or the error itself. */
  readonly status: number | undefined;
  /** The answer, in the type of the client that got it. */
  readonly response: { readonly headers: any } | undefined;
}

export function readFailure(error: unknown): Failure {
  const { response, cause } = Object(error);
  const answer = [response, cause, error].find((each) => each?.status > 0);
  return { status: answer?.status, response: answer?.headers && answer };
}

/** The refresh token is no good any more: RFC 6749 §5.2 answers 400 or 401, gateways 403. */
export function isFinalFailure(error: unknown): boolean {
  return [400, 401, 403].includes(readFailure(error).status!);
}

/** Trying again may help. No status at all means that no answer came: the network. */
export function isTransient({ status }: Failure): boolean {
  return !(status! < 500) || status === 408 || status === 429;
}

/** Milliseconds to wait before the next attempt, as `Retry-After` asks for (RFC 9110 §10.2.3). 0 without one. */
export function retryAfter({ response }: Failure): number {
  const { headers } = Object(response);
  const value = headers?.get ? headers.get('retry-after') : headers?.['retry-after'];
  return Math.max(value * 1000 || Date.parse(value) - Date.now() || 0, 0);
}
