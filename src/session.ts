import { check } from './check.ts';
import type { Credential } from './credential.ts';
import type { Refresh } from './refresh.ts';
import type { SessionExpiredError } from './token-refresh-error.ts';
import type { expiryOf } from './token-response.ts';
import type { readTokenSourceOptions } from './token-source-options.ts';

/** From a sign-in to the next one, or to its end. */
export interface Session<Token> {
  /** The newest token. Missing until there is one, and when the session is over. */
  credential?: Credential<Token> | undefined;
  /** When that came, in epoch milliseconds. */
  receivedAt?: number;
  /** Whether it came from a refresh, of this realm or another. */
  isRefreshed?: boolean;
  /** When it expires: Infinity when nobody knows, and missing until it is first asked. */
  expiresAt?: number | undefined;
  /** From when on a use begins a refresh in the background: never again once that has failed. */
  aheadAt?: number;
  /** The refresh that is running, or ran last. */
  refresh?: Refresh;
  /** Its name among realms that share it. Missing until it has been read or written there. */
  id?: string | undefined;
  /** Why it is over. Set once, before anyone hears. */
  over?: SessionExpiredError;
}

/**
 * Works out when the token of a session is to be replaced, once.
 *
 * @throws {TypeError} When `expiresAt` gives no instant; or what it throws. Asked again, it tries again.
 */
export function schedule<Token>(
  session: Session<Token>,
  { expiresAt, refreshAhead }: Omit<ReturnType<typeof readTokenSourceOptions<Token>>, 'token'>,
): void {
  if (session.expiresAt !== undefined) return;
  const { receivedAt, isRefreshed } = session;
  const { token } = session.credential!;
  const at = (expiresAt as typeof expiryOf)(token, receivedAt!) ?? Infinity;
  // From 1e9 to 1e11 are the seconds of 2001 to 5138, and the milliseconds of 1970 to 1973.
  const isInstant = typeof at === 'number' && (at < 1e9 || at >= 1e11);
  check('expiresAt()', at, 'epoch milliseconds, not seconds', isInstant);

  const life = at - receivedAt!;
  // A fresh token that has expired already tells of a clock that is off: only a refusal counts then.
  session.expiresAt = isRefreshed && life <= 0 ? Infinity : at;
  const ahead = refreshAhead * (1 - Math.random() / 10);
  session.aheadAt = session.expiresAt - Math.min(ahead, life / 2);
}
