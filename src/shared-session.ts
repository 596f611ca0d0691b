import pRetry from 'p-retry';
import type { ReadSession, Realm, SharedTokensOptions, StoredSession } from './shared-tokens.ts';
import { RefreshFailedError } from './token-refresh-error.ts';

/** What is to be stored; its version is found out when it is written. */
export type Entry<Token> = Omit<StoredSession<Token>, 'version'>;

/** Milliseconds after which a store that does not answer has failed: never more than a third of `timeout`. */
const STORE_TIMEOUT = 5_000;

/** How often a write is tried that others forestall, before the store itself is held to be at fault. */
const WRITE_TRIES = 20;

/**
 * Milliseconds between looks at the store, on use, when it tells of no changes; when it does, a
 * message may still be lost, and twelve times as long.
 */
const LOOK_EVERY = 5_000;

/** What is to be stored outlasts a command that fails, and a server that restarts. */
const SAVE_RETRY = { minTimeout: 25, maxTimeout: 1_000, factor: 3, unref: true };

interface Unsaved<Token> {
  readonly entry: Entry<Token>;
  /** Epoch milliseconds. */
  readonly since: number;
  /**
   * Their names: the first missing while a realm that signs in has not seen what was there; then what
   * itself had yet to write.
   */
  readonly replaces: (string | undefined)[];
  /** The version that it was last tried to be written with, and may be there with although that failed. */
  tried?: number | undefined;
}

/** A refresh, or its failure, yields to anything. */
const YIELDING = { since: 0, replaces: [''] };

/** One realm's view of what is stored: what it has seen, what it has to write, and what it hears. */
export class SharedSession<Token> {
  /** Called after each adoption, of which the realm itself is told first. */
  readonly listeners = new Set<() => void>();
  readonly #options: SharedTokensOptions<Token, any>;
  readonly #adopt: Realm<Token>['adopt'];
  /** The newest version that this realm has adopted or written. */
  #version = 0;
  /**
   * The version that the next write expects to be there; 0 for nothing. Not one that is still to be
   * adopted: what has not been seen is not to be overwritten.
   */
  #there = 0;
  /**
   * What this realm knows and the store does not; nothing is adopted until it is written. It yields to
   * whatever is newer than this realm knows and than `since`, unless that is of a session that it
   * `replaces`: a sign-in or sign-out wins over all but a later one.
   */
  #unsaved: Unsaved<Token> | undefined;
  /** The end of the last use of the store: one at a time, or their answers would cross. */
  #turn: Promise<unknown> = Promise.resolve();
  #nextLook: Promise<void> | undefined;
  /** Milliseconds that the store has for an answer. */
  readonly #patience: number;
  /** Missing until the realm listens. */
  #unsubscribe: (() => void) | undefined;
  /** When the store was last looked at on use, by the monotonic clock. */
  #watchedAt = -Infinity;

  constructor(options: SharedTokensOptions<Token, any>, { adopt, timeout }: Realm<Token>) {
    this.#options = options;
    this.#adopt = adopt;
    this.#patience = Math.min(STORE_TIMEOUT, timeout / 3);
  }

