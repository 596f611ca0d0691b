import { isStream } from './body.ts';
import { check } from './check.ts';
import type { Credential } from './credential.ts';
import { until } from './flight.ts';
import { readOptions } from './options.ts';
import type { Session } from './session.ts';
import { TokenRefreshError } from './token-refresh-error.ts';
import type { TokenSource } from './token-source.ts';

/** What `skip` is told of a request. */
export interface RequestSummary {
  /** Absolute; without the `params` of axios. */
  readonly url: string;
  /** In upper case. */
  readonly method: string;
}

/** The options of every adapter. `Headers` and `Response` are the client's own. */
export interface ConnectOptions<Token, Headers, Response> {
  /**
   * Who may receive the token: origins, such as `https://api.example.com`. A request to any other
   * goes out untouched: no token, no wait, no refresh on its 401.
   * @default The origin of the client's base URL and, in a browser, the page's own.
   */
  allowedOrigins?: readonly (string | URL)[] | undefined;
  /**
   * Puts the token into the headers of a request that is about to be sent; awaited. The default
   * replaces an `Authorization` of the request's own. `fetch` drops that header, and no other, when a
   * redirect leads to another origin.
   * @default `Authorization: Bearer …` from a string, or from its `access_token` or `accessToken`.
   */
  authorize?: ((headers: Headers, token: Token) => unknown) | undefined;
  /**
   * Whether this answer means that the token was refused; awaited. To look into a body, read a clone.
   * @default Status 401.
   */
  isRefused?: ((response: Response) => boolean | PromiseLike<boolean>) | undefined;
  /** Requests that go out untouched: sign-in and refresh endpoints that share the client. */
  skip?: ((request: RequestSummary) => boolean) | undefined;
}

export interface HeaderSetter {
  set(name: string, value: string): unknown;
}

/** One request of a client, in the client's own terms. */
export interface Exchange<Headers, Response> {
  /** Absolute, or relative to the page. */
  readonly url: string | URL | undefined;
  /** @default GET */
  readonly method: string | undefined;
  /** The caller's own. */
  readonly signal: AbortSignal | null | undefined;
  /** A stream can be sent only once: then the caller gets a refusal. `undefined` can be sent again. */
  readonly body: unknown;
  /** Sends it untouched. */
  readonly pass: () => Promise<Response>;
  /** Begins to send it with a token: called once for each time it is sent. */
  readonly prepare: () => Prepared<Headers, Response>;
  /** Where a response came from, if that is known and not where the request went. */
  readonly redirectedTo: (response: Response) => string | undefined;
  /** Takes a refused response off its connection, which the refresh may need. */
  readonly setAside: (response: Response) => SetAside<Response>;
}

/** A request that lacks nothing but the token. */
export interface Prepared<Headers, Response> {
  /** Where the token goes. */
  readonly headers: Headers;
  readonly send: () => Promise<Response>;
}

/** A refused response that its caller may get yet. */
export interface SetAside<Response> {
  /** What the caller gets. Read at most once. */
  readonly response: Response;
  /** Instead, when nobody gets it. */
  release(): void;
}

/**
 * Sends a request with a token and, when that is refused, once more with a newer one. A second
 * refusal is the answer; so is the first, when the request cannot be replayed.
 *
 * @returns Rejects with what `send` throws, or as `TokenSource.get` does, with an error of this
 *   request's own.
 */
export type Connection<Headers, Response> = (
  request: Exchange<Headers, Response>,
) => Promise<Response>;

/** How the requests of one client are sent. @throws {TypeError} When an option is not what it must be. */
export function connect<Token, Headers extends HeaderSetter, Response extends { status: number }>(
  session: () => Session<Token>,
  renew: TokenSource<Token>['renew'],
  given: ConnectOptions<Token, Headers, Response>,
  baseUrl: Url,
): Connection<Headers, Response> {
  const { allowedOrigins, authorize, isRefused, skip } = readOptions(given, {
    allowedOrigins: undefined,
    authorize: bearer,
    isRefused: ({ status }: Response): boolean | PromiseLike<boolean> => status === 401,
    skip: undefined,
  });
  if (skip !== undefined) check('skip', skip);
  /** Where this runs, in a browser: it changes while the page stays. */
  const page = () => globalThis.location?.href;
  const allowed = allowedOrigins ?? [baseUrl, page()].map(rootOf).filter(isOrigin);
  const wanted = 'an array of origins such as "https://api.example.com"';
  check('allowedOrigins', allowedOrigins, wanted, !!(allowed[0] && allowed.every?.(isOrigin)));
  const roots = allowed.map(rootOf);
  const rootIn = (url: Url) => roots.find((root) => `${url}`.startsWith(root));

  // Here and below, nothing is awaited that is there already: a good part of what a request costs.
  const sendWith = (request: Exchange<Headers, Response>, { token }: Credential<Token>) => {
    const { headers, send } = request.prepare();
    const authorized = until(request.signal, authorize(headers, token));
    return authorized ? Promise.resolve(authorized).then(send) : send();
  };

  return async (request) => {
    const { method = 'GET', signal, url } = request;
    // Only where it must be: to parse it would be the dearest part of a request.
    const root = rootIn(url) ?? rootIn(rootOf(parseUrl(url, page())));
    if (
      !root ||
      (signal && signal === session().refreshSignal()) ||
      skip?.({ url: parseUrl(url, page())!.href, method: method.toUpperCase() })
    ) {
      return request.pass();
    }

    const held = session().get(signal);
    const credential = held instanceof Promise ? await own(held) : held;
    const response = await sendWith(request, credential);
    try {
      // Redirected to another origin, the request has lost its token: nothing was refused.
      const end = request.redirectedTo(response);
      const isForeign = end && !end.startsWith(root) && rootOf(parseUrl(end, root)) !== root;
      const refusal = !isForeign && until(signal, isRefused(response));
      if (!refusal || !(await refusal)) return response;
    } catch (error) {
      // Nobody gets the answer then.
      request.setAside(response).release();
      throw error;
    }

    const refused = request.setAside(response);
    const newer = await own(renew(credential, { signal }), refused);
    if (isStream(request.body)) return refused.response;
    refused.release();
    return sendWith(request, newer);
  };
}

/** Fails with an error of this request's own. */
function own<Token>(
  credential: Promise<Credential<Token>>,
  refused?: SetAside<unknown>,
): Promise<Credential<Token>> {
  return credential.catch((error) => {
    if (error instanceof TokenRefreshError) throw error.withResponse(refused?.response);
    // Nobody gets the answer then.
    refused?.release();
    throw error;
  });
}

type Url = string | URL | undefined;

/** What every URL of its origin begins with. */
const rootOf = (url: Url) => `${parseUrl(url)?.origin}/`;

/** Whether nothing follows the origin. What has none, as `data:` and `about:`, is none. */
const isOrigin = (url: Url) => parseUrl(url)?.href === rootOf(url);

/** `undefined` for what is no URL, or a relative one without a base. */
function parseUrl(url: Url, base?: string): URL | undefined {
  try {
    return new URL(url!, base);
  } catch {
    return undefined;
  }
}

/** RFC 6750 §2.1. A header takes no line break, and ASCII is all that a bearer token may be. */
function bearer(headers: HeaderSetter, token: unknown): void {
  const { accessToken, access_token = accessToken ?? token } = Object(token);
  if (typeof access_token !== 'string' || !/^[!-~]+$/.test(access_token)) {
    throw new TypeError('a token must be visible ASCII; else give "authorize"');
  }
  headers.set('Authorization', `Bearer ${access_token}`);
}
