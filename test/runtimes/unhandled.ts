import { textOf } from './suite-names.ts';

/** Rejections that nobody handled, as texts, since they were taken last. */
let unhandled: string[] = [];

const { setTimeout } = globalThis;

const hear = (reason: unknown): void => {
  unhandled.push(textOf(reason));
};

/** Begins to hear of them: by the event of browsers, Deno and Workers, or by that of Node and Bun. */
export function hearUnhandled(): void {
  const { process, Deno } = globalThis as { process?: NodeJS.Process; Deno?: unknown };
  if (process?.on && !Deno) process.on('unhandledRejection', hear);
  else {
    globalThis.addEventListener('unhandledrejection', (event) => {
      event.preventDefault();
      hear(event.reason);
    });
  }
}

/** Waits until the runtime must have told of them. */
export async function takeUnhandled(): Promise<string[]> {
  for (let turns = 0; turns < 3; turns++) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
  const taken = unhandled;
  unhandled = [];
  return taken;
}
