import { discard, drain, DRAIN_LIMIT } from '../body.ts';
import { check } from '../check.ts';
import type { ConnectOptions, SetAside } from '../connection.ts';
import type { TokenSource } from '../token-source.ts';

export type { RequestSummary } from '../connection.ts';

/** The headers of an axios request, an `AxiosHeaders`. */
export interface AxiosRequestHeaders {
  get(name: string): unknown;
  set(name: string, value: string): unknown;
  has(name: string): boolean;
  delete(name: string): boolean;
}

/** A response as axios' transport gives it: `data` is not transformed yet, so JSON is still text. */
export interface AxiosTransportResponse {
  readonly status: number;
  readonly headers: any;
  readonly data: any;
  readonly config: any;
}

export interface AxiosAdapterOptions<Token> extends ConnectOptions<
  Token,
  AxiosRequestHeaders,
  AxiosTransportResponse
> {}

/** What is used of an axios instance. */
export interface AxiosLike {
  readonly defaults: { baseURL?: any; adapter?: any };
  readonly interceptors: { request: { use(onFulfilled: any, onRejected: any, options: any): any } };
  getUri(config?: any): string;
  request(config: any): Promise<any>;
}

/** The types of axios 1.7 do not tell that an instance has `create`. */
interface Creator extends AxiosLike {
  create: (config?: any) => Creator;
}

type Transport = (config: any, changes?: Changes) => Promise<any>;

/** Of a config that is sent. */
interface Changes {
  data: unknown;
  headers: any;
  /** What the transport rejected with, if it did. */
  error?: unknown;
}

/** The instances that are wrapped, and the transports that wrap them: never twice. */
const wrapped = new WeakSet();

/**
 * Makes an axios instance send the token of a source, and meet its refusal by one refresh and one
 * replay. This happens below the instance's interceptors and transforms: they run once per call and
 * see only the final answer, whose `config` has no token. Instances that it creates from now on do the
 * same. From axios 1.7 on, whatever the transport: `http`, `xhr`, `fetch`, or a function.
 *
 * Where the transport is a name, axios looks at the config of each request a second time, which costs
 * up to a twentieth of its CPU time; `adapter: axios.getAdapter(axios.defaults.adapter)` spares that.
 *
 * A request is sent at most twice, and a second refusal is the caller's answer. A stream as `data`
 * cannot be sent again: the token is refreshed all the same, and the caller gets the refusal. A form
 * of the package `form-data` is sent from memory, unless it has streams in it.
 *
 * @returns The instance itself. Calls reject as they do in axios; with a `SessionExpiredError` or
 *   `RefreshFailedError` of this request's own when no token can be had, whose `response` is the
 *   refused one if there was one; and with a `TypeError` when the token is not one that `authorize`
 *   can send.
 * @throws {TypeError} When an argument or option is not what it must be, when the instance is wrapped
 *   already or made by one that is, or when there is neither `allowedOrigins` nor `baseURL` nor a page.
 *
 * @example
 * const api = withTokenRefresh(axios.create({ baseURL: 'https://api.example.com' }), tokens);
 */
