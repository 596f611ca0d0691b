import { discard, readAhead } from '../body.ts';
import { check } from '../check.ts';
import type { ConnectOptions, SetAside } from '../connection.ts';
import type { TokenSource } from '../token-source.ts';

export type { RequestSummary } from '../connection.ts';

export interface FetchAdapterOptions<Token> extends ConnectOptions<Token, Headers, Response> {}

/**
 * A `fetch` that sends the token of a source, and that meets its refusal by one refresh and one
 * replay. Whatever takes a `fetch` takes this one, and a service worker may answer with it.
 *
 * A request is sent at most twice, and a second refusal is the caller's answer. A stream given as
 * `body` cannot be sent again: the token is refreshed all the same, and the caller gets the refusal.
 * A `Request` is replayed whole, and until its answer is there its body is kept in memory.
 *
 * @returns Rejects as `fetch` does; with a `SessionExpiredError` or `RefreshFailedError` of this
 *   request's own when no token can be had, whose `response` is the refused one if there was one;
 *   and with a `TypeError` when the token is not one that `authorize` can send.
 * @throws {TypeError} When an argument or option is not what it must be, or when there is neither
 *   `allowedOrigins` nor a page.
 *
 * @example
 * const api = withTokenRefresh(fetch, tokens, { allowedOrigins: ['https://api.example.com'] });
 */
export function withTokenRefresh<Token, Fetch extends typeof globalThis.fetch>(
  fetch: Fetch,
  tokens: TokenSource<Token>,
  options?: FetchAdapterOptions<Token>,
): Fetch;
/** @internal With the base URL of a client that sends by this `fetch`. */
export function withTokenRefresh<Token, Fetch extends typeof globalThis.fetch>(
  fetch: Fetch,
  tokens: TokenSource<Token>,
  options: FetchAdapterOptions<Token> | undefined,
  baseUrl: string | URL | undefined,
): Fetch;
export function withTokenRefresh<Token, Fetch extends typeof globalThis.fetch>(
  fetch: Fetch,
  tokens: TokenSource<Token>,
  options: FetchAdapterOptions<Token> = {},
  baseUrl?: string | URL,
): Fetch {
  check('fetch', fetch);
  // Not of `tokens`, which would be printed when it is a token, given instead.
  check('tokens.connect', tokens?.connect);
  const exchange = tokens.connect<Headers, Response>(options, baseUrl);

  const withToken = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    // Not by `instanceof`: a `fetch` that is not the global one has a `Request` of its own.
    const request = (input as Request).clone ? (input as Request) : undefined;
    // As fetch does, all of it is read now: its owner may change it before it is sent.
    const url = request?.url ?? `${input as string | URL}`;
    const given: RequestInit = { ...(request && besideInit(request)), ...init };
    const { body, method = request?.method, signal = request?.signal } = given;
    const givenHeaders = given.headers && new Headers(given.headers);
    try {
      return await exchange({
        url,
        method,
        signal,
        body,
        pass: () => fetch(input, init),
        prepare() {
          // Beside headers, only its body is used up. Some know none of a Request: React Native, and Firefox.
          const isKept = givenHeaders && (body || request?.body === null);
          const copy = isKept ? request : request?.clone();
          // As in fetch, headers in `init` replace those of a Request.
          const own = givenHeaders ? undefined : changeable(copy?.headers);
          const headers = own ?? new Headers(givenHeaders ?? copy?.headers);
          const send = () => fetch(copy ?? url, own ? given : { ...given, headers });
          return { headers, send };
        },
        // Read only then: undici puts a URL together each time.
        redirectedTo: (response) => (response.redirected ? response.url : undefined),
        setAside,
      });
    } finally {
      // Its copies were sent. Nobody reads the original, and fetch, too, leaves it used.
      if (!body) discard(request?.body);
    }
  };
  return withToken as Fetch;
}

/**
 * What a Request loses beside an `init`: its referrer. And in Node the signal of a clone goes deaf when garbage
 * is collected, for undici holds its controller by a `WeakRef` alone.
 */
const besideInit = ({ signal, referrer, referrerPolicy }: Request): RequestInit => ({
  signal,
  referrer,
  referrerPolicy,
});

/** Tries it. `undefined` for those that cannot be, as of a service worker's request and of its clones. */
function changeable(headers: Headers | undefined): Headers | undefined {
  try {
    headers?.delete('-');
    return headers;
  } catch {
    return undefined;
  }
}

/**
 * Unread, an answer pins its connection, which the refresh may need: so it is read. The response that
 * has it again is made for whoever wants it: hardly anybody does, and a clone is the dearest part of a
 * refusal.
 */
function setAside(response: Response): SetAside<Response> {
  const { body, bodyUsed } = response;
  const ahead = body?.getReader && !bodyUsed ? readAhead(body) : undefined;
  return {
    get response() {
      if (!ahead) return response;
      const again = new Response(new ReadableStream(ahead), response);
      // A new one has them of its own.
      for (const name of ['url', 'redirected', 'type'] as const) {
        Object.defineProperty(again, name, { value: response[name] });
      }
      return again;
    },
    release: () => ahead?.release(),
  };
}
