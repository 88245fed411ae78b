import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePatterns } from '../../../../daemon/policy/pattern.ts';
import { boundMs } from '../../../support/bound.ts';

const fits = (pattern: string, text: string): boolean => compilePatterns([pattern])(text);
/** The same by a regular expression, which is right and may be slow. */
const slowly = (pattern: string, text: string): boolean => new RegExp(`^${pattern.split(/(\*\*|\*)/).map((part) => (part === '**' ? '[^]*' : part === '*' ? '[^/]*' : part.replace(/[^a-z0-9]/gi, '\\$&'))).join('')}$`).test(text);

describe('patterns', () => {
  it.each([
    ['/usr/bin/*', '/usr/bin/git', true], ['/usr/bin/*', '/usr/bin/x/git', false], ['/usr/**', '/usr/bin/x/git', true], ['*', '', true], ['*', 'a/b', false], ['**', 'a/b', true],
    ['admin:*', 'admin:users', true], ['admin:*', 'xadmin:users', false], ['a.c', 'abc', false], ['/opt/*/bin/**', '/opt/x/bin/y/z', true], ['a*a', 'a', false],
  ])('%s, %s: %s', (pattern, text, expected) => {
    expect(fits(pattern, text)).toBe(expected);
  });

  it('mean what a regular expression of the same meaning says', () => {
    const letters = fc.constantFrom('a', 'b', '/', '*', '**', '.');
    fc.assert(fc.property(fc.array(letters, { maxLength: 8 }), fc.array(fc.constantFrom('a', 'b', '/', '.', 'é'), { maxLength: 10 }), (pattern, text) => {
      expect(fits(pattern.join(''), text.join(''))).toBe(slowly(pattern.join(''), text.join('')));
    }), { numRuns: 5_000 });
  });

  it('of a list fit where one of them does, and an empty list never', () => {
    const words = fc.array(fc.constantFrom('', 'a', 'ab', '*', 'a*', '**b', 'a/b', '/'), { maxLength: 12 });
    fc.assert(fc.property(words, fc.constantFrom('', 'a', 'ab', 'a/b', '/', 'c'), (patterns, text) => {
      expect(compilePatterns(patterns)(text)).toBe(patterns.some((pattern) => slowly(pattern, text)));
    }), { numRuns: 2_000 });
    expect(compilePatterns(Array.from({ length: 20 }, (_, i) => `w${i}`))('w19')).toBe(true);
  });

  it('take no time that grows with the number of stars', () => {
    const begun = performance.now();
    expect(fits(`${'a**'.repeat(40)}x**b`, `${'a'.repeat(4_000)}b`)).toBe(false);
    expect(performance.now() - begun).toBeLessThan(boundMs(2_000));
  });
});
