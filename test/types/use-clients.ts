// Compiled by test/types.test.ts beside the clients' own declarations: what comes out is what went in.
import axios, { type AxiosHeaders, type AxiosInstance } from 'axios';
import axios17, { type AxiosInstance as AxiosInstance17 } from 'axios17';
import { Redis } from 'ioredis';
import ky, { type KyInstance } from 'ky';
import ky1, { type KyInstance as KyInstance1 } from 'ky1';
import { createTokenSource } from 'oneflight';
import { withTokenRefresh as withAxios } from 'oneflight/axios';
import { withTokenRefresh as withKy } from 'oneflight/ky';
import { postgresTokens } from 'oneflight/postgres';
import { redisTokens } from 'oneflight/redis';
import pg from 'pg';
import postgres from 'postgres';
import { createClient, createClientPool } from 'redis';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(..._: Equal<A, B> extends true ? [] : ['these types differ']): void => {};

const tokens = createTokenSource<string>({ refresh: () => 'abc' });
const allowedOrigins = ['https://api.example.com'];

const api = withAxios(axios.create(), tokens, {
  allowedOrigins,
  isRefused: async ({ status, data }) => status === 401 && data !== '',
  authorize: (headers, token) => headers.set('X-Token', token.toUpperCase()),
  skip: ({ url, method }) => url.endsWith('/login') && method === 'POST',
});
same<typeof api, AxiosInstance>();
withAxios(axios.create(), tokens, {
  authorize: (headers, token) => (headers as AxiosHeaders).setAuthorization(token),
});
const api17 = withAxios(axios17.create(), tokens);
same<typeof api17, AxiosInstance17>();

const viaKy = withKy(ky.create({ prefix: 'https://api.example.com' }), tokens, {
  authorize: (headers: Headers, token) => headers.append('X-Token', token.toUpperCase()),
});
same<typeof viaKy, KyInstance>();
const viaKy1 = withKy(ky1, tokens, { allowedOrigins });
same<typeof viaKy1, KyInstance1>();

// @ts-expect-error fetch is no axios instance
withAxios(fetch, tokens);
// @ts-expect-error axios is no ky instance
withKy(axios, tokens);
// @ts-expect-error the token is a string
withAxios(axios.create(), tokens, { authorize: (_, token: number) => token });
// @ts-expect-error no such option
withKy(ky, tokens, { allowedOrigin: [] });
// @ts-expect-error a token is no token source
withAxios(axios.create(), 'abc');

// Every client of an engine is taken as it is.
const name = 'session:ada';
createTokenSource<string>({ refresh: () => 'abc', shared: redisTokens(new Redis(), { name }) });
createTokenSource<string>({ refresh: () => 'abc', shared: redisTokens(createClient(), { name }) });
createTokenSource<string>({
  refresh: () => 'abc',
  shared: postgresTokens(new pg.Pool(), { name }),
});
createTokenSource<string>({ refresh: () => 'abc', shared: postgresTokens(postgres(), { name }) });
redisTokens<{ id: number }>(new Redis(), {
  name,
  ttl: 1_000,
  encode: (token) => token.id.toFixed(),
  decode: async (text) => ({ id: Number(text) }),
});
// @ts-expect-error a pool has no subscriptions
redisTokens(createClientPool(), { name });
// @ts-expect-error the name says who shares
redisTokens(new Redis(), {});
// @ts-expect-error axios is no pool
postgresTokens(axios, { name });
