import { mutation } from './stryker.mjs';

export default mutation('adapters', ['src/adapters/*.ts', 'src/{body,connection}.ts']);
