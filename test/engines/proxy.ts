import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to an engine that breaks when a test says so. */
export interface Proxy {
  readonly port: number;
  /** How many connections are open. */
  readonly connections: number;
  /** Nothing goes through any more, and nothing is said: as when a cable is pulled. */
  darken(): void;
  /** What was held back goes through. */
  heal(): void;
  /**
   * Cuts the next connection whose client sends this text: before the engine gets it, or after it has
   * answered, which the client then never hears.
   */
  cut(text: string, when: 'before' | 'after'): void;
  close(): Promise<void>;
}

export async function startProxy(target: number): Promise<Proxy> {
  const pairs = new Set<Socket[]>();
  let isDark = false;
  let scissors: { text: string; when: 'before' | 'after' } | undefined;

  const server = createServer((client) => {
    const engine = connect(target, '127.0.0.1');
    const pair = [client, engine];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    let isDeaf = false;
    client.on('data', (chunk) => {
      if (scissors && chunk.includes(scissors.text)) {
        const { when } = scissors;
        scissors = undefined;
        if (when === 'before') return end();
        isDeaf = true;
      }
      engine.write(chunk);
    });
    engine.on('data', (chunk) => {
      if (isDeaf) end();
      else client.write(chunk);
    });
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
      if (isDark) socket.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = () => [...pairs].flat();
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    darken() {
      isDark = true;
      for (const socket of sockets()) socket.pause();
    },
    heal() {
      isDark = false;
      for (const socket of sockets()) socket.resume();
    },
    cut(text, when) {
      scissors = { text, when };
    },
    async close() {
      for (const socket of sockets()) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
