import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { createServer, connect, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe } from 'vitest';
import { absentParts, BINARIES, POSTGRES_BIN } from './parts.ts';

const run = promisify(execFile);

/** A `describe` that is left out, and says so, where a server is absent. Under CI that is a failure. */
export function describeWith(...names: (keyof typeof BINARIES)[]) {
  return absentParts(...names).length ? describe.skip : describe;
}

/** A server that a suite started, on a free port of loopback. */
export interface Server {
  readonly port: number;
  readonly pid: number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Runs a command that listens on a port until it is stopped. */
async function serve(
  port: number,
  spawnIt: () => ChildProcess,
  clean: () => void,
  isReady: () => Promise<boolean> = () => isListening(port),
): Promise<Server> {
  let child: ChildProcess;
  const start = async () => {
    child = spawnIt();
    for (let tries = 0; !(await isReady()); tries++) {
      if (tries > 500 || child.exitCode !== null) throw new Error(`nothing listens on ${port}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    port,
    get pid() {
      return child.pid!;
    },
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      await end('SIGKILL');
      clean();
    },
  };
}

export async function startRedis(): Promise<Server> {
  const port = await freePort();
  const args = ['--bind', '127.0.0.1', '--port', `${port}`, '--save', '', '--appendonly', 'no'];
  return serve(
    port,
    () => spawn(BINARIES['redis-server'], args, { stdio: 'ignore' }),
    () => {},
  );
}

/** PostgreSQL refuses to run as root: then it runs as `postgres`. */
const isRoot = userInfo().uid === 0;

async function ids(): Promise<{ uid: number; gid: number } | undefined> {
  if (!isRoot) return undefined;
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'postgres'])).stdout)),
  );
  return { uid: uid!, gid: gid! };
}

async function temporary(owner: { uid: number; gid: number } | undefined): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'oneflight-'));
  if (owner) await chown(folder, owner.uid, owner.gid);
  return folder;
}

/** A PostgreSQL whose user `postgres` needs no password. */
export async function startPostgres(): Promise<Server> {
  const [port, owner] = [await freePort(), await ids()];
  const folder = await temporary(owner);
  const data = join(folder, 'data');
  const options = { cwd: folder, ...owner };
  const initdb = ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8'];
  await run(join(POSTGRES_BIN, 'initdb'), initdb, options);
  const args = ['-D', data, '-p', `${port}`, '-k', folder, '-c', 'listen_addresses=127.0.0.1'];
  args.push('-c', 'fsync=off', '-c', 'max_connections=200');
  return serve(
    port,
    () => spawn(join(POSTGRES_BIN, 'postgres'), args, { ...options, stdio: 'ignore' }),
    () => rmSync(folder, { recursive: true, force: true }),
    // It listens before it has recovered.
    () =>
      run(join(POSTGRES_BIN, 'pg_isready'), ['-h', '127.0.0.1', '-p', `${port}`]).then(
        () => true,
        () => false,
      ),
  );
}

/** A pgbouncer that pools the transactions of a PostgreSQL: no two commands are sure of one session. */
export async function startPgbouncer(postgres: Server): Promise<Server> {
  const [port, owner] = [await freePort(), await ids()];
  const folder = await temporary(owner);
  const file = join(folder, 'pgbouncer.ini');
  const settings = [
    '[databases]',
    // With `any`, everyone is the user that the database names.
    `* = host=127.0.0.1 port=${postgres.port} user=postgres`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    // Fewer than its clients, so that they do share.
    'default_pool_size = 4',
    'ignore_startup_parameters = extra_float_digits',
  ];
  writeFileSync(file, settings.join('\n'));
  return serve(
    port,
    () => spawn(BINARIES.pgbouncer, [file], { cwd: folder, ...owner, stdio: 'ignore' }),
    () => rmSync(folder, { recursive: true, force: true }),
  );
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
