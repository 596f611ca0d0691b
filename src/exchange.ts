import type { TokenRefreshError } from './token-refresh-error.ts';
import type { TokenSource } from './token-source.ts';

/** How one request is sent, in the terms of its client. */
export interface Exchange<Token, Answer> {
  /** The caller's own. */
  readonly signal: AbortSignal | null | undefined;
  /** Whether it can be sent a second time, whole. */
  readonly replayable: boolean;
  send(token: Token): Promise<Answer>;
  /** Whether its token was refused. */
  isRefused(answer: Answer): boolean | PromiseLike<boolean>;
  /** Takes a refused answer off its connection, which the refresh may need. */
  setAside(answer: Answer): SetAside<Answer>;
}

/** A refused answer that its caller may get yet. */
export interface SetAside<Answer> {
  /** What the caller gets. Called once, or `release` is. */
  keep(): Answer;
  /** Nobody will read it. */
  release(): void;
}

/**
 * Sends a request with a token and, when that is refused, once more with a newer one. A second
 * refusal is the answer; so is the first, when the request cannot be replayed.
 *
 * @returns Rejects with what `send` throws, or as `TokenSource.get` does, with an error of this
 *   request's own.
 */
export async function exchange<Token, Answer>(
  tokens: TokenSource<Token>,
  { signal, replayable, send, isRefused, setAside }: Exchange<Token, Answer>,
): Promise<Answer> {
  let refused: SetAside<Answer> | undefined;
  try {
    const credential = await tokens.get({ signal });
    const answer = await send(credential.token);
    if (!(await isRefused(answer))) return answer;

    refused = setAside(answer);
    const newer = await tokens.renew(credential, { signal });
    if (!replayable) return refused.keep();
    refused.release();
    return await send(newer.token);
  } catch (error) {
    if (isTokenRefreshError(error)) throw error.withResponse(refused?.keep());
    refused?.release();
    throw error;
  }
}

/** Not by `instanceof`, which would bring the classes into every adapter. */
export function isTokenRefreshError(error: unknown): error is TokenRefreshError {
  return typeof (error as Partial<TokenRefreshError> | null)?.withResponse === 'function';
}
