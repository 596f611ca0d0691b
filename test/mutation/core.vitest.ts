import { tests } from './tests.ts';

export default tests([
  'test/{flight-group,single-flight,connection,token-source*}.test.ts',
  'test/{properties,shared,attack}/**/*.test.ts',
  // Not those with servers.
  'test/hostile/{callbacks,clock,options,refresh-errors,tasks,tokens}.test.ts',
]);
