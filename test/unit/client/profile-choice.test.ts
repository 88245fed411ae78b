import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseProfile, searchPath } from '../../../client/profile-choice.ts';
import { privateDirectory } from './stand-in.ts';

const uid = process.getuid?.() ?? 0;

function tree(files: Readonly<Record<string, string>>): string {
  const home = join(privateDirectory(), 'home');
  mkdirSync(join(home, 'src/shop/deep'), { recursive: true });
  mkdirSync(join(home, '../outside'), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(home, path), text);
  return home;
}

async function choose(home: string, given: { argument?: string; env?: string; cwd?: string; names?: readonly string[] }) {
  return chooseProfile({
    argument: given.argument,
    env: given.env === undefined ? {} : { VALETKEY_PROFILE: given.env },
    cwd: () => join(home, given.cwd ?? ''),
    owner: { uid, home },
    listProfiles: async () => given.names ?? ['one', 'two'],
  }).then(({ profile, rule }) => `${rule}: ${profile}`, (error: { code?: string }) => `error: ${error.code}`);
}

const SHOP = 'v = 1\nprofile = "shop"\n';

describe('which profile is meant', () => {
  const rows: readonly (readonly [string, Readonly<Record<string, string>>, Parameters<typeof choose>[1], string])[] = [
    ['the argument above all', { '.valetkey.toml': SHOP }, { argument: 'arg', env: 'env', names: ['only'] }, 'argument: arg'],
    ['the variable above the file', { '.valetkey.toml': SHOP }, { env: 'env', names: ['only'] }, 'environment: env'],
    ['an empty variable counts as none', { '.valetkey.toml': SHOP }, { env: '' }, 'directory: shop'],
    ['the file of the directory', { 'src/shop/.valetkey.toml': SHOP }, { cwd: 'src/shop' }, 'directory: shop'],
    ['the file of a directory above', { 'src/.valetkey.toml': SHOP }, { cwd: 'src/shop/deep' }, 'directory: shop'],
    ['the nearest file', { '.valetkey.toml': 'profile = "far"', 'src/shop/.valetkey.toml': SHOP }, { cwd: 'src/shop/deep' }, 'directory: shop'],
    ['not above the home directory', { '../.valetkey.toml': SHOP }, { cwd: 'src', names: ['only'] }, 'only: only'],
    ['above a directory outside of home', { '../.valetkey.toml': SHOP }, { cwd: '../outside' }, 'directory: shop'],
    ['the only one', {}, { names: ['only'] }, 'only: only'],
    ['none of many', {}, {}, 'error: no_profile'],
    ['none at all', {}, { names: [] }, 'error: no_profile'],
    ['a bad argument is not replaced', {}, { argument: '../x', names: ['only'] }, 'error: bad_request'],
    ['a bad variable is not replaced', {}, { env: 'UPPER', names: ['only'] }, 'error: bad_request'],
    ['a bad file is not passed over', { 'src/.valetkey.toml': 'profile = ', '.valetkey.toml': SHOP }, { cwd: 'src', names: ['only'] }, 'error: config_invalid'],
    ['an unknown key', { '.valetkey.toml': `${SHOP}scope = "x"` }, {}, 'error: config_invalid'],
    ['a table as profile', { '.valetkey.toml': '[profile]\nx = 1' }, {}, 'error: config_invalid'],
    ['a newer file', { '.valetkey.toml': 'v = 2\nprofile = "shop"' }, {}, 'error: file_too_new'],
    ['a strange version', { '.valetkey.toml': 'v = "1"\nprofile = "shop"' }, {}, 'error: config_invalid'],
    ['a huge file', { '.valetkey.toml': `${SHOP}#${'x'.repeat(20_000)}` }, {}, 'error: config_invalid'],
  ];
  it.each(rows)('%s', async (_, files, given, expected) => {
    expect(await choose(tree(files), given)).toBe(expected);
  });

  it('a file that everybody may write is refused', async () => {
    const home = tree({ '.valetkey.toml': SHOP });
    chmodSync(join(home, '.valetkey.toml'), 0o666);
    expect(await choose(home, {})).toBe('error: config_untrusted');
    await expect(chooseProfile({ argument: undefined, env: {}, cwd: () => home, owner: { uid, home }, listProfiles: async () => [] }))
      .rejects.toMatchObject({ hint: `Run: chmod o-w ${join(home, '.valetkey.toml')}` });
  });

  it('what is wrong in a file is said with its path, and so is what it takes', async () => {
    const home = tree({ '.valetkey.toml': 'profile = 1' });
    const file = join(home, '.valetkey.toml');
    await expect(chooseProfile({ argument: undefined, env: {}, cwd: () => home, owner: { uid, home }, listProfiles: async () => [] }))
      .rejects.toMatchObject({ detail: `${file}: profile is not a profile name`, hint: `${file} takes two lines: v = 1 and profile = "NAME"` });
  });

  it.skipIf(uid !== 0)('a file of another user is refused (needs root to give it away)', async () => {
    const home = tree({ '.valetkey.toml': SHOP });
    chownSync(join(home, '.valetkey.toml'), 65534, 65534);
    expect(await choose(home, {})).toBe('error: config_untrusted');
  });

  it('a directory in its place is refused, and names what there is', async () => {
    const home = tree({});
    mkdirSync(join(home, 'src/.valetkey.toml'));
    expect(await choose(home, { cwd: 'src' })).toBe('error: config_invalid');
    await expect(chooseProfile({ argument: undefined, env: {}, cwd: () => home, owner: { uid, home }, listProfiles: async () => ['one', 'two'] }))
      .rejects.toMatchObject({ detail: 'there are 2 profiles: one, two' });
  });
});

it.each([
  ['/home/u/a/b', '/home/u', ['/home/u/a/b', '/home/u/a', '/home/u']],
  ['/home/u', '/home/u', ['/home/u']],
  ['/home/user2', '/home/u', ['/home/user2', '/home', '/']],
  ['/', '/home/u', ['/']],
  ['/home', '/home/u', ['/home', '/']],
])('from %s with home %s it looks into %j', (cwd, home, expected) => {
  expect(searchPath(cwd, home)).toEqual(expected);
});
