import { mutation } from './stryker.mjs';

export default mutation('core', ['src/*.ts', 'src/realms/lease.ts', '!src/{body,connection}.ts']);
