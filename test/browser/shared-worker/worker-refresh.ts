/** The pages' side of `refresh-worker.ts`. */
import type { RefreshContext } from '../../../src/index.ts';

/**
 * A `refresh` that a SharedWorker does.
 *
 * @returns Rejects with an error that has the `status` of the worker's refresh.
 */
export function refreshBy(worker: SharedWorker) {
  return <Token>({ token, signal }: RefreshContext<Token | undefined>): Promise<Token> =>
    new Promise((resolve, reject) => {
      const { port1: answer, port2: reply } = new MessageChannel();
      answer.addEventListener('message', ({ data }) => {
        answer.close();
        if ('token' in data) resolve(data.token);
        else reject(Object.assign(new Error('refresh failed'), data));
      });
      answer.start();
      signal.addEventListener('abort', () => {
        answer.close();
        reject(signal.reason);
      });
      worker.port.postMessage(token, [reply]);
    });
}
