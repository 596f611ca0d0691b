import { check } from './check.ts';
import { readOptions } from './options.ts';
import type { TokenSource } from './token-source.ts';

/** What `skip` is told of a request. */
export interface RequestSummary {
  /** Absolute. */
  readonly url: string;
  /** In upper case. */
  readonly method: string;
}

/** The options of every adapter. `Headers` and `Response` are the client's own. */
export interface AdapterOptions<Token, Headers, Response> {
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
   * @default `Authorization: Bearer …` from a string, or from its `accessToken` or `access_token`.
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

interface HeaderSetter {
  set(name: string, value: string): unknown;
}

/** The options with their defaults. @throws {TypeError} When one of them is not what it must be. */
export function readAdapterOptions<
  Token,
  Headers extends HeaderSetter,
  Response extends { status: number },
>(
  tokens: TokenSource<Token>,
  given: AdapterOptions<Token, Headers, Response>,
  baseUrl?: string | URL,
) {
  // Not by `check`, which would print a token that was given instead.
  if (!tokens?.isRefreshSignal) throw new TypeError('"tokens" must be a token source');
  const { allowedOrigins, ...options } = readOptions(given, {
    allowedOrigins: undefined,
    authorize: bearer,
    isRefused: ({ status }: Response): boolean | PromiseLike<boolean> => status === 401,
    skip: () => false,
  });
  const own = [baseUrl, globalThis.location?.href].map(originOf).filter(isOrigin);
  const origins = allowedOrigins ?? own;
  const wanted = 'an array of origins such as "https://api.example.com", who may receive the token';
  const isList = Array.isArray(origins) && origins.length > 0 && origins.every(isOrigin);
  check('allowedOrigins', allowedOrigins, wanted, isList);
  return { ...options, origins: origins.map(originOf) };
}

type Url = string | URL | undefined;

const originOf = (url: Url) => parseUrl(url)?.origin;

/** Whether nothing follows the origin. What has none, as `data:` and `about:`, is none. */
const isOrigin = (url: Url) => parseUrl(url)?.href === `${originOf(url)}/`;

/** `undefined` for what is no URL, or a relative one without a base. */
export function parseUrl(url: Url, base?: string): URL | undefined {
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
    throw new TypeError(
      'a token must be visible ASCII, or have an "access_token" that is; for any other, give "authorize"',
    );
  }
  headers.set('authorization', `Bearer ${access_token}`);
}
