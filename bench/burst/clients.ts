/** The clients of the burst: those that have an adapter of ours, and other libraries, as their READMEs say. */
import { Agent } from 'node:http';
import { createTokenSource } from '../../dist/index.js';
import { withTokenRefresh as withAxios } from '../../dist/axios.js';
import { withTokenRefresh as withFetch } from '../../dist/fetch.js';
import { withTokenRefresh as withKy } from '../../dist/ky.js';
import { peer } from '../peers.ts';
import type { Server, Tokens } from '../server/start.ts';

/** Sends a request and reads its answer. Gives the status; rejects as the client does. */
export type Send = (path: string, token: string) => Promise<number>;

/** Gets the next tokens, with no retries. */
export type Refresh = (tokens: Tokens) => Promise<Tokens>;

/** Sends a request and reads its answer. Gives whether its caller got what it asked for. */
export type Call = (path: string) => Promise<boolean>;

export interface Client {
  /** The bare client. */
  readonly send: Send;
  readonly refresh: Refresh;
  /** A client that refreshes by itself, for one session. */
  readonly create: (tokens: Tokens) => Call;
}

type Origins = Pick<Server, 'api' | 'authorization'>;

/**
 * How many connections each client may open to an origin. Without a bound, each request of a burst
 * opens one, and 5000 at once fail here and there by limits of the system.
 */
export const CONNECTIONS = 256;

/** Bounds the global `fetch` by the `Agent` that it uses anyway, which Node exports nowhere. */
export async function boundFetch(): Promise<void> {
  // Made when it is first used.
  await fetch('data:,');
  const at = Symbol.for('undici.globalDispatcher.1');
  const globals = globalThis as unknown as Record<
    symbol,
    { constructor: new (options: object) => any }
  >;
  globals[at] = new globals[at]!.constructor({ connections: CONNECTIONS });
}

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** Told nothing of the expiry: they meet it as 401s. */
const source = (refresh: Refresh, tokens: Tokens) =>
  createTokenSource<Tokens>({
    token: tokens,
    refresh: ({ token }) => refresh(token),
    expiresAt: () => undefined,
  });

/** For all that send by `fetch`. */
const refreshByFetch =
  ({ authorization }: Origins): Refresh =>
  async (tokens) => {
    const response = await fetch(`${authorization}/token`, {
      method: 'POST',
      body: JSON.stringify({ refresh_token: tokens.refresh_token }),
    });
    if (!response.ok) throw new Error('refresh failed', { cause: response });
    return (await response.json()) as Tokens;
  };

async function fetchClient(origins: Origins): Promise<Client> {
  const refresh = refreshByFetch(origins);
  return {
    async send(path, token) {
      const response = await fetch(origins.api + path, { headers: bearer(token) });
      await response.json();
      return response.status;
    },
    refresh,
    create(tokens) {
      const api = withFetch(fetch, source(refresh, tokens), { allowedOrigins: [origins.api] });
      return async (path) => {
        const response = await api(origins.api + path);
        await response.json();
        return response.ok;
      };
    },
  };
}

async function kyClient(origins: Origins): Promise<Client> {
  const { default: ky } = await peer('ky');
  // Nobody gives up or tries again by a clock of its own: not the bare one, and not the wrapped one.
  const config = { prefix: origins.api, timeout: false, retry: 0 };
  const bare = ky.create({ ...config, throwHttpErrors: false });
  const refresh: Refresh = (tokens) =>
    ky
      .post(`${origins.authorization}/token`, {
        json: { refresh_token: tokens.refresh_token },
        retry: 0,
      })
      .json();
  return {
    async send(path, token) {
      const response = await bare.get(path, { headers: bearer(token) });
      await response.json();
      return response.status;
    },
    refresh,
    create(tokens) {
      const api = withKy(ky.create(config), source(refresh, tokens));
      return async (path) => {
        const response = await api.get(path);
        await response.json();
        return response.ok;
      };
    },
  };
}

/** @param protect Makes an instance refresh by itself, for one session. */
const axiosClient =
  (protect: (instance: any, refresh: Refresh, tokens: Tokens) => unknown) =>
  async ({ api, authorization }: Origins): Promise<Client> => {
    const { default: axios } = await peer('axios');
    const config = {
      baseURL: api,
      httpAgent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }),
    };
    const bare = axios.create(config);
    const refresh: Refresh = async ({ refresh_token }) =>
      (await axios.post(`${authorization}/token`, { refresh_token })).data;
    return {
      // Whoever writes it by hand is told of a refusal by an error, as its interceptor is.
      send: async (path, token) => {
        const { status } = await bare
          .get(path, { headers: bearer(token) })
          .catch(({ response }: any) => response);
        return status;
      },
      refresh,
      create(tokens) {
        const instance = axios.create(config);
        protect(instance, refresh, tokens);
        return async (path) => (await instance.get(path)).status === 200;
      },
    };
  };

