import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { read } from '../markdown.ts';
import { scoreOf } from './score.ts';
import { vi as standIn } from './stand-ins/vitest.ts';

/** What a runtime has run, by name: `bad` ends with an exclamation mark. */
const ran = (...names: string[]) =>
  names.map((text) => {
    const name = text.replace('!', '');
    return text === name ? { name } : { name, error: 'Error: bad' };
  });

const names = ['a > 1', 'a > 2', 'b > 1', '[self-check] > fails'];
const all = ['a > 1', 'a > 2', 'b > 1', '[self-check] > fails!'];

describe('The score of a runtime', () => {
  it('counts what has passed, without the tests that must fail', () => {
    expect(scoreOf(names, ran(...all), [])).toEqual({ passed: 3, failures: [], lacking: [] });
  });

  it('is bad with a test that fails', () => {
    const { passed, failures } = scoreOf(names, ran('a > 1!', ...all.slice(1)), []);
    expect([passed, failures]).toEqual([2, ['a > 1\nError: bad']]);
  });

  it('is bad with a test that was not run: a row of zeros does not pass', () => {
    expect(scoreOf(names, [], []).failures).toHaveLength(4);
    expect(scoreOf(names, ran(...all.slice(1)), []).failures).toEqual(['a > 1\nwas not run']);
  });

  it('is bad where a test passes that must fail: it would let anything pass', () => {
    const { failures } = scoreOf(names, ran(...all.slice(0, 3), '[self-check] > fails'), []);
    expect(failures).toEqual(['[self-check] > fails\nmust fail']);
  });

  it('is bad with a test that no other runtime has', () => {
    expect(scoreOf(names, ran(...all, 'c > 1'), []).failures).toHaveLength(1);
  });
});

describe('What a runtime lacks', () => {
  const streams = { what: 'streams', tests: /^a/ };

  it('is counted apart, and its tests must fail', () => {
    const results = ran('a > 1!', 'a > 2!', ...all.slice(2));
    expect(scoreOf(names, results, [streams])).toEqual({
      passed: 1,
      failures: [],
      lacking: [{ what: 'streams', count: 2 }],
    });
    const { failures } = scoreOf(names, ran('a > 1!', ...all.slice(1)), [streams]);
    expect(failures).toEqual(['a > 2\nmust fail without streams']);
  });

  it('need not be run only where its whole client is absent', () => {
    const results = ran(...all.slice(2));
    expect(scoreOf(names, results, [streams]).failures).toHaveLength(2);
    expect(scoreOf(names, results, [{ ...streams, isAbsent: true }]).failures).toEqual([]);
  });

  it('is bad when no test needs it', () => {
    const { failures } = scoreOf(names, ran(...all), [{ what: 'eval', tests: /^x/ }]);
    expect(failures).toEqual(['No test needs eval']);
  });
});

const found = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map((match) => match[1]!);

describe('The stand-in for vitest', () => {
  const suites = found(read('test/runtimes/suite.ts'), /^import '\.\.\/(.*)';$/gm).map((file) =>
    join('test', file),
  );

  it.each(suites)('has all that %s uses', (suite) => {
    const used = [
      suite,
      ...found(read(suite), /from '(.*\.ts)'/g).map((file) => join(suite, '..', file)),
    ]
      .map((file) => read(file))
      .flatMap((text) => found(text, /\bvi\.(\w+)/g));
    expect(Object.keys(standIn)).toEqual(expect.arrayContaining(used));
  });

  it('is held against every suite', () => expect(suites.length).toBeGreaterThan(9));
});
