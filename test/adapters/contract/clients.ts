import { expect } from 'vitest';
import { Readable } from 'node:stream';
import axios, { type AxiosInstance, type AxiosRequestConfig } from 'axios';
import axios17 from 'axios17';
import ky2 from 'ky';
import ky1 from 'ky1';
import { withTokenRefresh as withAxios } from '../../../src/adapters/axios.ts';
import { withTokenRefresh as withFetch } from '../../../src/adapters/fetch.ts';
import { withTokenRefresh as withKy } from '../../../src/adapters/ky.ts';
import type { RequestSummary } from '../../../src/adapters/fetch.ts';
import type { TokenSource } from '../../../src/index.ts';
import type { TokenResponse } from '../../authorization-server.ts';

/** What every client can do, in one form. */
export interface Request {
  method?: string;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
  form?: FormData;
  stream?: ReadableStream<Uint8Array>;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  /** As text. */
  body: string;
}

/** Takes a path of the API or an absolute URL. Answers whatever the status; rejects as the client does. */
export type Send = (url: string, request?: Request) => Promise<Answer>;

export interface Options {
  allowedOrigins?: string[];
  skip?: (request: RequestSummary) => boolean;
  isRefused?: (response: { status: number }) => boolean | Promise<boolean>;
  authorize?: (
    headers: { set(name: string, value: string): unknown },
    token: TokenResponse,
  ) => unknown;
}

/** A client that can be wrapped. */
export interface Client {
  name: string;
  /** One that sends to the API at `origin`, which it knows as its base URL if it can. */
  wrap(origin: string, tokens: TokenSource<TokenResponse>, options?: Options): Send;
  /** What an abort with this reason rejects with. */
  abort(reason: unknown): unknown;
  /** Whether it gives the wrapped transport its caller's own signal. */
  passesSignal: boolean;
  /** Whether a stream given as a body is sent again. */
  replaysStreams: boolean;
  /** Whether it can send a form at all. */
  sendsForms: boolean;
  /** Whether it says where a redirect led. */
  tellsRedirects: boolean;
  /** The status of the refused answer in an error, which any client's `catch` finds in `response`. */
  statusOf(error: unknown): number | undefined;
}

const statusOf = (error: unknown) => (error as { response?: { status: number } }).response?.status;

const answerOf = async (response: Response): Promise<Answer> => ({
  status: response.status,
  body: await response.text(),
});

export const fetchClient: Client = {
  name: 'fetch',
  wrap(origin, tokens, options) {
    const api = withFetch(fetch, tokens, { allowedOrigins: [origin], ...options });
    return async (url, { json, text, form, stream, headers = {}, ...init } = {}) => {
      const body = json === undefined ? (text ?? form ?? stream) : JSON.stringify(json);
      if (json !== undefined) headers['content-type'] = 'application/json';
      const extra = { body: body ?? null, ...(stream && { duplex: 'half' }) };
      return answerOf(await api(new URL(url, origin), { ...init, headers, ...extra }));
    };
  },
  abort: (reason) => reason,
  passesSignal: true,
  replaysStreams: false,
  sendsForms: true,
  tellsRedirects: true,
  statusOf,
};

/** Node's own transport, or a page's. */
const own = 'XMLHttpRequest' in globalThis ? 'xhr' : 'http';

function axiosClient(
  name: string,
  create: (config: AxiosRequestConfig) => AxiosInstance,
  adapter: 'http' | 'xhr' | 'fetch',
): Client {
  return {
    name: `${name}, ${adapter}`,
    wrap(baseURL, tokens, options) {
      const api = withAxios(create({ baseURL, adapter }), tokens, options);
      return async (
        url,
        { json, text, form, stream, method = 'get', headers = {}, signal } = {},
      ) => {
        // In Node, axios' fetch transport forgets the type of a form.
        if (form && adapter === 'fetch') headers['content-type'] = 'multipart/form-data';
        const { status, data } = await api.request<string>({
          url,
          method,
          headers,
          data:
            json ?? text ?? form ?? (stream && adapter === 'http' ? Readable.from(stream) : stream),
          responseType: 'text',
          validateStatus: () => true,
          ...(signal && { signal }),
        });
        return { status, body: data };
      };
    },
    abort: () => expect.objectContaining({ name: 'CanceledError', code: 'ERR_CANCELED' }),
    passesSignal: true,
    replaysStreams: false,
    // In Node, 1.7.0 sends a form by fetch without a boundary.
    sendsForms: !(name === 'axios 1.7.0' && adapter === 'fetch'),
    tellsRedirects: adapter !== 'fetch',
    statusOf,
  };
}

const create17 = (config: object) => axios17.create(config) as unknown as AxiosInstance;

export const axiosClients: Client[] = [
  axiosClient('axios', (config) => axios.create(config), own),
  axiosClient('axios', (config) => axios.create(config), 'fetch'),
  axiosClient('axios 1.7.0', create17, own),
  axiosClient('axios 1.7.0', create17, 'fetch'),
];

function kyClient(name: string, create: (origin: string) => typeof ky2): Client {
  return {
    name,
    wrap(origin, tokens, options) {
      const api = withKy(create(origin), tokens, options);
      return async (url, { text, form, stream, ...init } = {}) => {
        const body = text ?? form ?? stream;
        // A path is relative to the base URL; ky 1 wants it without the slash.
        const input = url.startsWith('/') ? url.slice(1) : new URL(url);
        const extra = { ...(body && { body }), throwHttpErrors: false };
        return answerOf(await api(input, { ...init, ...extra }));
      };
    },
    abort: (reason) => reason,
    passesSignal: false,
    replaysStreams: true,
    sendsForms: true,
    tellsRedirects: true,
    statusOf,
  };
}

export const kyClients: Client[] = [
  // Its own timeout of 10 seconds is no part of the contract, and too short on a busy machine.
  kyClient('ky 1', (origin) => ky1.create({ prefixUrl: origin, timeout: false }) as never),
  kyClient('ky 2', (origin) => ky2.create({ prefix: origin, timeout: false })),
];
