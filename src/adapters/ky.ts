import { check } from '../check.ts';
import type { TokenSource } from '../token-source.ts';
import { withTokenRefresh as withFetch, type FetchAdapterOptions } from './fetch.ts';

export type { RequestSummary } from '../connection.ts';

export interface KyAdapterOptions<Token> extends FetchAdapterOptions<Token> {}

/** What is used of a ky instance. */
export interface KyLike {
  extend(options: any): any;
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
    const { fetch = (...args: [any]) => globalThis.fetch(...args), retry = {} } = own;
    const baseUrl = own.baseUrl ?? own.prefix ?? own.prefixUrl;
    const { shouldRetry } = retry;
    const send = withFetch(fetch, tokens, options, baseUrl);
    return {
      // One that somebody wrote may look at nothing but the Request.
      fetch: own.fetch ? send : sparingClones(send),
      // Merged with its own by ky, all but a number.
      retry: {
        ...(typeof retry === 'number' && { limit: retry }),
        shouldRetry: (attempt: { error: unknown }) =>
          isTokenRefreshError(attempt.error) ? false : shouldRetry?.(attempt),
      },
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
 * Puts the JSON of a Request beside it, so that it need not be cloned, which is a tenth of what sending
 * it costs. Other bodies are cloned: files are not to be read into memory.
 */
function sparingClones(send: typeof fetch) {
  return (request: Request, init: RequestInit): Promise<Response> => {
    const { body, headers, referrer, referrerPolicy, signal } = request;
    const isJson = body && headers.get('content-type') === 'application/json';
    // Beside an `init` it would lose its referrer.
    if (!isJson || referrer !== 'about:client' || referrerPolicy || signal.aborted) {
      return send(request, init);
    }
    // It may be a stream, which need never end. Not by `until`, which would bring the flights along.
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([request.arrayBuffer(), aborted]).then((json) =>
      send(request, { ...init, headers, body: json }),
    );
  };
}

/** Not by `instanceof`, which would bring the classes along. */
const isTokenRefreshError = (error: any) => !!error?.withResponse;
