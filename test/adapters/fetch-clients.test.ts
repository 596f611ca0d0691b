import { ApolloClient, gql as apolloGql, HttpLink, InMemoryCache } from '@apollo/client';
import { createClient as createSupabase } from '@supabase/supabase-js';
import { createTRPCClient, httpBatchLink } from '@trpc/client';
import { initTRPC } from '@trpc/server';
import { fetchRequestHandler } from '@trpc/server/adapters/fetch';
import { Client as UrqlClient, fetchExchange, gql as urqlGql } from '@urql/core';
import axios from 'axios';
import { GraphQLClient } from 'graphql-request';
import { createFetch } from 'ofetch';
import createOpenApi from 'openapi-fetch';
import { expect, it, onTestFinished } from 'vitest';
import wretch from 'wretch';
import { withTokenRefresh } from '../../src/adapters/fetch.ts';
import { createTokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type ServerOptions,
} from '../authorization-server.ts';

/** The API that each client speaks to, as far as this test needs it. */
const json: NonNullable<ServerOptions['api']> = ({ url }) => ({
  name: url.pathname.split('/').at(-1),
});

const graphql: NonNullable<ServerOptions['api']> = ({ body }) => {
  const { variables } = JSON.parse(body) as { variables: { name: string } };
  return { data: { user: { __typename: 'User', name: variables.name } } };
};
const QUERY = 'query User($name: String!) { user(name: $name) { __typename name } }';

const t = initTRPC.create();
const router = t.router({
  user: t.procedure.input((given) => given as string).query(({ input }) => ({ name: input })),
});
const trpc: NonNullable<ServerOptions['api']> = ({ url, method, type, body }) =>
  fetchRequestHandler({
    endpoint: '/api/trpc',
    req: new Request(url, { method, headers: { 'content-type': type }, ...(body && { body }) }),
    router,
  });

interface Paths {
  '/api/users/{name}': {
    get: {
      parameters: { path: { name: string } };
      responses: { 200: { content: { 'application/json': { name: string } } } };
    };
  };
}

type GetUser = (name: string) => Promise<{ name: string } | null | undefined>;

/** Each as its own documentation sets it up, but for the `fetch`. */
const clients: [string, typeof json, (origin: string, api: typeof fetch) => GetUser][] = [
  [
    'ofetch',
    json,
    (baseURL, fetch) => {
      const api = createFetch({ fetch, defaults: { baseURL } });
      return (name) => api(`/api/users/${name}`);
    },
  ],
  [
    'wretch',
    json,
    (origin, fetch) => {
      const api = wretch(origin).polyfills({ fetch });
      return (name) => api.get(`/api/users/${name}`).json();
    },
  ],
  [
    'openapi-fetch',
    json,
    (baseUrl, fetch) => {
      const api = createOpenApi<Paths>({ baseUrl, fetch });
      return async (name) =>
        (await api.GET('/api/users/{name}', { params: { path: { name } } })).data;
    },
  ],
  [
    '@urql/core',
    graphql,
    (origin, fetch) => {
      const exchanges = [fetchExchange];
      const client = new UrqlClient({
        url: `${origin}/api/graphql`,
        fetch,
        exchanges,
        preferGetMethod: false,
      });
      return async (name) => {
        const { data, error } = await client.query(urqlGql(QUERY), { name }).toPromise();
        if (error) throw error;
        return (data as { user: { name: string } }).user;
      };
    },
  ],
  [
    "Apollo's HttpLink",
    graphql,
    (origin, fetch) => {
      const client = new ApolloClient({
        link: new HttpLink({ uri: `${origin}/api/graphql`, fetch }),
        cache: new InMemoryCache(),
      });
      return async (name) => {
        const query = apolloGql(QUERY);
        const { data } = await client.query<{ user: { name: string } }>({
          query,
          variables: { name },
          fetchPolicy: 'network-only',
        });
        return data?.user;
      };
    },
  ],
  [
    "tRPC's httpBatchLink",
    trpc,
    (origin, fetch) => {
      const links = [
        httpBatchLink({ url: `${origin}/api/trpc`, fetch: fetch as never, maxItems: 1 }),
      ];
      const client = createTRPCClient<typeof router>({ links });
      return (name) => client.user.query(name);
    },
  ],
  [
    '@supabase/supabase-js',
    ({ url }) => [{ name: url.searchParams.get('name')?.replace('eq.', '') }],
    (origin, fetch) => {
      const supabase = createSupabase(`${origin}/api`, 'anon-key', {
        global: { fetch },
        auth: { persistSession: false, autoRefreshToken: false },
        // Not used here, and Node 20 has none.
        realtime: { transport: (() => {}) as never },
      });
      return async (name) => {
        const { data, error } = await supabase.from('users').select('name').eq('name', name);
        if (error) throw error;
        return data[0];
      };
    },
  ],
  [
    'graphql-request',
    graphql,
    (origin, fetch) => {
      const client = new GraphQLClient(`${origin}/api/graphql`, { fetch });
      return async (name) =>
        (await client.request<{ user: { name: string } }>(QUERY, { name })).user;
    },
  ],
  [
    "axios' fetch transport",
    json,
    (baseURL, fetch) => {
      const api = axios.create({ baseURL, adapter: 'fetch', env: { fetch } });
      return async (name) => (await api.get<{ name: string }>(`/api/users/${name}`)).data;
    },
  ],
];

it.each(clients)(
  '%s takes it unchanged: 20 staggered 401s, one refresh',
  async (_, api, create) => {
    const server = await startAuthorizationServer({ api, staggered: (n) => (n % 20) * 8 });
    onTestFinished(() => server.close());
    const { session, token } = server.signIn();
    const tokens = createTokenSource({ token, refresh: refreshAt(server.origin) });
    const getUser = create(
      server.origin,
      withTokenRefresh(fetch, tokens, { allowedOrigins: [server.origin] }),
    );
    server.expireAccessTokens();

    const names = Array.from({ length: 20 }, (__, n) => `user-${n}`);
    const users = await Promise.all(names.map((name) => getUser(name)));
    expect(users.map((user) => user?.name)).toEqual(names);
    expect(session).toMatchObject({ alive: true, refreshes: 1, refusals: 20 });
    expect(server.paths()).toHaveLength(40);
  },
);
