import { describe, expect, it } from 'vitest';
import { createReadHooks, parseHooks } from '../../../../daemon/config/hooks.ts';
import { HOOK_EVENTS } from '../../../../daemon/core/hook.ts';

const FILE = '/c/hooks.toml';
const GOOD = 'v = 1\n\n[[hooks]]\nname = "tell"\non = ["grant_parked", "detected"]\nrun = ["/usr/local/bin/tell", "--quiet"]\n';

describe('hooks.toml', () => {
  it('is a list of commands and what they are told of', () => {
    expect(parseHooks(GOOD, FILE)).toEqual([{ name: 'tell', on: ['grant_parked', 'detected'], run: ['/usr/local/bin/tell', '--quiet'] }]);
    expect(parseHooks('v = 1\n', FILE)).toEqual([]);
  });

  it.each([
    ['', 'is missing: the file begins with v = 1'],
    ['v = 2\n', 'has version 2'],
    ['v = "1"\n', ':1:1: "v" must be 1'],
    ['v = 1\nhook = 1\n', ':2:1: "hook" is not a key'],
    ['v = 1\nhooks = 3\n', ':2:1: "hooks" must be tables: [[hooks]]'],
    ['v = 1\n[[hooks]\n', ':2:'],
    [GOOD.replace('name = "tell"\n', ''), ':3:3: "name" of [[hooks]] number 1 is missing'],
    [GOOD.replace('"tell"', '"Tell me"'), ':4:1: "name" of [[hooks]] number 1 must be 1 to 64'],
    [GOOD.replace('on =', 'om ='), ':5:1: "om" of [[hooks]] number 1 is not a key; did you mean "on"?'],
    [GOOD.replace('"grant_parked"', '"token_released"'), `:5:1: "on" of [[hooks]] number 1 takes: ${HOOK_EVENTS.join(', ')}`],
    [GOOD.replace('/usr/local/bin/tell', 'tell'), ':6:1: "run" of [[hooks]] number 1 must begin with the absolute path of a program'],
    [GOOD.replace('"--quiet"', '3'), ':6:1: "run" of [[hooks]] number 1 must be'],
    [GOOD.replace('--quiet', '\\u0000'), ':6:1: "run" of [[hooks]] number 1 must be without a NUL'],
    [GOOD.replace(/run.*\n/, 'run = []\n'), ':6:1: "run" of [[hooks]] number 1 must not be empty'],
    [`${GOOD}\n${GOOD.slice(7)}`, ':9:1: "name" of [[hooks]] number 2 stands there twice'],
    [`v = 1\n${Array.from({ length: 33 }, (_, i) => `[[hooks]]\nname = "n${i}"\non = ["locked"]\nrun = ["/bin/true"]\n`).join('')}`, 'must be at most 32'],
  ])('says where and what is wrong (%#)', (text, why) => {
    expect(() => parseHooks(text, FILE)).toThrow(why);
  });

  it.each([
    ['another user\'s', { uid: 2, mode: 0o100600 }],
    ['writable by its group', { uid: 1, mode: 0o100620 }],
    ['writable by others', { uid: 1, mode: 0o100602 }],
  ])('is refused where it is %s, before a word of it counts', async (_what, facts) => {
    await expect(createReadHooks({ file: FILE, uid: 1, readFile: async () => ({ text: 'nonsense', ...facts }) })()).rejects.toMatchObject({ code: 'config_untrusted' });
  });

  it('that is not there is no hook', async () => {
    expect(await createReadHooks({ file: FILE, uid: 1, readFile: async () => null })()).toEqual([]);
  });
});
