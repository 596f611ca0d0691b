/** What runs in the page: clients over the browser's own transports, and what the tests ask of them. */
import axios, { type AxiosRequestConfig } from 'axios';
import ky from 'ky';
import { withTokenRefresh as withAxios } from '../../src/adapters/axios.ts';
import { withTokenRefresh as withFetch } from '../../src/adapters/fetch.ts';
import { withTokenRefresh as withKy } from '../../src/adapters/ky.ts';
import { createTokenSource } from '../../src/index.ts';

interface Token {
  access_token: string;
  refresh_token: string;
}

/** Clients that share a source, all of the page's own origin, which they need not name. */
function open(token: Token) {
  const tokens = createTokenSource<Token>({
    token,
    retry: { retries: 0 },
    refresh: async ({ token: { refresh_token }, signal }) => {
      const body = new URLSearchParams({ refresh_token });
      const response = await fetch('/token', { method: 'POST', body, signal });
      if (!response.ok) throw new Error('refresh failed', { cause: response });
      return (await response.json()) as Token;
    },
  });
  const xhr = withAxios(axios.create({ adapter: 'xhr' }), tokens);
  const plain = withFetch(fetch, tokens);
  const viaKy = withKy(ky, tokens);
  return { tokens, xhr, plain, viaKy };
}

let clients: ReturnType<typeof open>;

const pageApi = {
  open(token: Token) {
    clients = open(token);
  },
  /** The paths of the answers, by each client in turn. */
  async burst(count: number) {
    const { xhr, plain, viaKy } = clients;
    const ways = [
      async (url: string) => (await xhr.get<{ path: string }>(url)).data,
      async (url: string) => (await plain(url)).json() as Promise<{ path: string }>,
      async (url: string) => viaKy.get(new URL(url, location.href)).json<{ path: string }>(),
    ];
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => ways[n % 3]!(`/api/${n}?delay=${n * 5}`)),
    );
    return answers.map(({ path }) => path);
  },
  /** What one request by XMLHttpRequest gives, and how far its progress went. */
  async request(config: AxiosRequestConfig) {
    let [up, down] = [0, 0];
    const { data, status, request } = await clients.xhr.request({
      ...config,
      onUploadProgress: ({ loaded }) => (up = loaded),
      onDownloadProgress: ({ loaded }) => (down = loaded),
    });
    const text = data instanceof Blob ? await data.text() : JSON.stringify(data);
    return { status, text, up, down, isXhr: request instanceof XMLHttpRequest };
  },
  /** How a request fails, aborted after the refresh has begun if it is to be. */
  async fail(config: AxiosRequestConfig, abort = false) {
    const { tokens, xhr } = clients;
    const caller = new AbortController();
    const outcome = xhr.request({ ...config, signal: caller.signal }).then(
      () => 'answered' as const,
      (error) => ({ name: error.name, code: error.code, status: error.response?.status }),
    );
    if (abort) {
      while (!tokens.refreshing) await new Promise((resolve) => setTimeout(resolve, 5));
      caller.abort();
    }
    return outcome;
  },
};

export type PageApi = typeof pageApi;
Object.assign(globalThis, { pageApi });
