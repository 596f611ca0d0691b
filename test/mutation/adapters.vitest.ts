import { tests } from './tests.ts';

export default tests([
  'test/{body,connection,adapters/**/*}.test.ts',
  'test/attack/*.test.ts',
  'test/hostile/callbacks.test.ts',
  'test/properties/{axios-urls,connection}.property.test.ts',
]);
