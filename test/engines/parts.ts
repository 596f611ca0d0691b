import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's, whatever its major version. */
export const POSTGRES_BIN = existsSync('/usr/lib/postgresql')
  ? join('/usr/lib/postgresql', readdirSync('/usr/lib/postgresql').sort().at(-1)!, 'bin')
  : '';

/** What the suites need, by the name of its package. */
export const BINARIES = {
  'redis-server': '/usr/bin/redis-server',
  postgresql: join(POSTGRES_BIN, 'initdb'),
  pgbouncer: '/usr/sbin/pgbouncer',
};

/** Says aloud what is not here. Under CI nothing is absent: what needs it fails. */
export function absentParts(...names: (keyof typeof BINARIES)[]): string[] {
  const absent = names.filter((name) => !existsSync(BINARIES[name]));
  const install = `apt-get install -y --no-install-recommends ${absent.join(' ')}`;
  if (absent.length) console.warn(`SKIPPED: no ${absent.join(', no ')} here. ${install}`);
  return process.env['CI'] ? [] : absent;
}
