import { describe, expect, it } from 'vitest';
import { parseStat } from '../../../../daemon/callers/proc.ts';

const image = '95 96 97 98 99 100 101 0';
const tail = `S 900 4711 4710 34816 4711 4194304 100 0 0 0 1 2 0 0 20 0 7 0 123456 1000000 500 18446744073709551615 1 2 3 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 ${image}`;

describe('parseStat', () => {
  it.each([
    ['node', 'node'],
    ['a name with spaces', 'tmux: server'],
    ['a name that ends the field early', 'x) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 999'],
    ['parentheses', '((sd-pam))'],
    ['no name', ''],
  ])('reads the fields after %s', (_, comm) => {
    expect(parseStat(`4711 (${comm}) ${tail}\n`)).toEqual({
      comm, isDead: false, parent: 900, group: 4711, session: 4710, terminal: 34_816, foregroundGroup: 4711, startTime: '123456', image: `${image}\n`,
    });
  });

  it.each(['Z', 'X'])('tells a process in state %s from a living one', (state) => {
    expect(parseStat(`4711 (x) ${tail.replace('S', state)}`)?.isDead).toBe(true);
  });

  it('has no image where the kernel hides the addresses', () => {
    expect(parseStat(`4711 (x) ${tail.replace(image, '0 0 0 0 0 0 0 0')}`)).toMatchObject({ image: null });
  });

  it.each(['', '4711', '4711 (x', ') S (', '4711 (x) S 1 2 3', `4711 (x) ${tail.replace('123456', 'soon')}`])('is null for %j', (text) => {
    expect(parseStat(text)).toBeNull();
  });
});
