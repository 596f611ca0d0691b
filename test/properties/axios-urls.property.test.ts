import axios, { type AxiosInstance } from 'axios';
import axios17 from 'axios17';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withTokenRefresh } from '../../src/adapters/axios.ts';
import { createTokenSource } from '../../src/index.ts';
import { runs } from './runs.ts';

const ORIGIN = 'https://api.example.com';

describe.each([
  ['axios 1.7', axios17 as unknown as AxiosInstance],
  ['axios', axios],
])('A URL in %s', (_, client) => {
  it('leads where axios sends it, however it and its base are written', async () => {
    const tokens = createTokenSource({ token: 'good', refresh: () => 'good' });
    let told: string | undefined;
    const adapter = async (config: any) => ({ status: 200, headers: {}, data: '', config });
    const api = withTokenRefresh((client as typeof axios).create({ adapter } as object), tokens, {
      allowedOrigins: [ORIGIN],
      skip({ url }) {
        told = url;
        return false;
      },
    });
    const part = fc.oneof(
      fc.constantFrom(
        '/',
        '//',
        '\\',
        '@',
        ':',
        '?',
        '#',
        '.',
        '..',
        '%2f',
        '\t',
        ' ',
        'me',
        '.org',
      ),
      fc.constantFrom(ORIGIN, 'evil.example', 'https:', 'http:/x'),
      fc.string({ unit: 'grapheme', maxLength: 3 }),
    );
    const rest = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(''));
    const base = fc.option(
      fc
        .tuple(fc.constantFrom(ORIGIN, '', 'https://api.example', '/v1'), rest)
        .map((parts) => parts.join('')),
      { nil: undefined },
    );
    const path = fc.oneof(
      rest,
      rest.map((parts) => `/me${parts}`),
    );
    await fc.assert(
      fc.asyncProperty(base, path, fc.boolean(), async (baseURL, url, allowAbsoluteUrls) => {
        told = undefined;
        const config = { baseURL, url, allowAbsoluteUrls } as object;
        await api.request(config).catch(() => {});
        let sent: string;
        try {
          sent = api.getUri(config);
        } catch {
          // Nor does any transport of axios take such a URL.
          return;
        }
        const isAllowed = URL.canParse(sent) && new URL(sent).origin === ORIGIN;
        expect(told).toBe(isAllowed ? new URL(sent).href : undefined);
      }),
      {
        ...runs(1000),
        // What the shorter way must leave to axios, however few runs there are.
        examples: [
          [`${ORIGIN}/`, '/me', true],
          [ORIGIN, '//evil.example', true],
        ],
      },
    );
  });
});
