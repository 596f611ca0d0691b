import { expect, it, vi } from 'vitest';
import { createTokenSource, type Exchange } from '../src/index.ts';
import { gate } from './gate.ts';

/** A client of one's own, as an adapter is written: it answers with the token that it was sent with. */
function client(tokens: ReturnType<typeof createTokenSource<string>>) {
  const exchange = tokens.connect<Headers, { status: number; sent: string | null }>(
    {},
    'https://api.example.com/v1',
  );
  const request: Exchange<Headers, { status: number; sent: string | null }> = {
    url: 'https://api.example.com/me',
    method: undefined,
    signal: undefined,
    replayable: true,
    pass: async () => ({ status: 200, sent: 'untouched' }),
    async send(authorize) {
      const headers = new Headers();
      await authorize(headers);
      const sent = headers.get('authorization');
      return { status: sent === 'Bearer first' ? 401 : 200, sent };
    },
    redirectedTo: () => undefined,
    setAside: (response) => ({ response, release() {} }),
  };
  return (given: Partial<typeof request> = {}) => exchange({ ...request, ...given });
}

it('carries any client: an adapter says how it sends, the source decides', async () => {
  const refresh = vi.fn(() => 'second');
  const send = client(createTokenSource({ token: 'first', refresh }));
  expect((await send()).sent).toBe('Bearer second');
  expect(refresh).toHaveBeenCalledTimes(1);
  for (const url of ['https://example.com', undefined, 'not a URL', '/relative']) {
    expect((await send({ url })).sent).toBe('untouched');
  }
});

it('knows the signal of the running refresh, and no other', async () => {
  const second = gate<string>();
  const refresh = vi.fn<(context: { signal: AbortSignal }) => Promise<string>>(
    () => second.promise,
  );
  const tokens = createTokenSource({ token: 'first', refresh });
  const send = client(tokens);
  const renewal = tokens.renew(await tokens.get());
  const { signal } = refresh.mock.calls[0]![0];
  expect((await send({ signal })).sent).toBe('untouched');
  const waiting = [send(), send({ signal: new AbortController().signal })];
  second.open('second');
  await renewal;
  for (const answer of waiting) expect((await answer).sent).toBe('Bearer second');
  // It is a refresh no longer.
  expect((await send({ signal })).sent).toBe('Bearer second');
});

it('keeps the error of a source within another, with its own refused answer', async () => {
  const dead = createTokenSource<string>({
    token: 'first',
    refresh: () => Promise.reject(Object.assign(new Error('refused'), { status: 400 })),
  });
  const inner = client(dead);
  const outer = client(createTokenSource<string>({ token: 'outer', refresh: () => 'newer' }));
  await expect(outer({ send: () => inner() })).rejects.toMatchObject({
    code: 'SESSION_EXPIRED',
    response: { status: 401, sent: 'Bearer first' },
  });
});

it('releases the refused response for a replay only: else its caller gets it', async () => {
  const release = vi.fn();
  const setAside = (response: { status: number; sent: string | null }) => ({ response, release });
  const open = () => client(createTokenSource<string>({ token: 'first', refresh: () => 'second' }));
  expect((await open()({ setAside, replayable: false })).status).toBe(401);
  const dead = client(
    createTokenSource<string>({
      token: 'first',
      refresh: () => Promise.reject(Object.assign(new Error('refused'), { status: 400 })),
    }),
  );
  await expect(dead({ setAside })).rejects.toMatchObject({ response: { status: 401 } });
  expect(release).not.toHaveBeenCalled();
  await open()({ setAside });
  expect(release).toHaveBeenCalledTimes(1);
});
