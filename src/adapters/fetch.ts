import { parseUrl, readAdapterOptions, type AdapterOptions } from '../adapter-options.ts';
import { check } from '../check.ts';
import type { Credential } from '../credential.ts';
import type { TokenRefreshError } from '../token-refresh-error.ts';
import type { TokenSource } from '../token-source.ts';

export type { RequestSummary } from '../adapter-options.ts';

export interface FetchAdapterOptions<Token> extends AdapterOptions<Token, Headers, Response> {}

/** How much of a refused answer is read to free its connection. More is worth a new connection. */
const DRAIN_LIMIT = 64 * 1024;

/**
 * A `fetch` that sends the token of a source, and that meets its refusal by one refresh and one
 * replay. Whatever takes a `fetch` takes this one.
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
  options: FetchAdapterOptions<Token> = {},
): Fetch {
  check('fetch', fetch);
  const { origins, authorize, isRefused, skip } = readAdapterOptions(tokens, options);

  const withToken = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = isRequest(input) ? input : undefined;
    const url = parseUrl(isRequest(input) ? input.url : input, globalThis.location?.href);
    const method = (init?.method ?? request?.method ?? 'GET').toUpperCase();
    if (
      !url ||
      !origins.has(url.origin) ||
      tokens.isRefreshSignal(init?.signal) ||
      skip({ url: url.href, method })
    ) {
      return fetch(input, init);
    }

    // As fetch does, all of it is read now: its owner may change it before it is sent.
    const target = typeof input === 'string' ? input : url.href;
    const given = init && { ...init };
    const givenHeaders = init?.headers && new Headers(init.headers);

    const send = async ({ token }: Credential<Token>): Promise<Response> => {
      const copy = request?.clone();
      // As in fetch, headers in `init` replace those of a Request.
      const headers = copy && !givenHeaders ? copy.headers : new Headers(givenHeaders);
      await authorize(headers, token);
      // A Request goes without an `init` of ours, which would reset its referrer.
      return fetch(copy ?? target, headers === copy?.headers ? given : { ...given, headers });
    };

    const signal = given?.signal === undefined ? request?.signal : given.signal;
    let refused: SetAside | undefined;
    try {
      const credential = await tokens.get({ signal });
      const response = await send(credential);
      // Redirected to another origin, the request has lost its token: nothing was refused.
      const sentToken = !response.redirected || parseUrl(response.url)?.origin === url.origin;
      if (!sentToken || !(await isRefused(response))) return response;

      refused = setAside(response);
      const newer = await tokens.renew(credential, { signal });
      if (isStream(given?.body)) return refused.response;
      refused.release();
      return await send(newer);
    } catch (error) {
      const forRequest = (error as Partial<TokenRefreshError> | null)?.withResponse;
      if (forRequest) throw forRequest.call(error, refused?.response);
      refused?.release();
      throw error;
    } finally {
      // Its copies were sent. Nobody reads the original, and fetch, too, leaves it used.
      discard(request);
    }
  };
  return withToken as Fetch;
}

/** Not by `instanceof`: a `fetch` that is not the global one has a `Request` of its own. */
function isRequest(input: RequestInfo | URL): input is Request {
  return typeof input === 'object' && 'clone' in input;
}

/** A body that is read as it is sent, and only once: of the web, of Node, or an async iterable. */
function isStream(body: unknown): boolean {
  return (
    typeof body === 'object' &&
    body !== null &&
    ('getReader' in body || 'pipe' in body || Symbol.asyncIterator in body)
  );
}

/** A refused answer that its caller may get yet, off its connection. */
interface SetAside {
  readonly response: Response;
  /** Nobody will read it. */
  release(): void;
}

/** Unread, an answer pins its connection, which the refresh may need: so it is read, and a copy kept. */
function setAside(response: Response): SetAside {
  if (!response.body?.pipeTo || response.bodyUsed) {
    return { response, release: () => discard(response) };
  }
  const copy = response.clone();
  const enough = new AbortController();
  let size = 0;
  const sink = new WritableStream<Uint8Array>({
    write({ byteLength }) {
      size += byteLength;
      if (size > DRAIN_LIMIT) enough.abort();
    },
  });
  // When it breaks off, there is no connection to free.
  response.body.pipeTo(sink, enough).catch(() => {});
  return {
    response: copy,
    // Both, or the connection stays open for the other.
    release() {
      enough.abort();
      discard(copy);
    },
  };
}

/** Lets go of a body that nobody will read. */
function discard(message: Request | Response | undefined): void {
  message?.body?.cancel?.().catch(() => {});
}
