import { check } from './check.ts';
import { ANY, readOptions } from './options.ts';
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
  const methods = [tokens?.get, tokens?.renew, tokens?.isRefreshSignal];
  if (!methods.every((method) => typeof method === 'function')) {
    // Not by `check`, which would print a token that was given instead.
    throw new TypeError('"tokens" must be a token source, as createTokenSource makes it');
  }
  const { allowedOrigins, ...options } = readOptions<
    typeof given,
    'authorize' | 'isRefused' | 'skip'
  >(given, {
    allowedOrigins: ANY,
    authorize: [bearer],
    isRefused: [({ status }: Response) => status === 401],
    skip: [() => false],
  });
  return { ...options, origins: readOrigins(allowedOrigins, baseUrl) };
}

function readOrigins(
  allowed: readonly (string | URL)[] | undefined,
  baseUrl?: string | URL,
): Set<string> {
  const own = [baseUrl, globalThis.location?.href].map((url) => originOf(url)).filter(Boolean);
  const origins = allowed ?? own;
  const wanted = 'an array of origins, who may receive the token';
  check('allowedOrigins', allowed, wanted, Array.isArray(origins) && origins.length > 0);
  return new Set(
    origins.map((given, index) => {
      const origin = originOf(given)!;
      const isOrigin = origin !== undefined && parseUrl(given)!.href === `${origin}/`;
      const example = 'an origin such as "https://api.example.com"';
      check(`allowedOrigins[${index}]`, given, example, isOrigin);
      return origin;
    }),
  );
}

/** What a URL is the same origin with; nothing for `data:`, `about:` and what is no URL. */
function originOf(url: string | URL | undefined): string | undefined {
  const origin = parseUrl(url)?.origin;
  return origin === 'null' ? undefined : origin;
}

/** `undefined` for what is no URL, or a relative one without a base. */
export function parseUrl(url: string | URL | undefined, base?: string): URL | undefined {
  try {
    return new URL(url!, base);
  } catch {
    return undefined;
  }
}

/** RFC 6750 §2.1. A header takes no line break, and ASCII is all that a bearer token may be. */
function bearer(headers: HeaderSetter, token: unknown): void {
  const { accessToken, access_token } = Object(token) as Record<string, unknown>;
  const value = typeof token === 'string' ? token : (accessToken ?? access_token);
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new TypeError(
      'a token must be visible ASCII, or have such an "accessToken" or "access_token"; ' +
        'for any other, give "authorize"',
    );
  }
  headers.set('authorization', `Bearer ${value}`);
}
