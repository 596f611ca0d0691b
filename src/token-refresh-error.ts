/**
 * Why no token can be had. Stable: switch on it rather than on the message.
 *
 * - `SESSION_EXPIRED`: the refresh was refused for good. Send the user to sign in.
 * - `SESSION_REPLACED`: a sign-in (`set`) began another session while this request belonged to the old one.
 * - `SIGNED_OUT`: `clear` ended the session.
 * - `REFRESH_FAILED`: a passing failure; the session is kept and the next caller tries again.
 * - `REFRESH_TIMEOUT`: the same, by the option `timeout`.
 * - `REFRESH_LIMIT`: the same, by the option `refreshLimit`.
 * - `STORE_FAILED`: the same, by the lock or the store that realms share.
 */
export type TokenRefreshErrorCode =
  | 'SESSION_EXPIRED'
  | 'SESSION_REPLACED'
  | 'SIGNED_OUT'
  | 'REFRESH_FAILED'
  | 'REFRESH_TIMEOUT'
  | 'REFRESH_LIMIT'
  | 'STORE_FAILED';

/** The base of every error about a token that cannot be had. Its message never holds a secret. */
export class TokenRefreshError extends Error {
  override readonly name: string = 'TokenRefreshError';
  declare readonly code: TokenRefreshErrorCode;
  /**
   * From a token source: the answer of the failed refresh. From a client: this request's own refused
   * response. `undefined` where there was none. Not enumerable, so that no logger prints what is in it.
   */
  declare readonly response: unknown;

  /** @param cause What `refresh` threw, as it was. */
  constructor(message: string, code: TokenRefreshErrorCode, cause?: unknown, response?: unknown) {
    super(message, { cause });
    this.code = code;
    Object.defineProperty(this, 'response', { value: response });
  }

  /**
   * The same error for one request of many that wait for the same refresh: class, `code` and `cause`
   * stay, `response` is the request's own refused one. For adapters.
   */
  withResponse(response: unknown): this {
    const Class = this.constructor as typeof TokenRefreshError;
    return new Class(this.message, this.code, this.cause, response) as this;
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
