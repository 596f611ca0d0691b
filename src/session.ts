import { check } from './check.ts';
import type { Credential } from './credential.ts';
import type { Refresh } from './refresh.ts';
import { SessionExpiredError, type TokenRefreshErrorOptions } from './token-refresh-error.ts';
import { expiryOf } from './token-response.ts';
import type { TokenSourceOptions } from './token-source-options.ts';

/** From a sign-in to the next one, or to its end. */
export class Session<Token> {
  /** The newest token. Missing until there is one, and when the session is over. */
  holding: Holding<Token> | undefined;
  /** Why it is over. Set once, before anyone hears. */
  over: SessionExpiredError | undefined;
  /** The refresh that is running, or ran last. */
  refresh: Refresh<Token> | undefined;
  /** When the refreshes within the limit's window began, by the monotonic clock. */
  begun: number[] = [];

  /** Ends it for everyone who waits, and for ever. */
  end(message: string, options: TokenRefreshErrorOptions): void {
    if (this.over) return;
    this.over = new SessionExpiredError(message, options);
    this.holding = undefined;
    this.refresh?.giveUp(this.over);
  }
}

/** A session's newest token, and when to replace it. */
export interface Holding<Token> extends Times {
  readonly credential: Credential<Token>;
  /** The order of the refresh that gave it, which an older refresh does not overwrite. 0 for `set`. */
  readonly order: number;
  /** What is wrong with `expiresAt`. Told on use: failing earlier would lose the token. */
  readonly problem?: unknown;
}

interface Times {
  /** Epoch milliseconds. Infinity when nobody knows. */
  readonly expiresAt: number;
  /** From when on a use begins a refresh in the background. Moved when such a refresh fails. */
  aheadAt: number;
}

export const UNKNOWN: Times = { expiresAt: Infinity, aheadAt: Infinity };

/**
 * When to replace a token that has just come.
 *
 * @throws {TypeError} When `expiresAt` gives no instant; or what it throws.
 */
export function timesOf<Token>(
  token: Token,
  { expiresAt, refreshAhead = 0 }: Pick<TokenSourceOptions<Token>, 'expiresAt' | 'refreshAhead'>,
  refreshed: boolean,
): Times {
  const now = Date.now();
  const at = expiresAt ? expiresAt(token) : expiryOf(token, now);
  const wanted = 'epoch milliseconds (not seconds) or undefined';
  check('expiresAt()', at, wanted, at == null || isInstant(at));

  const life = (at ?? Infinity) - now;
  // A fresh token that has expired already tells of a clock that is off: only a refusal counts then.
  if (at == null || (refreshed && life <= 0)) return UNKNOWN;
  const ahead = refreshAhead * (1 - Math.random() / 10);
  return { expiresAt: at, aheadAt: at - (refreshed ? Math.min(ahead, life / 2) : ahead) };
}

/** From 1e9 to 1e11 are the seconds of 2001 to 5138, and the milliseconds of 1970 to 1973. */
function isInstant(at: number): boolean {
  return typeof at === 'number' && !Number.isNaN(at) && !(at >= 1e9 && at < 1e11);
}
