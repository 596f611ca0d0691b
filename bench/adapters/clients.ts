/** The HTTP clients that have an adapter, each bare and wrapped, set up alike. */
import { setMaxListeners } from 'node:events';
import { createTokenSource } from '../../dist/index.js';
import { withTokenRefresh as withAxios } from '../../dist/axios.js';
import { withTokenRefresh as withFetch } from '../../dist/fetch.js';
import { withTokenRefresh as withKy } from '../../dist/ky.js';
import { peer } from '../peers.ts';
import type { Tokens } from '../server/start.ts';

/** One request, until its answer has been read. */
export type Call = () => Promise<unknown>;

/** What is sent. `GET with a signal` carries one that all requests of its client share. */
export const REQUESTS = ['GET', 'POST', 'GET with a signal'] as const;
export type RequestKind = (typeof REQUESTS)[number];

/** Where to, and as whom. */
export interface Target {
  readonly origin: string;
  readonly tokens: Tokens;
  /** Instead of the network. */
  readonly stub?: Stub | undefined;
}

/** Transports that answer at once. */
export interface Stub {
  readonly fetch: typeof fetch;
  /** An `adapter` of axios. */
  readonly adapter: (config: any) => Promise<any>;
}

/** Makes one client, bare or wrapped, that sends such requests. */
type Client = (target: Target, request: RequestKind, isWrapped: boolean) => Promise<Call>;

const PATH = '/items/17';
/** What is posted. */
const ITEM = { name: 'Ada Lovelace', roles: ['reader', 'writer'], isActive: true };

const source = (tokens: Tokens) =>
  createTokenSource<Tokens>({
    token: tokens,
    refresh() {
      throw new Error('nothing is refused here');
    },
  });

function signalOf(request: RequestKind): AbortSignal | undefined {
  if (request !== 'GET with a signal') return undefined;
  const { signal } = new AbortController();
  // undici removes a listener only when its Request is collected as garbage, and would warn of so many.
  setMaxListeners(0, signal);
  return signal;
}

/** The bare client sends the header by itself. */
const authorizationOf = ({ tokens }: Target) => ({
  Authorization: `Bearer ${tokens.access_token}`,
});

/** Wraps a `fetch`. */
type Wrap = (bare: typeof fetch, target: Target) => typeof fetch;

const byOneflight: Wrap = (bare, { origin, tokens }) =>
  withFetch(bare, source(tokens), { allowedOrigins: [origin] });

/** Sends the token and looks for a 401, no more: the least that a wrapper costs. */
const byHand: Wrap = (bare, target) => async (input, init) => {
  const headers = new Headers(init?.headers);
  headers.set('Authorization', authorizationOf(target).Authorization);
  const response = await bare(input, { ...init, headers });
  if (response.status === 401) throw new Error('nothing is refused here');
  return response;
};

const fetchClient =
  (wrap: Wrap): Client =>
  async (target, request, isWrapped) => {
    const { origin, stub } = target;
    // Not `globalThis.fetch` itself, so that bare and stub are called in the same way.
    const bare = stub?.fetch ?? fetch;
    const send = isWrapped ? wrap(bare, target) : bare;
    const authorization = isWrapped ? {} : authorizationOf(target);
    const signal = signalOf(request);
    const url = `${origin}${PATH}`;
    const read = stub ? (response: Response) => response : (response: Response) => response.json();
    if (request === 'POST') {
      return async () =>
        read(
          await send(url, {
            method: 'POST',
            body: JSON.stringify(ITEM),
            headers: { 'Content-Type': 'application/json', ...authorization },
          }),
        );
    }
    if (signal) return async () => read(await send(url, { signal, headers: { ...authorization } }));
    if (isWrapped) return async () => read(await send(url));
    return async () => read(await send(url, { headers: { ...authorization } }));
  };

/** Wraps an axios instance. */
type WrapInstance = (instance: any, target: Target) => any;

const axiosByOneflight: WrapInstance = (instance, { tokens }) =>
  withAxios(instance, source(tokens));

/** The interceptors of the recipes, with nothing in them. */
const axiosByHand: WrapInstance = (instance, target) => {
  instance.interceptors.request.use((config: any) => {
    config.headers.set('Authorization', authorizationOf(target).Authorization);
    return config;
  });
  instance.interceptors.response.use(undefined, () => {
    throw new Error('nothing is refused here');
  });
  return instance;
};

/** @param configure Says which transport. */
const axiosClient =
  (
    configure: (axios: any, stub: Stub | undefined) => object,
    wrap: WrapInstance = axiosByOneflight,
  ): Client =>
  async (target, request, isWrapped) => {
    const { default: axios } = await peer('axios');
    const config = { baseURL: target.origin, ...configure(axios, target.stub) };
    const api = isWrapped
      ? wrap(axios.create(config), target)
      : axios.create({ ...config, headers: authorizationOf(target) });
    const signal = signalOf(request);
    if (request === 'POST') return () => api.post(PATH, ITEM);
    return signal ? () => api.get(PATH, { signal }) : () => api.get(PATH);
  };

const kyClient: Client = async (target, request, isWrapped) => {
  const { origin, tokens, stub } = target;
  const { default: ky } = await peer('ky');
  const config = { prefix: origin };
  // As most have it: a `fetch` of the instance's own would be sent clones.
  if (stub) globalThis.fetch = stub.fetch;
  const api = isWrapped
    ? withKy(ky.create(config), source(tokens))
    : ky.create({ ...config, headers: authorizationOf(target) });
  const signal = signalOf(request);
  const read = stub ? (response: any) => response : (response: any) => response.json();
  if (request === 'POST') return async () => read(await api.post(PATH, { json: ITEM }));
  return signal
    ? async () => read(await api.get(PATH, { signal }))
    : async () => read(await api.get(PATH));
};

const byName = (_: unknown, stub: Stub | undefined) => (stub ? { adapter: stub.adapter } : {});

/** By the name of the results. */
export const clients: Readonly<Record<string, Client>> = {
  fetch: fetchClient(byOneflight),
  'fetch, wrapped by hand': fetchClient(byHand),
  axios: axiosClient(byName),
  'axios, wrapped by hand': axiosClient(byName, axiosByHand),
  "axios, getAdapter('http')": axiosClient((axios, stub) => ({
    adapter: stub?.adapter ?? axios.getAdapter('http'),
  })),
  "axios, adapter 'fetch'": axiosClient((_, stub) => ({
    adapter: 'fetch',
    ...(stub && { env: { fetch: stub.fetch, Request, Response } }),
  })),
  ky: kyClient,
};