export function withTokenRefresh<Token, Instance extends AxiosLike>(
  instance: Instance,
  tokens: TokenSource<Token>,
  options: AxiosAdapterOptions<Token> = {},
): Instance {
  const isInstance = !!instance?.interceptors && !wrapped.has(instance);
  check('instance', instance, 'an axios instance, not wrapped yet', isInstance);
  // Not of `tokens`, which would be printed when it is a token, given instead.
  check('tokens.connect', tokens?.connect);
  const exchange = tokens.connect<AxiosRequestHeaders, any>(options, instance.defaults.baseURL);

  // An instance without interceptors and defaults: the way to the transports that axios has by name.
  const bare = (instance as unknown as Creator).create();
  for (const name of Object.keys(bare.defaults)) delete (bare.defaults as any)[name];

  const sendWith = async (transport: Transport, config: any) => {
    const { url, baseURL, allowAbsoluteUrls, data } = config;
    const form = readForm(data);
    const { signal, forget } = cancellationOf(config);
    /** What was sent last. */
    let newest: Changes | undefined;
    try {
      const response = await exchange({
        // `getUri` takes its time, and of a plain base and path it makes nothing else.
        url:
          baseURL && /\w$/.test(baseURL) && /^\/\w/.test(url)
            ? baseURL + url
            : bare.getUri({ url, baseURL, allowAbsoluteUrls }),
        method: config.method,
        signal,
        body: form ? undefined : data,
        pass: () => transport(config),
        prepare() {
          const headers = Object.assign(new config.headers.constructor(), config.headers);
          if (form) headers.set(form.headers);
          const send = () => transport(config, (newest = { data: form?.data ?? data, headers }));
          return { headers, send };
        },
        redirectedTo: ({ request }) => request?.res?.responseUrl ?? request?.responseURL,
        setAside,
      });
      if (newest?.error) throw newest.error;
      return response;
    } finally {
      forget();
    }
  };

  const wrapTransport = (given: any): Transport => {
    if (wrapped.has(given)) return given;
    /** What axios gives shows the config that its caller gave, not the one that has the token. */
    const transport: Transport = async (config, changes) => {
      try {
        const response = await (typeof given === 'function'
          ? given(changes ? copyTo({}, config, changes) : config)
          : bare.request({
              // Has axios' own copy of the config as `this`. To fill it only here spares axios
              // merging and checking a second time what came out of that already.
              transformRequest(this: any) {
                copyTo(this, config, changes);
                this.transformResponse = [];
                this.adapter = given;
                return this.data;
              },
            }));
        response.config = config;
        return response;
      } catch (error: any) {
        for (const shown of [error, error?.response]) if (shown?.config) shown.config = config;
        if (!changes || !error?.response) throw error;
        changes.error = error;
        return error.response;
      }
    };
    const withToken: Transport = (config) => sendWith(transport, config);
    wrapped.add(withToken);
    return withToken;
  };

  const wrapInstance = (child: Creator): Creator => {
    const { create, defaults, interceptors } = child;
    wrapped.add(child);
    child.create = (config) => wrapInstance(create(config));
    defaults.adapter = wrapTransport(defaults.adapter);
    // A request may come with a transport of its own, or another default be set later.
    interceptors.request.use(
      (config: any) => {
        config.adapter = wrapTransport(config.adapter);
        return config;
      },
      undefined,
      { synchronous: true },
    );
    return child;
  };
  return wrapInstance(instance as unknown as Creator) as unknown as Instance;
}

/** A spread takes four times as long: axios makes a config without a prototype. */
function copyTo(target: any, config: any, changes: object | undefined): any {
  for (const key of Object.keys(config)) target[key] = config[key];
  for (const key of Object.getOwnPropertySymbols(config)) target[key] = config[key];
  return Object.assign(target, changes);
}

/** A form of the package `form-data` is a stream. What it holds in memory can be sent twice. */
function readForm(data: any): { data: unknown; headers: unknown } | undefined {
  try {
    return data?.getBuffer && { data: data.getBuffer(), headers: data.getHeaders() };
  } catch {
    // It has streams in it.
    return undefined;
  }
}

/** The caller's signal, joined by the `cancelToken` of older axios. */
function cancellationOf({ signal, cancelToken }: any) {
  if (!cancelToken) return { signal, forget: () => {} };
  const controller = new AbortController();
  const abort = () => controller.abort();
  cancelToken.subscribe(abort);
  signal?.addEventListener('abort', abort);
  return {
    signal: controller.signal,
    forget: () => {
      cancelToken.unsubscribe(abort);
      signal?.removeEventListener('abort', abort);
    },
  };
}

/** Unread, an answer given as a stream pins its connection: so it is read, and what was read is kept. */
function setAside(response: any): SetAside<any> {
  const { data } = response;
  let release = () => {};
  if (data?.tee) {
    const [kept, rest] = data.tee();
    const reader = drain(rest);
    response.data = kept;
    release = () => {
      discard(reader);
      discard(kept);
    };
  } else if (data?.pipe) {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const read = (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > DRAIN_LIMIT) data.pause();
    };
    data.on('data', read).on('error', () => {});
    const readOn = async function* () {
      yield* chunks;
      yield* data;
    };
    response.data = data.constructor.from(readOn());
    release = () => data.destroy();
  }
  return { response, release };
}
