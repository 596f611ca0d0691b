import { describe } from 'vitest';
import { kyClients } from './clients.ts';
import { contract } from './contract.ts';

describe.each(kyClients)('$name', (client) => {
  contract(client);
});
