import axios from 'axios';
import { createAuthRefresh } from 'axios-auth-refresh';
import ky2 from 'ky';
import ky1 from 'ky1';
import { createTokenSource } from 'oneflight';
import { withTokenRefresh as withAxios } from 'oneflight/axios';
import { withTokenRefresh as withFetch } from 'oneflight/fetch';
import { withTokenRefresh as withKy } from 'oneflight/ky';
import { refreshAt, type TokenResponse } from '../../test/authorization-server.ts';

/** A client of the API at `origin`, signed in with `token`. */
export type Recipe = (origin: string, token: TokenResponse) => (url: string) => Promise<Response>;

const bearer = (token: TokenResponse) => ({
  headers: { authorization: `Bearer ${token.access_token}` },
});

/** As in countless interceptors: every 401 refreshes. The second use of a refresh token ends the session. */
export const naive: Recipe = (origin, signedIn) => {
  let token = signedIn;
  return async (url) => {
    const response = await fetch(url, bearer(token));
    if (response.status !== 401) return response;
    token = await refreshAt(origin)({ token });
    return fetch(url, bearer(token));
  };
};

/** As in the blog posts: a flag and a promise that nobody resets. Good once; the next expiry gets the old token. */
export const closure: Recipe = (origin, signedIn) => {
  let token = signedIn;
  let isRefreshing = false;
  let refreshing: Promise<void>;
  const refreshOnce = () => {
    if (!isRefreshing) {
      isRefreshing = true;
      refreshing = refreshAt(origin)({ token }).then((next) => {
        token = next;
      });
    }
    return refreshing;
  };
  return async (url) => {
    const response = await fetch(url, bearer(token));
    if (response.status !== 401) return response;
    await refreshOnce();
    return fetch(url, bearer(token));
  };
};

/** The most pasted one: a flag and a queue. A 401 that comes after the refresh has ended begins another. */
export const flagAndQueue: Recipe = (origin, signedIn) => {
  let token = signedIn;
  let isRefreshing = false;
  let queue: { resolve: (token: TokenResponse) => void; reject: (error: unknown) => void }[] = [];
  return async (url) => {
    const response = await fetch(url, bearer(token));
    if (response.status !== 401) return response;
    if (isRefreshing) {
      const next = await new Promise<TokenResponse>((resolve, reject) => {
        queue.push({ resolve, reject });
      });
      return fetch(url, bearer(next));
    }
    isRefreshing = true;
    try {
      token = await refreshAt(origin)({ token });
      for (const { resolve } of queue) resolve(token);
    } catch (error) {
      for (const { reject } of queue) reject(error);
      throw error;
    } finally {
      isRefreshing = false;
      queue = [];
    }
    return fetch(url, bearer(token));
  };
};

/** axios-auth-refresh, set up as its README says. */
export const axiosAuthRefresh: Recipe = (origin, signedIn) => {
  let token = signedIn;
  const api = axios.create({ responseType: 'text' });
  createAuthRefresh(api as never, async (failed) => {
    token = await refreshAt(origin)({ token });
    failed.response.config.headers.Authorization = `Bearer ${token.access_token}`;
  });
  api.interceptors.request.use((request) => {
    request.headers.Authorization = `Bearer ${token.access_token}`;
    return request;
  });
  return async (url) => new Response((await api.get<string>(url)).data);
};

/** As in README. It is kept from knowing when its token expires, so that it meets the 401s too. */
const source = (origin: string, token: TokenResponse) =>
  createTokenSource({ token, refresh: refreshAt(origin), expiresAt: () => undefined });

export const oneflightFetch: Recipe = (origin, token) =>
  withFetch(fetch, source(origin, token), { allowedOrigins: [origin] });

export const oneflightAxios: Recipe = (baseURL, token) => {
  const api = withAxios(axios.create({ baseURL, responseType: 'text' }), source(baseURL, token));
  return async (url) => new Response((await api.get<string>(url)).data);
};

export const oneflightKy1: Recipe = (origin, token) =>
  withKy(ky1, source(origin, token), { allowedOrigins: [origin] });

export const oneflightKy2: Recipe = (origin, token) =>
  withKy(ky2, source(origin, token), { allowedOrigins: [origin] });
