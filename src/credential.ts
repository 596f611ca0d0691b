/**
 * A token to send a request with. Give it back to `renew` when the request is refused: it tells
 * which token, of which session, the request was sent with.
 */
export interface Credential<Token> {
  /** Counts the tokens of a source, from 1, over all its sessions. Higher is newer. */
  readonly generation: number;
  /**
   * The app's own token, the very one that `refresh` or `set` gave. Not enumerable, hence invisible to
   * loggers and to JSON.
   */
  readonly token: Token;
}
