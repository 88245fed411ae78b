import { describe, expect, it } from 'vitest';
import { readCookie } from '../../../../daemon/loopback/cookie.ts';

describe('one cookie among those of other local servers', () => {
  it.each([
    [['__valetkey_a=v'], 'v'],
    [['theme=dark; __valetkey_a=v; __valetkey_b=w; sid="x=y"'], 'v'],
    [['theme=dark', '__valetkey_a=v=='], 'v=='],
    [[' ;; __valetkey_a = v '], 'v'],
    [[], null],
    [['__valetkey_A=v'], null],
    [['x__valetkey_a=v'], null],
    [['x=__valetkey_a=v'], null],
    [['__valetkey_a'], null],
    [['__valetkey_a=v; __valetkey_a=v'], null],
    [['__valetkey_a=v', '__valetkey_a=planted'], null],
  ])('%j holds %j', (headers, value) => {
    expect(readCookie(headers, '__valetkey_a')).toBe(value);
  });
});
