/** A server in a process of its own: what it costs is not the client's. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What the API and the authorization server have seen since the last sign-in. */
export interface Counts {
  readonly refreshes: number;
  /** Answers of the API with status 401. */
  readonly refusals: number;
  /** Answers of the API with status 200. */
  readonly answers: number;
  /** False when a refresh token was used twice. */
  readonly isAlive: boolean;
}

/** A token response as OAuth has it. */
export interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** Begins another session, and forgets the one before with what was counted. */
export interface SignIn {
  readonly do: 'signIn';
  /** Whether the API takes the first access token, or refuses it. */
  readonly isGood: boolean;
  /** Refusals are held back by 0 to this many milliseconds. */
  readonly spread: number;
}

export type Command = SignIn | { readonly do: 'count' | 'hold' | 'release' };

/** Tells a server that was started what to do, beside HTTP: this costs the measurement nothing. */
export interface Server {
  /** Origins. */
  readonly api: string;
  readonly authorization: string;
  signIn(options: { isGood: boolean; spread?: number }): Promise<Tokens>;
  count(): Promise<Counts>;
  /** Makes refreshes wait, once they have arrived, until `release`. */
  hold(): Promise<void>;
  release(): Promise<void>;
  close(): Promise<void>;
}

/** Starts one. It ends with `close`, and with the process that started it. */
export async function startServer(): Promise<Server> {
  const child = fork(fileURLToPath(new URL('main.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
  });
  const reply = async () => {
    const [message] = await once(child, 'message', { signal: AbortSignal.timeout(30_000) });
    return message;
  };
  const ask = (command: Command) => {
    const answered = reply();
    child.send(command);
    return answered;
  };
  const { api, authorization } = await reply();
  return {
    api,
    authorization,
    signIn: ({ isGood, spread = 0 }) => ask({ do: 'signIn', isGood, spread }),
    count: () => ask({ do: 'count' }),
    hold: () => ask({ do: 'hold' }),
    release: () => ask({ do: 'release' }),
    async close() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
