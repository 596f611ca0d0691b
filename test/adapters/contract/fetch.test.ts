import { describe } from 'vitest';
import { fetchClient } from './clients.ts';
import { contract } from './contract.ts';

describe.each([fetchClient])('$name', (client) => {
  contract(client);
});
