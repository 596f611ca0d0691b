import { mutation } from './stryker.mjs';

export default {
  ...mutation('realms', ['src/realms/{browser,redis,postgres}.ts']),
  // Some of their tests are of a process that runs what is built.
  ignorePatterns: ['coverage', '.demo'],
};
