import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenSource, type Connection, type HeaderSetter } from '../../src/index.ts';
import { settled } from '../gate.ts';
import { runs, upTo, watchUnhandled } from './runs.ts';

const expectNoneUnhandled = watchUnhandled();

/** What happens, in this order, between answers that arrive in any. */
type Action =
  | { kind: 'request'; replayable: boolean; client: 0 | 1 }
  | { kind: 'expire' }
  | { kind: 'abort'; request: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('request' as const),
      replayable: fc.boolean(),
      client: fc.constantFrom(0 as const, 1 as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('abort' as const), request: fc.nat(20) }),
  },
);

interface Response {
  status: number;
}

interface Request {
  replayable: boolean;
  controller: AbortController;
  /** Begun during a refresh, it waits for that one's token. */
  least: number;
  /** The tokens it was sent with. */
  sent: number[];
  released: number;
  outcome: Promise<Response | 'aborted'>;
}

/** An API whose refresh tokens rotate, which judges on arrival and answers when it likes. */
class World {
  readonly requests: Request[] = [];
  /** What must not happen. */
  readonly violations: string[] = [];
  expiries = 0;
  refreshes = 0;
  /** The newest token, and whether the API still takes it. */
  #token = 0;
  #good = true;
  #refreshing = false;
  readonly #scheduler: fc.Scheduler;
  readonly #clients: Connection<{ set(name: string, value: string): unknown }, Response>[];

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
    const tokens = createTokenSource<string>({
      token: '0',
      refreshLimit: false,
      refresh: async ({ token }) => {
        if (this.#good) this.violations.push(`a refresh while ${this.#token} was good`);
        if (token !== String(this.#token)) this.violations.push(`${token} was used again`);
        this.refreshes++;
        this.#token++;
        this.#good = true;
        this.#refreshing = true;
        await scheduler.schedule(Promise.resolve(), 'refreshed');
        this.#refreshing = false;
        return String(this.#token);
      },
    });
    const options = { allowedOrigins: ['https://api.example.com'] };
    this.#clients = [tokens.connect(options), tokens.connect(options)];
  }

  act(given: Action): void {
    if (given.kind === 'request') this.#request(given.replayable, given.client);
    else if (given.kind === 'abort') this.requests[given.request]?.controller.abort('aborted');
    else if (this.#good) {
      this.#good = false;
      this.expiries++;
    }
  }

  #request(replayable: boolean, client: 0 | 1): void {
    const controller = new AbortController();
    const { signal } = controller;
    const request = {
      replayable,
      controller,
      least: this.#refreshing ? this.#token : 0,
      sent: [] as number[],
      released: 0,
    };
    // Begun apart: while the token is good, it is sent at once.
    const outcome = this.#clients[client]!({
      url: 'https://api.example.com/me',
      method: 'GET',
      signal,
      body: replayable ? undefined : new ReadableStream(),
      pass: () => Promise.reject(new Error('sent untouched')),
      prepare: () => {
        if (signal.aborted) this.violations.push('sent after its abort');
        let token = -1;
        const headers = {
          set: (_: string, value: string) => (token = Number(value.replace('Bearer ', ''))),
        };
        const send = async () => {
          request.sent.push(token);
          const status = this.#good && token === this.#token ? 200 : 401;
          return this.#scheduler.schedule(Promise.resolve({ status }), `answer ${status}`);
        };
        return { headers, send };
      },
      redirectedTo: () => undefined,
      setAside: (response) => ({ response, release: () => request.released++ }),
    }).catch((error: unknown) => {
      if (error !== 'aborted') this.violations.push(String(error));
      return 'aborted' as const;
    });
    this.requests.push(Object.assign(request, { outcome }));
  }
}

describe('Requests over any number of clients of one source', () => {
  it('cause one refresh per expiry, whatever the order of the answers; each is sent twice at the most', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(action, { minLength: 1, maxLength: upTo(30) }),
        async (scheduler, actions) => {
          const world = new World(scheduler);
          const steps = actions.map((each) => ({
            label: each.kind,
            builder: async () => {
              world.act(each);
              await settled();
            },
          }));
          const { task } = scheduler.scheduleSequence(steps);
          await scheduler.waitFor(task);
          await scheduler.waitFor(Promise.all(world.requests.map(({ outcome }) => outcome)));

          expect(world.violations).toEqual([]);
          expect(world.refreshes).toBeLessThanOrEqual(world.expiries);
          for (const { sent, least, outcome, replayable, controller, released } of world.requests) {
            const answer = await outcome;
            expect(sent.length).toBeLessThanOrEqual(replayable ? 2 : 1);
            if (sent.length === 2) expect(sent[1]).toBeGreaterThan(sent[0]!);
            for (const token of sent) expect(token).toBeGreaterThanOrEqual(least);
            if (answer === 'aborted') {
              expect(controller.signal.aborted).toBe(true);
              continue;
            }
            // Released for a replay, kept for a caller who gets it.
            expect(released).toBe(sent.length - 1);
            // Refused twice: the token expired again while the replay was on its way.
            if (answer.status === 401 && replayable) expect(sent).toHaveLength(2);
          }
          await expectNoneUnhandled();
        },
      ),
      runs(400),
    );
  });
});

describe('A URL, however it is written', () => {
  it('gets the token if its origin is allowed, and otherwise not', async () => {
    const allowedOrigins = ['https://api.example.com', 'http://localhost:8080'];
    const tokens = createTokenSource({ token: 'good', refresh: () => 'good' });
    const exchange = tokens.connect<HeaderSetter, { status: number; withToken: boolean }>({
      allowedOrigins,
    });
    const beginning = fc.constantFrom(
      ...allowedOrigins,
      'https:',
      'HTTPS://API.example.com',
      'https://api.example',
      'http://localhost:80',
      ' https://api.example.com',
      'https://api.example\t.com',
      'blob:https://api.example.com',
    );
    const rest = fc.array(
      fc.oneof(
        fc.constantFrom('/', '//', '\\', '@', ':', '80', '443', '?', '#', '.', '..', '%2f', '\t'),
        fc.constantFrom('api.example.com', '.com', 'evil.org', ...allowedOrigins),
        fc.string({ unit: 'grapheme', maxLength: 3 }),
      ),
      { maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(beginning, rest, async (begun, parts) => {
        const url = begun + parts.join('');
        const { withToken } = await exchange({
          url,
          method: 'GET',
          signal: undefined,
          body: undefined,
          pass: async () => ({ status: 200, withToken: false }),
          prepare: () => ({
            headers: { set() {} },
            send: async () => ({ status: 200, withToken: true }),
          }),
          redirectedTo: () => undefined,
          setAside: (response) => ({ response, release() {} }),
        });
        const isAllowed = URL.canParse(url) && allowedOrigins.includes(new URL(url).origin);
        expect(withToken).toBe(isAllowed);
      }),
      runs(1000),
    );
  });
});
