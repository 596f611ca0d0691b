import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { gate, type Gate } from '../gate.ts';
import type { RealmEvent, RealmMethods, RealmSetup } from './realm.ts';

const root = join(import.meta.dirname, '../..');

/** The script of a realm, which imports the built package as a user's does. Made once per worker. */
let script: Promise<string> | undefined;

async function buildScript(): Promise<string> {
  // Within the package, so that it is found by its name.
  const outfile = join(root, `coverage/engines/realm-${process.pid}.js`);
  await build({
    entryPoints: [join(import.meta.dirname, 'realm.ts')],
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'es2022',
  });
  return outfile;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What it wrote: an unhandled rejection, for example. */
  output: string;
}

/** A process with token sources of its own. */
export class Realm {
  /** Resolves when it has ended, however. */
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, Gate<any>>();
  readonly #events: RealmEvent[] = [];
  readonly #awaited: { event: RealmEvent; count: number; happened: Gate }[] = [];
  #lastId = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    let output = '';
    const note = (chunk: Buffer) => (output += chunk);
    child.stdout!.on('data', note);
    child.stderr!.on('data', note);
    child.on('message', (message: any) => this.#hear(message));
    this.exit = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        const ended = new Error(`the realm has ended: ${code ?? signal} ${output}`);
        for (const call of this.#calls.values()) call.fail(ended);
        resolve({ code, signal, output });
      });
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Calls a method of `realm.ts` there. */
  call<Method extends keyof RealmMethods>(
    method: Method,
    ...args: Parameters<RealmMethods[Method]>
  ): ReturnType<RealmMethods[Method]> {
    const answer = gate<any>();
    this.#calls.set(++this.#lastId, answer);
    this.#child.send({ id: this.#lastId, method, args }, (error) => {
      if (error) answer.fail(error);
    });
    // One whose process is killed is not waited for by everyone.
    answer.promise.catch(() => {});
    return answer.promise as ReturnType<RealmMethods[Method]>;
  }

  /** Resolves when something has happened there that often. */
  happened(event: RealmEvent, count = 1): Promise<void> {
    const happened = gate();
    if (this.times(event) >= count) happened.open();
    else this.#awaited.push({ event, count, happened });
    return happened.promise;
  }

  times(event: RealmEvent): number {
    return this.#events.filter((each) => each === event).length;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Closes its sources and its client. @returns How the process ended by itself. */
  async close(): Promise<Exit> {
    await this.call('close').catch(() => {});
    return this.exit;
  }

  /** Ends it, whatever it does. */
  async kill(): Promise<void> {
    if (this.#child.exitCode === null && !this.#child.signalCode) this.#child.kill('SIGKILL');
    await this.exit;
  }

  #hear({ id, result, error, event }: any): void {
    if (event) {
      this.#events.push(event);
      for (const each of this.#awaited) {
        if (this.times(each.event) >= each.count) each.happened.open();
      }
      return;
    }
    const call = this.#calls.get(id)!;
    this.#calls.delete(id);
    if (error) call.fail(new Error(error));
    else call.open(result);
  }
}

/** Starts a realm. `flags` are those of Node. */
export async function openRealm(setup: RealmSetup, flags: string[] = []): Promise<Realm> {
  const path = await (script ??= buildScript());
  const child = fork(path, [], { execArgv: flags, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const realm = new Realm(child);
  try {
    await realm.call('open', setup);
  } catch (error) {
    await realm.kill();
    throw error;
  }
  return realm;
}

/** The clock that all processes of a machine share, in milliseconds. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Everyone in these realms is refused at once. */
export async function burst(realms: Realm[], callers: number) {
  const at = now() + 8;
  const bursts = await Promise.all(realms.map((realm) => realm.call('burst', callers, at)));
  const started = Math.min(...bursts.map(({ startedAt }) => startedAt));
  const ended = Math.max(...bursts.map(({ endedAt }) => endedAt));
  return { duration: ended - started, outcomes: bursts.flatMap(({ outcomes }) => outcomes) };
}