  /** Hears of changes from now on, unless it has left. Called on every use. */
  watch(): void {
    const { store } = this.#options;
    // What is missed here is found when it is needed.
    const look = () => void this.look().catch(() => {});
    this.#unsubscribe ??= store.subscribe?.(look) ?? (() => {});
    const every = store.subscribe && !this.#unsaved ? LOOK_EVERY * 12 : LOOK_EVERY;
    if (performance.now() - this.#watchedAt < every) return;
    this.#watchedAt = performance.now();
    look();
  }

  leave(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = () => {};
    this.#watchedAt = Infinity;
  }

  /** Adopts what is newer, which has just been read if it is given. */
  look(seen?: ReadSession<unknown>): Promise<void> {
    if (seen) return this.#inTurn(() => this.#look(seen));
    // One that has not begun serves all who ask until then.
    return (this.#nextLook ??= this.#inTurn(() => {
      this.#nextLook = undefined;
      return this.#look();
    }));
  }

  /** @see {@link Membership.land} */
  async land(entry: Entry<Token>): Promise<void> {
    const seen = this.#version;
    const land = async () => {
      // What is newer may have been adopted, or begun here, since this was called.
      if (this.#unsaved || this.#version > seen) return;
      this.#unsaved = { entry, ...YIELDING };
      await this.#save();
      if (this.#version === seen) await this.#look();
    };
    // The server has rotated: the token counts here, and is written as soon as it can be.
    return this.#inTurn(land).catch(() => {});
  }

  /**
   * Resolves when nothing is left to be written, or the store has failed for too long; then it is
   * written before it is read again.
   *
   * @param within Milliseconds.
   */
  async settle(within: number): Promise<void> {
    // A token that has come may wait for its turn.
    await this.#turn;
    if (!this.#unsaved) return;
    const options = { ...SAVE_RETRY, retries: Infinity, maxRetryTime: within };
    await pRetry(() => this.look(), options).catch(() => {});
  }

  /** Writes the end of the session, if nothing newer is there; else adopts that. */
  close(entry: Entry<Token>): Promise<void> {
    const seen = this.#version;
    return this.#inTurn(async () => {
      if (this.#version === seen) this.#unsaved ??= { entry, ...YIELDING };
      await this.#look();
    });
  }

  publish(entry: Entry<Token>, replaces: string | undefined): Promise<void> {
    // At once, so that nothing older is adopted from now on.
    const earlier = this.#unsaved?.replaces ?? [];
    this.#unsaved = { entry, since: Date.now() - 1, replaces: [...earlier, replaces] };
    return pRetry(() => this.look(), { ...SAVE_RETRY, retries: 3 });
  }

  #inTurn<Result>(use: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(() => withinTime(use(), this.#patience));
    this.#turn = result.catch(() => {});
    return result;
  }

  async #look(seen?: ReadSession<unknown>): Promise<void> {
    const isStale = !seen || this.#unsaved;
    await this.#save();
    const { store, decode = asItIs } = this.#options;
    const stored = isStale ? await store.read() : seen;
    const version = stored?.version ?? 0;
    const isNewer = () => version > this.#version;
    if (!stored || !isNewer()) return;
    const token = stored.token === undefined ? undefined : await decode(stored.token);
    // Meanwhile this realm may have signed in or out, or have adopted what is newer still.
    if (this.#unsaved || !isNewer()) return;
    this.#version = this.#there = version;
    this.#adopt({ ...stored, token });
    for (const tell of this.listeners) tell();
  }

  /** Writes what is unsaved, or drops it when it is to yield. */
  async #save(): Promise<void> {
    const { store, encode = asItIs } = this.#options;
    for (let tries = 0; this.#unsaved; tries++) {
      if (tries === WRITE_TRIES) throw new Error('the store refuses every write');
      const unsaved = this.#unsaved;
      const { session, over, token } = unsaved.entry;
      const encoded = token === undefined ? undefined : await encode(token);
      const { tried } = unsaved;
      // Once more with the one that it may be there with: whoever has it from there writes a later one.
      const version = Math.max(this.#version + 1, this.#there + 1, tried ?? Date.now());
      const stored = { version, session, over, token: encoded };
      unsaved.tried = version;
      let isWritten = await store.write(stored, { expected: this.#there }).catch((error) => {
        // It may be there all the same, and what replaces it then was not there before.
        unsaved.replaces[0] ??= '';
        throw error;
      });
      const there = isWritten ? stored : await store.read();
      // The answer to the try before was lost; the write was not. Another realm may have refreshed, in the
      // same millisecond, the session that this one ends.
      isWritten ||= there?.version === tried && there?.session === session && there.over === over;
      unsaved.tried = undefined;
      const newest = there?.version ?? 0;
      // The session that was there when this realm, which knew of none, began its own.
      unsaved.replaces[0] ??= there?.session;
      // What is not newer is left of a store that lost its data.
      const isLate =
        newest > Math.max(this.#version, unsaved.since) &&
        !unsaved.replaces.includes(there!.session);
      if (isWritten) this.#version = newest;
      if (isWritten || !isLate) this.#there = newest;
      if ((isWritten || isLate) && this.#unsaved === unsaved) this.#unsaved = undefined;
    }
  }
}

const asItIs = (token: any): any => token;

async function withinTime<Result>(use: Promise<Result>, time: number): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new Error(`no answer within ${time} ms`));
    timer = setTimeout(giveUp, time);
  });
  try {
    return await Promise.race([use, silence]);
  } catch (error) {
    throw storeFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What a lock or a store threw, as those who wait get it. */
export function storeFailure(cause: unknown): RefreshFailedError {
  return new RefreshFailedError('the lock or the store failed', 'STORE_FAILED', cause);
}
