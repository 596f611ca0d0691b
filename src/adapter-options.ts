import { check } from './check.ts';
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

/** The options with their defaults. @throws {TypeError} When one of them is not what it must be. */
export function readAdapterOptions<
  Token,
  Headers extends HeaderSetter,
  Response extends { status: number },
>(tokens: TokenSource<Token>, options: AdapterOptions<Token, Headers, Response>, baseUrl?: string) {
  const isSource = typeof tokens?.get === 'function' && typeof tokens.renew === 'function';
  if (!isSource)
    throw new TypeError('"tokens" must be a token source, as createTokenSource makes it');
  check('options', options, 'an object', Object(options) === options);
  const { authorize = bearer, isRefused = isUnauthorized, skip = never, ...rest } = options;
  check('authorize', authorize);
  check('isRefused', isRefused);
  check('skip', skip);
  const { allowedOrigins, ...unknown } = rest;
  for (const name of Object.keys(unknown))
    throw new TypeError(`"${name}" is not one of the options`);
  return { authorize, isRefused, skip, origins: readOrigins(allowedOrigins, baseUrl) };
}

interface HeaderSetter {
  set(name: string, value: string): unknown;
}

const never = () => false;
const isUnauthorized = ({ status }: { status: number }) => status === 401;

function readOrigins(
  allowed: readonly (string | URL)[] | undefined,
  baseUrl?: string,
): Set<string> {
  if (allowed === undefined) {
    const own = [baseUrl, globalThis.location?.href].map((url) => parse(url)?.origin);
    const origins = new Set(own.filter((origin) => origin !== undefined && origin !== 'null'));
    check('allowedOrigins', allowed, WANTED, origins.size > 0);
    return origins as Set<string>;
  }
  check('allowedOrigins', allowed, WANTED, Array.isArray(allowed) && allowed.length > 0);
  return new Set(
    allowed.map((given, index) => {
      const url = parse(given);
      const isOrigin = url && url.origin !== 'null' && url.href === `${url.origin}/`;
      check(
        `allowedOrigins[${index}]`,
        given,
        'an origin such as "https://api.example.com"',
        !!isOrigin,
      );
      return url!.origin;
    }),
  );
}

const WANTED =
  'an array of the origins that may receive the token, such as ["https://api.example.com"]';

function parse(url: string | URL | undefined): URL | undefined {
  try {
    return new URL(url!);
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
      'the token must be visible ASCII: a string, or an object with "accessToken" or "access_token"; ' +
        'give the option "authorize" for any other',
    );
  }
  headers.set('authorization', `Bearer ${value}`);
}
