/**
 * Why no token can be had. Stable: switch on it rather than on the message.
 *
 * - `SESSION_EXPIRED`: the refresh was refused for good. Send the user to sign in.
 * - `SESSION_REPLACED`: a sign-in (`set`) began another session while this request belonged to the old one.
 * - `SIGNED_OUT`: `clear` ended the session.
 * - `REFRESH_FAILED`: a passing failure; the session is kept and the next caller tries again.
 * - `REFRESH_TIMEOUT`: the same, by the option `timeout`.
 * - `REFRESH_LIMIT`: the same, by the option `refreshLimit`.
 */
export type TokenRefreshErrorCode =
  | 'SESSION_EXPIRED'
  | 'SESSION_REPLACED'
  | 'SIGNED_OUT'
  | 'REFRESH_FAILED'
  | 'REFRESH_TIMEOUT'
  | 'REFRESH_LIMIT';

export interface TokenRefreshErrorOptions {
  code: TokenRefreshErrorCode;
  /** What `refresh` threw, as it was. */
  cause?: unknown;
  /** The HTTP response that tells more, in the client's own type. */
  response?: unknown;
}

/** The base of every error about a token that cannot be had. Its message never holds a secret. */
export class TokenRefreshError extends Error {
  override readonly name: string = 'TokenRefreshError';
  readonly code: TokenRefreshErrorCode;
  /**
   * From a token source: the answer of the failed refresh. From a client: this request's own refused
   * response. `undefined` where there was none. Not enumerable, so that no logger prints what is in it.
   */
  declare readonly response: unknown;

  constructor(message: string, { code, cause, response }: TokenRefreshErrorOptions) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    Object.defineProperty(this, 'response', { value: response });
  }

  /**
   * The same error for one request of many that wait for the same refresh: class, `code` and `cause`
   * stay, `response` is the request's own refused one. For adapters.
   */
  withResponse(response: unknown): this {
    const { code, cause } = this;
    const Class = this.constructor as new (
      message: string,
      options: TokenRefreshErrorOptions,
    ) => this;
    return new Class(this.message, { code, cause, response });
  }
}

/** The session is over, and only a sign-in (`set`) begins another. See {@link TokenRefreshErrorCode}. */
export class SessionExpiredError extends TokenRefreshError {
  override readonly name = 'SessionExpiredError';
}

/** There is no token for now. The session is kept, and the next caller may try again. */
export class RefreshFailedError extends TokenRefreshError {
  override readonly name = 'RefreshFailedError';
}
