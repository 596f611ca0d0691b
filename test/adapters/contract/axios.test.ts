import { describe } from 'vitest';
import { axiosClients } from './clients.ts';
import { contract } from './contract.ts';

describe.each(axiosClients)('$name', (client) => {
  contract(client);
});
