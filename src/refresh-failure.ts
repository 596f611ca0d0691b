/** What a refresh threw, read as HTTP: axios, ky, ofetch and `new Error('…', { cause: response })`. */

/** The status of the answer that made a refresh fail: `error.status`, `.response.status` or `.cause.status`. */
export function statusOf(error: unknown): number | undefined {
  return [error, field(error, 'response'), field(error, 'cause')]
    .map((holder) => field(holder, 'status'))
    .find((status): status is number => typeof status === 'number');
}

/** The answer itself, in the type of the client that got it. */
export function responseOf(error: unknown): unknown {
  return [field(error, 'response'), field(error, 'cause'), error].find(
    (holder) =>
      typeof field(holder, 'status') === 'number' && field(holder, 'headers') !== undefined,
  );
}

/** The refresh token is no good any more: RFC 6749 §5.2 answers 400 or 401, gateways 403. */
export function isFinalFailure(error: unknown): boolean {
  return [400, 401, 403].includes(statusOf(error)!);
}

/** Trying again may help. No status at all means that no answer came: the network. */
export function isTransientFailure(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 408 || status === 429 || status >= 500;
}

/** Milliseconds to wait before the next attempt, as `Retry-After` asks for (RFC 9110 §10.2.3). 0 without one. */
export function retryAfterOf(error: unknown): number {
  const headers = field(responseOf(error), 'headers');
  const get = field(headers, 'get');
  const value =
    typeof get === 'function' ? get.call(headers, 'retry-after') : field(headers, 'retry-after');
  if (value == null || value === '') return 0;
  const wait = Number.isNaN(Number(value))
    ? Date.parse(String(value)) - Date.now()
    : Number(value) * 1000;
  return wait > 0 ? wait : 0;
}

function field(holder: unknown, name: string): unknown {
  return Object(holder) === holder ? (holder as Record<string, unknown>)[name] : undefined;
}
