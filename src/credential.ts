/**
 * A token to send a request with. Give it back to `renew` when the request is refused: it tells
 * which token, of which session, the request was sent with.
 */
export class Credential<Token> {
  /** Counts the tokens of a source, from 1, over all its sessions. Higher is newer. */
  readonly generation: number;
  /** Private, hence invisible to loggers and to JSON. */
  readonly #token: Token;

  /** Made by a token source only: `renew` knows its own. */
  constructor(token: Token, generation: number) {
    this.#token = token;
    this.generation = generation;
  }

  /** The app's own token, the very one that `refresh` or `set` gave. */
  get token(): Token {
    return this.#token;
  }
}
