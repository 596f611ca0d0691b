import { Readable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { discard, drain, DRAIN_LIMIT, isStream } from '../src/body.ts';
import { settled } from './gate.ts';

/** A stream of chunks of these sizes that goes on for ever, and what becomes of it. */
function streamOf(...sizes: number[]) {
  const cancel = vi.fn();
  let chunks = 0;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const size = sizes[chunks++];
        if (size !== undefined) controller.enqueue(new Uint8Array(size));
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
  return { stream, cancel };
}

describe('A body', () => {
  it('is a stream when it can be read only once', async () => {
    const iterable = { [Symbol.asyncIterator]: () => ({}) };
    for (const body of [new ReadableStream(), Readable.from('a'), { pipe() {} }, iterable]) {
      expect(isStream(body)).toBe(true);
    }
    for (const body of [
      undefined,
      null,
      '',
      'a',
      {},
      new FormData(),
      new Blob(),
      new Uint8Array(1),
    ]) {
      expect(isStream(body)).toBe(false);
    }
  });
});

describe('A stream that nobody may want', () => {
  it('is read up to the limit, and what has more is cancelled', async () => {
    const half = DRAIN_LIMIT / 2;
    for (const [sizes, isCancelled] of [
      [[half, half], false],
      [[half, half, 1], true],
      [[DRAIN_LIMIT + 1], true],
    ] as const) {
      const { stream, cancel } = streamOf(...sizes);
      drain(stream);
      await settled();
      expect(cancel).toHaveBeenCalledTimes(isCancelled ? 1 : 0);
    }
  });

  it('is read to its end, where it has one', async () => {
    const stream = new Blob(['a', 'b']).stream() as ReadableStream<Uint8Array>;
    const reader = drain(stream);
    await reader.closed;
  });

  it('may break off', async () => {
    const pull = vi.fn(() => Promise.reject(new Error('connection reset')));
    drain(new ReadableStream({ pull }));
    await settled();
    expect(pull).toHaveBeenCalled();
  });

  it('is let go, whatever it is', async () => {
    const cancel = vi.fn(() => Promise.reject(new Error('locked')));
    for (const stream of [undefined, null, 'text', {}, { cancel }]) discard(stream);
    await settled();
    expect(cancel).toHaveBeenCalledTimes(1);
  });
});
