import axios from 'axios';
import ky from 'ky';
import { axiosClients, fetchClient, kyClients, type Client } from '../adapters/contract/clients.ts';
import { refreshAt, type TokenResponse } from '../token-endpoint.ts';

type Refresh = (context: { token: TokenResponse; signal: AbortSignal }) => Promise<TokenResponse>;

/** A client for the API, and how an app refreshes with its bare self. */
export interface RefreshingClient {
  client: Client;
  refreshAt(origin: string): Refresh;
}

const formOf = ({ refresh_token }: TokenResponse) =>
  new URLSearchParams({ grant_type: 'refresh_token', refresh_token });

/** They read an answer that is no token each in their own way. */
export const refreshingClients: RefreshingClient[] = [
  { client: fetchClient, refreshAt },
  {
    client: axiosClients[0]!,
    refreshAt:
      (origin) =>
      async ({ token, signal }) =>
        (await axios.post<TokenResponse>(`${origin}/token`, formOf(token), { signal })).data,
  },
  {
    client: kyClients[1]!,
    refreshAt:
      (origin) =>
      ({ token, signal }) =>
        ky.post(`${origin}/token`, { body: formOf(token), signal }).json<TokenResponse>(),
  },
];
