import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { TokenSource } from '../../src/index.ts';
import {
  refreshAt,
  startAuthorizationServer,
  type AuthorizationServer,
  type TokenResponse,
} from '../authorization-server.ts';
import { blocksOf, read, writeModule } from '../markdown.ts';
import { describeWith, startPostgres, startRedis, type Server } from './servers.ts';

const guide = read('docs/beyond-one-realm.md');

let server: AuthorizationServer;
let engines: Server[];

/** Runs a block as it is pasted, in an app whose user is signed in. */
async function paste<Exports>(name: string, code: string, exported: string): Promise<Exports> {
  const [redis, postgres] = engines as [Server, Server];
  vi.stubGlobal('REDIS_URL', `redis://127.0.0.1:${redis.port}`);
  vi.stubGlobal('POSTGRES_URL', `postgres://postgres@127.0.0.1:${postgres.port}/postgres`);
  vi.stubGlobal('id', `guide ${name}`);
  vi.stubGlobal('refresh', refreshAt(server.origin));
  const given = 'type Token = any;\n';
  return (await import(writeModule(`${given}${code}\nexport { ${exported} };\n`))) as Exports;
}

const block = (name: string) => blocksOf(guide, `ts ${name}`)[0]!;

async function expectOneRefresh(tokens: TokenSource<TokenResponse>): Promise<void> {
  const { session, token } = server.signIn();
  await tokens.set(token);
  const credential = await tokens.get();
  await Promise.all([tokens.renew(credential), tokens.renew(credential)]);
  expect(session).toMatchObject({ alive: true, refreshes: 1 });
  expect(tokens.coordination).toBe('shared');
  tokens.close();
}

describeWith('redis-server', 'postgresql')(
  'The code of docs/beyond-one-realm.md runs as it is pasted',
  () => {
    beforeAll(async () => {
      engines = await Promise.all([startRedis(), startPostgres()]);
      server = await startAuthorizationServer();
    });

    afterEach(() => void vi.unstubAllGlobals());

    afterAll(async () => {
      await server?.close();
      await Promise.all((engines ?? []).map(async (engine) => engine.stop()));
    });

    it('Redis', async () => {
      const pasted = await paste<{ tokens: TokenSource<TokenResponse>; redis: Redis }>(
        'redis',
        block('redis'),
        'redis',
      );
      await expectOneRefresh(pasted.tokens);
      pasted.redis.disconnect();
    });

    it('PostgreSQL', async () => {
      const pasted = await paste<{ tokens: TokenSource<TokenResponse>; pool: pg.Pool }>(
        'postgres',
        block('postgres'),
        'pool',
      );
      await expectOneRefresh(pasted.tokens);
      await pasted.pool.end();
    });

    it('encrypted', async () => {
      vi.stubGlobal('TOKEN_KEY', Buffer.alloc(32, 7).toString('base64'));
      const code = `import { createTokenSource } from 'oneflight';
    import { Redis } from 'ioredis';
    const redis = new Redis(REDIS_URL);
    ${block('encrypt')}
    const tokens = createTokenSource<Token>({ shared, refresh });`;
      const pasted = await paste<{ tokens: TokenSource<TokenResponse>; redis: Redis }>(
        'encrypt',
        code,
        'redis, tokens',
      );
      await expectOneRefresh(pasted.tokens);
      const [stored] = await pasted.redis.hmget('oneflight:{session:guide encrypt}', 'token');
      // A compact JWE: five parts, and nothing of the token in the clear.
      expect(stored!.split('.')).toHaveLength(5);
      expect(Buffer.from(stored!.split('.')[3]!, 'base64url').toString()).not.toContain('rt-');
      pasted.redis.disconnect();
    });
  },
);
