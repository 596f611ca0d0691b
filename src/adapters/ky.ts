import { check } from '../check.ts';
import type { TokenSource } from '../token-source.ts';
import { withTokenRefresh as withFetch, type FetchAdapterOptions } from './fetch.ts';

export type { RequestSummary } from '../connection.ts';

export interface KyAdapterOptions<Token> extends FetchAdapterOptions<Token> {}

/** What is used of a ky instance. */
export interface KyLike {
  extend(options: any): any;
  /** As of ky 2.1. */
  query?: unknown;
}

/**
 * A ky instance that sends the token of a source, and that meets its refusal by one refresh and one
 * replay: the given one, extended by a `fetch` around its own. ky's hooks, retries and timeout see
 * only the final answer; the wait for a refresh counts towards ky's `timeout`. ky 1 and ky 2.
 *
 * A request is sent at most twice (per attempt of ky's), and a second refusal is the caller's answer.
 * Every body is replayed, and until the answer is there it is kept in memory. A stream that is said to be
 * JSON is read to its end before it is sent, unless the instance has a `fetch` of its own.
 *
 * ky gives its requests a signal of its own, so a refresh that is sent through this instance must be
 * named in `skip`.
 *
 * @returns Calls reject as they do in ky, and with a `SessionExpiredError` or `RefreshFailedError` of
 *   this request's own when no token can be had, which ky does not retry.
 * @throws {TypeError} When an argument or option is not what it must be, or when there is neither
 *   `allowedOrigins` nor a base URL nor a page.
 *
 * @example
 * const api = withTokenRefresh(ky.create({ prefix: 'https://api.example.com' }), tokens);
 */
export function withTokenRefresh<Token, Ky extends KyLike>(
  ky: Ky,
  tokens: TokenSource<Token>,
  options: KyAdapterOptions<Token> = {},
): Ky {
  check('ky', ky, 'a ky instance', typeof ky?.extend === 'function');
  return ky.extend((own: any) => {
    // ky 1 has `prefixUrl`, ky 2 the other two.
    const baseUrl = own.baseUrl ?? own.prefix ?? own.prefixUrl;
    const { fetch = (...args: [any]) => globalThis.fetch(...args), retry = {} } = own;
    const { shouldRetry } = retry;
    const send = withFetch(fetch, tokens, options, baseUrl);
    // Whatever is given here, ky merges once more for each request.
    return {
      // One that somebody wrote may look at nothing but the Request.
      fetch: own.fetch ? send : sparingClones(send),
      // With `query` it is a ky that retries no error that it does not know, unless told to.
      ...((!ky.query || shouldRetry) && {
        retry: {
          // Merged with its own by ky, all but a number.
          ...(typeof retry === 'number' && { limit: retry }),
          shouldRetry: (attempt: { error: unknown }) =>
            isTokenRefreshError(attempt.error) ? false : shouldRetry?.(attempt),
        },
      }),
      hooks: {
        // Where a request has retry options of its own.
        beforeRetry: [
          ({ error }: { error: unknown }) => {
            if (isTokenRefreshError(error)) throw error;
          },
        ],
      },
    };
  }) as Ky;
}

/**
 * Puts headers and JSON of a Request beside it, so that it need not be cloned, which is a twentieth of what
 * sending it costs, and a tenth with JSON. Other bodies are cloned: files are not to be read into memory.
 */
function sparingClones(send: typeof fetch) {
  return (request: Request, init: RequestInit): Promise<Response> => {
    const { body, headers, referrer, signal } = request;
    const isJson = body && headers.get('content-type') === 'application/json';
    if ((body !== null && !isJson) || signal.aborted) return send(request, init);
    const beside: any = { ...init, headers };
    // The default is there anyway, and would be parsed.
    if (referrer === 'about:client') beside.referrer = undefined;
    if (!isJson) return send(request, beside);
    // It may be a stream, which need never end. Not by `until`, which would bring the flights along.
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([request.arrayBuffer(), aborted]).then((json) =>
      send(request, { ...beside, body: json }),
    );
  };
}

/** Not by `instanceof`, which would bring the classes along. */
const isTokenRefreshError = (error: any) => !!error?.withResponse;
