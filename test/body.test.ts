import { Readable } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { discard, drain, DRAIN_LIMIT, isStream, readAhead } from '../src/body.ts';
import { settled } from './gate.ts';

/** A stream of chunks of these sizes that goes on for ever, and what becomes of it. */
function streamOf(...sizes: number[]) {
  const cancel = vi.fn();
  let chunks = 0;
  const pull = vi.fn((controller: ReadableStreamDefaultController) => {
    const size = sizes[chunks++];
    if (size !== undefined) controller.enqueue(new Uint8Array(size));
  });
  const stream = new ReadableStream<Uint8Array>({ pull, cancel }, { highWaterMark: 0 });
  return { stream, cancel, pull };
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

describe('A stream that is read ahead', () => {
  it('is read up to the limit, and no further until somebody reads it', async () => {
    const half = DRAIN_LIMIT / 2;
    for (const [sizes, reads] of [
      [[half, half], 3],
      [[half, half, 1, 1], 3],
      [[DRAIN_LIMIT + 1, 1], 1],
    ] as const) {
      const { stream, cancel, pull } = streamOf(...sizes);
      readAhead(stream);
      await settled();
      expect(pull).toHaveBeenCalledTimes(reads);
      expect(cancel).not.toHaveBeenCalled();
    }
  });

  it('is whole, in order, for whoever reads it, however much was read ahead', async () => {
    const bytes = Uint8Array.from({ length: DRAIN_LIMIT * 3 }, (_, n) => n % 251);
    for (const size of [DRAIN_LIMIT / 4, DRAIN_LIMIT - 1, DRAIN_LIMIT * 2, bytes.length]) {
      let at = 0;
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at >= bytes.length) return controller.close();
          controller.enqueue(bytes.slice(at, (at += size)));
        },
      });
      const ahead = readAhead(stream);
      await settled();
      const read = await new Response(new ReadableStream(ahead)).arrayBuffer();
      expect(Buffer.compare(new Uint8Array(read), bytes)).toBe(0);
    }
  });

  it('comes chunk by chunk to whoever reads it before its end is there', async () => {
    let push!: (byte: number) => void;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        push = (byte) => controller.enqueue(Uint8Array.of(byte));
      },
    });
    const reader = new ReadableStream(readAhead(stream)).getReader();
    for (const byte of [1, 2, 3]) {
      push(byte);
      expect((await reader.read()).value).toEqual(Uint8Array.of(byte));
    }
  });

  it('is cancelled with the reason of whoever reads it no more', async () => {
    const { stream, cancel } = streamOf(1);
    await new ReadableStream(readAhead(stream)).cancel('enough');
    expect(cancel).toHaveBeenCalledExactlyOnceWith('enough');
  });

  it('is read on when it is released, until its end, the limit, or for a second', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const short = new TransformStream<Uint8Array>();
      const abort = vi.spyOn(short.writable, 'abort');
      readAhead(short.readable).release();
      const writer = short.writable.getWriter();
      await writer.write(new Uint8Array(1));
      await writer.close();
      // It would have failed with the cancellation.
      await writer.closed;
      expect(abort).not.toHaveBeenCalled();

      const long = streamOf(DRAIN_LIMIT, 1);
      readAhead(long.stream).release();
      await settled();
      expect(long.cancel).toHaveBeenCalledTimes(1);
      // Nothing is kept for a second that is not needed.
      expect(vi.getTimerCount()).toBe(0);

      const endless = streamOf(1);
      readAhead(endless.stream).release();
      await vi.advanceTimersByTimeAsync(999);
      expect(endless.cancel).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      expect(endless.cancel).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps no process for that second, and works where timers are numbers', () => {
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    readAhead(streamOf(1).stream).release();
    expect(timers()).toBe(before);
    const setTimeout = vi.spyOn(globalThis, 'setTimeout').mockReturnValue(1 as never);
    readAhead(streamOf(1).stream).release();
    expect(setTimeout).toHaveBeenCalledTimes(1);
    setTimeout.mockRestore();
  });

  it('may break off, which only whoever reads it hears', async () => {
    const broken = new Error('connection reset');
    const pull = vi.fn(() => Promise.reject(broken));
    const ahead = readAhead(new ReadableStream({ pull }));
    await settled();
    expect(pull).toHaveBeenCalled();
    await expect(new ReadableStream(ahead).getReader().read()).rejects.toBe(broken);
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
