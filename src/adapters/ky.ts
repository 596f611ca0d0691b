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
    const baseUrl = own.baseUrl ?? own.prefix ?? own.prefixUrl;
    const { shouldRetry } = Object(own.retry);
    // One that somebody wrote may look at nothing but the Request.
    const fetch = own.fetch
      ? (input: any, init: any) => own.fetch(new Request(input, init), init)
      : (...args: [any]) => globalThis.fetch(...args);
    const withToken = withFetch(fetch, tokens, options, baseUrl);
    const send = own.fetch ? withToken : sparingClones(withToken);
    // Whatever else is given here, ky merges once more for each request.
    return {
      fetch(this: any, request: Request, init: RequestInit) {
        return send(request, init).catch((error: unknown) => {
          // In ky 1, which retries all that it does not know, `this` is the options of the request.
          if (isTokenRefreshError(error) && this?.retry) this.retry.limit = 0;
          throw error;
        });
      },
      ...(shouldRetry && {
        retry: {
          shouldRetry: (attempt: { error: unknown }) =>
            !isTokenRefreshError(attempt.error) && shouldRetry(attempt),
        },
      }),
      hooks: {
        // Where a request has a `shouldRetry` of its own.
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
    const { body, headers, signal } = request;
    const isJson = body && headers.get('content-type') === 'application/json';
    if (!isJson || signal.aborted) return send(request, init);
    // It may be a stream, which need never end. Not by `until`, which would bring the flights along.
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([request.arrayBuffer(), aborted]).then((json) =>
      send(request, { ...init, body: json }),
    );
  };
}

/** Not by `instanceof`, which would bring the classes along. */
const isTokenRefreshError = (error: any) => !!error?.withResponse;
