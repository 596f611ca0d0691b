import { memoryTokens, MemoryTokens } from '../memory-tokens.ts';
import { describeEngine } from './contract.ts';

describeEngine('Tokens shared in memory', async () => {
  const places = new Map<string, MemoryTokens<any>>();
  let failures = 0;
  let isWritten = false;
  class Place extends MemoryTokens<any> {
    override async write(...args: Parameters<MemoryTokens<any>['write']>) {
      const isFailing = failures-- > 0;
      const answer = !isFailing || isWritten ? await super.write(...args) : undefined;
      if (isFailing) throw new Error('the store is gone');
      return answer!;
    }
  }
  return {
    open({ name }) {
      if (!places.has(name)) places.set(name, new Place());
      return memoryTokens(name, places.get(name)!);
    },
    failWrites: (count, when) => {
      failures = count;
      isWritten = when === 'after';
    },
    async wipe() {
      for (const place of places.values()) place.stored = undefined;
    },
  };
});