async function axiosAuthRefresh(origins: Origins): Promise<Client> {
  const { createAuthRefresh } = await peer('axios-auth-refresh');
  return axiosClient((instance, refresh, signedIn) => {
    let tokens = signedIn;
    createAuthRefresh(instance, async (failed: any) => {
      tokens = await refresh(tokens);
      failed.response.config.headers['Authorization'] = `Bearer ${tokens.access_token}`;
    });
    instance.interceptors.request.use((request: any) => {
      request.headers['Authorization'] = `Bearer ${tokens.access_token}`;
      return request;
    });
  })(origins);
}

async function axiosAuthRefreshQueue(origins: Origins): Promise<Client> {
  const { applyAuthTokenInterceptor } = await peer('axios-auth-refresh-queue');
  return axiosClient((instance, refresh, signedIn) => {
    let tokens = signedIn;
    applyAuthTokenInterceptor(instance, {
      headerTokenHandler(request: any) {
        request.headers.Authorization = `Bearer ${tokens.access_token}`;
      },
      getRefreshToken: () => tokens.refresh_token,
      async requestRefresh(refreshToken: string) {
        const next = await refresh({ ...tokens, refresh_token: refreshToken });
        return { accessToken: next.access_token, refreshToken: next.refresh_token };
      },
      onSuccess(next: { accessToken: string; refreshToken: string }) {
        tokens = {
          ...tokens,
          access_token: next.accessToken,
          refresh_token: next.refreshToken,
        };
      },
      onFailure() {},
    });
  })(origins);
}

/** Without its cache, which would answer the second burst. */
async function alova(origins: Origins): Promise<Client> {
  const [{ createAlova }, { createServerTokenAuthentication }, { default: adapterFetch }] =
    await Promise.all([peer('alova'), peer('alova/client'), peer('alova/fetch')]);
  const config = {
    baseURL: origins.api,
    requestAdapter: adapterFetch(),
    cacheFor: null,
    cacheLogger: false,
  };
  const read = async (response: Response) => {
    await response.json();
    return response.status;
  };
  const bare = createAlova({ ...config, responded: read });
  const refresh = refreshByFetch(origins);
  return {
    send: async (path, token) => bare.Get(path, { headers: bearer(token) }),
    refresh,
    create(signedIn) {
      let tokens = signedIn;
      const { onAuthRequired, onResponseRefreshToken } = createServerTokenAuthentication({
        assignToken(method: any) {
          method.config.headers.Authorization = `Bearer ${tokens.access_token}`;
        },
        refreshTokenOnSuccess: {
          isExpired: (response: Response) => response.status === 401,
          async handler() {
            tokens = await refresh(tokens);
          },
        },
      });
      const instance = createAlova({
        ...config,
        beforeRequest: onAuthRequired(),
        responded: onResponseRefreshToken(read),
      });
      return async (path) => (await instance.Get(path)) === 200;
    },
  };
}

/** Without its cache, which would answer the second burst. */
async function urql({ api, authorization }: Origins): Promise<Client> {
  const [{ Client: UrqlClient, fetchExchange }, { authExchange }] = await Promise.all([
    peer('@urql/core'),
    peer('@urql/exchange-auth'),
  ]);
  const query = 'query ($id: Int) { item(id: $id) { id name roles } }';
  const config = { url: api, preferGetMethod: false, requestPolicy: 'network-only' };
  // By its variables, one query differs from another: equal ones share an answer.
  const variablesOf = (path: string) => ({ id: Number(path.split('/').at(-1)) });
  const bare = new UrqlClient({ ...config, exchanges: [fetchExchange] });
  const refresh = refreshByFetch({ api, authorization });
  return {
    async send(path, token) {
      const { error } = await bare
        .query(query, variablesOf(path), {
          url: api + path,
          fetchOptions: { headers: bearer(token) },
        })
        .toPromise();
      return error ? error.response.status : 200;
    },
    refresh,
    create(signedIn) {
      let tokens = signedIn;
      const client = new UrqlClient({
        ...config,
        exchanges: [
          authExchange(async (utilities: any) => ({
            addAuthToOperation: (operation: any) =>
              utilities.appendHeaders(operation, bearer(tokens.access_token)),
            didAuthError: (error: any) => error.response?.status === 401,
            async refreshAuth() {
              tokens = await refresh(tokens);
            },
          })),
          fetchExchange,
        ],
      });
      return async (path) => {
        const { data } = await client
          .query(query, variablesOf(path), { url: api + path })
          .toPromise();
        return !!data;
      };
    },
  };
}

/** By the name of the results: ours, each by the client that it wraps. */
export const ours: Readonly<Record<string, (origins: Origins) => Promise<Client>>> = {
  'oneflight, fetch': fetchClient,
  'oneflight, axios': axiosClient((instance, refresh, tokens) =>
    withAxios(instance, source(refresh, tokens)),
  ),
  'oneflight, ky': kyClient,
};

/** Others, by the name of their package. */
export const others: typeof ours = {
  'axios-auth-refresh': axiosAuthRefresh,
  'axios-auth-refresh-queue': axiosAuthRefreshQueue,
  alova,
  '@urql/exchange-auth': urql,
};
