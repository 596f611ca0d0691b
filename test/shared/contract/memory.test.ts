import { memoryTokens, MemoryTokens } from '../memory-tokens.ts';
import { describeEngine } from './contract.ts';

describeEngine('Tokens shared in memory', async () => {
  const places = new Map<string, MemoryTokens<any>>();
  let failures = 0;
  class Place extends MemoryTokens<any> {
    override async write(...args: Parameters<MemoryTokens<any>['write']>) {
      if (failures-- > 0) throw new Error('the store is gone');
      return super.write(...args);
    }
  }
  return {
    open({ name }) {
      if (!places.has(name)) places.set(name, new Place());
      return memoryTokens(name, places.get(name)!);
    },
    failWrites: (count) => {
      failures = count;
    },
    async wipe() {
      for (const place of places.values()) place.stored = undefined;
    },
  };
});
