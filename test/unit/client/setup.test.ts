/** `valetkey setup` on files that are not as it wants them, and its questions to a person. */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { apply, plan } from '../../../client/setup/edit.ts';
import { privateDirectory } from './stand-in.ts';
import { profile, run } from './fake-world.ts';
import type { Run } from './fake-world.ts';

let home: string;
let bin: string;
beforeEach(() => {
  home = privateDirectory();
  bin = join(home, 'bin');
  mkdirSync(bin);
  for (const name of ['valetkey', 'git']) writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
});

const api = { profiles: async () => ({ profiles: [{ ...profile, resource: 'https://git.example.com/team' }] }) };
const at = (name: string): string => join(home, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');

function setup(argv: readonly string[], more: Parameters<typeof run>[1] = {}): Promise<Run> {
  return run(['setup', ...argv], { base: home, env: { HOME: home, PATH: bin }, api, ...more });
}

const GIT = ['git', '--profile', 'work'] as const;
const AWS = ['aws', '--profile', 'work', '--role', 'arn:aws:iam::123456789012:role/developer'] as const;

describe('valetkey setup', () => {
  it('writes after a person said yes, and keeps what was there, its mode and its end', async () => {
    writeFileSync(at('.gitconfig'), '[user]\n\tname = Ada\n', { mode: 0o640 });
    const { exit, questions, stderr } = await setup(GIT, { terminal: true, person: ['y'] });
    expect([exit, questions.length], stderr).toEqual([0, 1]);
    expect(read('.gitconfig')).toMatch(/^\[user\]\n\tname = Ada\n# valetkey setup git --profile work --url https:\/\/git\.example\.com\/team \([0-9a-f]{12}\)\n\[credential "https:\/\/git\.example\.com"\]\n\thelper =\n\thelper = "!.*\/bin\/valetkey credential git --profile work --url https:\/\/git\.example\.com"\n# end of .*\n$/);
    expect(statSync(at('.gitconfig')).mode & 0o777).toBe(0o640);
    expect((await setup([...GIT, '--undo', '--yes'])).exit).toBe(0);
    expect(read('.gitconfig')).toBe('[user]\n\tname = Ada\n');
  });

  it.each([['n'], [''], ['maybe']])('writes nothing where a person says %j', async (answer) => {
    const { exit } = await setup(GIT, { terminal: true, person: [answer] });
    expect(exit).toBe(130);
    expect(existsSync(at('.gitconfig'))).toBe(false);
  });

  it('makes a file that was not there, and removes it again', async () => {
    expect((await setup([...AWS, '--yes'])).exit).toBe(0);
    expect(read('.aws/config')).toContain('[profile work]\ncredential_process = ');
    expect(statSync(at('.aws/config')).mode & 0o777).toBe(0o600);
    expect((await setup(['aws', '--profile', 'work', '--undo', '--yes'])).exit).toBe(0);
    expect(existsSync(at('.aws/config'))).toBe(false);
  });

  it('needs no daemon to take out what a profile had that is gone', async () => {
    expect((await setup([...GIT, '--yes'])).exit).toBe(0);
    expect((await setup([...GIT, '--undo', '--yes'], { api: {} })).exit).toBe(0);
    expect(existsSync(at('.gitconfig'))).toBe(false);
  });

  it('takes out one server of two', async () => {
    for (const url of ['https://a.example', 'https://b.example']) expect((await setup([...GIT, '--url', url, '--yes'])).exit).toBe(0);
    expect((await setup([...GIT, '--url', 'https://a.example', '--undo', '--yes'])).exit).toBe(0);
    expect(read('.gitconfig')).not.toContain('a.example');
    expect(read('.gitconfig')).toContain('b.example');
  });

  it('follows a link to where the file is kept, and leaves the link', async () => {
    mkdirSync(at('dotfiles'));
    writeFileSync(at('dotfiles/gitconfig'), '[user]\n');
    symlinkSync('dotfiles/gitconfig', at('.gitconfig'));
    const { exit, stderr } = await setup([...GIT, '--yes']);
    expect(exit).toBe(0);
    expect(stderr).toContain('dotfiles/gitconfig');
    expect(lstatSync(at('.gitconfig')).isSymbolicLink()).toBe(true);
    expect(read('dotfiles/gitconfig')).toContain('valetkey');
  });

  it('takes out no line that a person wrote between', async () => {
    expect((await setup([...GIT, '--yes'])).exit).toBe(0);
    const edited = read('.gitconfig').replace('\thelper =\n', '\thelper =\n\tusername = ada\n');
    writeFileSync(at('.gitconfig'), edited);
    for (const more of [['--undo'], []]) {
      const { exit, stderr } = await setup([...GIT, ...more, '--yes']);
      expect([exit, stderr]).toEqual([8, expect.stringContaining('changed by hand')]);
    }
    expect(read('.gitconfig')).toBe(edited);
  });
});

describe('a file that is left as it is', () => {
  const before = '[user]\n';
  it.each([
    ['a directory', () => mkdirSync(at('.gitconfig')), 'is no file'],
    ['one that may not be written', () => chmodSync(at('.gitconfig'), 0o444), 'not to be written'],
    ['a link to nowhere', () => { rmSync(at('.gitconfig')); symlinkSync('gone', at('.gitconfig')); }, 'link to nowhere'],
    ['a link to itself', () => { rmSync(at('.gitconfig')); symlinkSync('.gitconfig', at('.gitconfig')); }, 'link to nowhere'],
    ['one of two megabytes', () => writeFileSync(at('.gitconfig'), '#'.repeat(2 ** 21)), 'larger'],
    ['one that is no text', () => writeFileSync(at('.gitconfig'), Buffer.from([0xff, 0xfe, 0x00])), 'UTF-8'],
  ] as const)('is %s', async (what, make, says) => {
    if (what !== 'a directory') writeFileSync(at('.gitconfig'), before);
    make();
    const { exit, stderr } = await setup([...GIT, '--yes']);
    expect(exit).toBe(8);
    expect(stderr.replace(/\s+/g, ' ')).toContain(says);
  });

  it.runIf(process.getuid?.() === 0)('is one of another user', async () => {
    writeFileSync(at('.gitconfig'), before);
    chownSync(at('.gitconfig'), 65_534, 65_534);
    expect((await setup([...GIT, '--yes'])).stderr).toContain('another user');
    expect(read('.gitconfig')).toBe(before);
  });

  it('is one that somebody wrote since it was shown', () => {
    const uid = process.getuid?.() ?? 0;
    const planned = plan({ path: at('file'), mode: 0o600, shows: [], change: () => 'ours\n' }, uid);
    writeFileSync(at('file'), 'theirs\n');
    expect(() => apply(planned ?? expect.unreachable('there is something to do'), uid)).toThrow('changed meanwhile');
    expect(read('file')).toBe('theirs\n');
  });

  it.each([
    ['docker', '.docker/config.json', '{"credHelpers":{"git.example.com":"desktop"}}', 'docker-credential-desktop'],
    ['docker', '.docker/config.json', '{"credHelpers":', 'is no JSON'],
    ['docker', '.docker/config.json', '[]', 'not as docker writes it'],
    ['docker', '.docker/config.json', '{"credHelpers":"x"}', 'not as docker writes it'],
    ['docker', '.local/bin/docker-credential-valetkey-work', '#!/bin/sh\nexec other\n', 'did not write'],
    ['cargo', '.cargo/config.toml', '[ registries . "work" ]\nindex = "x"\n', 'has a registry work'],
    ['aws', '.aws/config', '[profile   work]\nregion = x\n', 'has a profile work'],
    ['pip', '.local/lib/valetkey/keyring', 'print()\n', 'did not write'],
  ])('of %s is %s with %s', async (tool, file, text, says) => {
    mkdirSync(join(at(file), '..'), { recursive: true });
    writeFileSync(at(file), text, { mode: 0o700 });
    const { exit, stderr } = await setup([tool, '--profile', 'work', ...(tool === 'aws' ? AWS.slice(3) : []), '--yes']);
    expect([exit, stderr.replace(/\s+/g, ' ')]).toEqual([8, expect.stringContaining(says)]);
    expect(read(file)).toBe(text);
  });

  it('is none of several where one is not as it should be', async () => {
    mkdirSync(at('.docker'));
    writeFileSync(at('.docker/config.json'), 'broken');
    expect((await setup(['docker', '--profile', 'work', '--yes'])).exit).toBe(8);
    expect(existsSync(at('.local'))).toBe(false);
  });

  it('is the program of a profile that is bound to another server', async () => {
    for (const [url, exit] of [['https://a.example', 0], ['https://b.example', 8]] as const) expect((await setup(['docker', '--profile', 'work', '--url', url, '--yes'])).exit, url).toBe(exit);
    expect(read('.local/bin/docker-credential-valetkey-work')).toContain('https://a.example');
    expect(read('.docker/config.json')).not.toContain('b.example');
  });
});

describe('what is refused before anything is looked at', () => {
  it.each([
    [[...GIT, '--url', 'http://git.example.com'], 'a token goes to https:// and loopback only'],
    [[...GIT, '--url', 'https://git.example.com/?a=1'], 'more than the address of a server'],
    [[...GIT, '--url', 'https://ada@git.example.com'], 'a token goes to'],
    [[...GIT, '--role', 'x'], '--role is of aws'],
    [['aws', '--profile', 'work'], 'keys are those of a role'],
    [['aws', '--profile', 'work', '--role', 'arn:aws:iam::1:role/x\n[default]'], 'is no ARN'],
    [['git', '--undo'], 'is not named'],
    [['svn', '--profile', 'work'], 'svn'],
  ])('is %j', async (argv, says) => {
    const { exit, stderr } = await setup([...argv, '--yes']);
    expect([exit, stderr.replace(/\s+/g, ' ')]).toEqual([2, expect.stringContaining(says)]);
    expect(existsSync(at('.gitconfig')) || existsSync(at('.aws'))).toBe(false);
  });

  it('is a profile that there is not', async () => {
    const { exit, stderr } = await setup(['git', '--profile', 'none', '--yes']);
    expect([exit, stderr]).toEqual([8, expect.stringContaining('there is no profile none')]);
  });

  it('is a home directory that no file of a tool could hold', async () => {
    const { exit, stderr } = await setup([...GIT, '--yes'], { env: { HOME: '/home/a"b', PATH: bin } });
    expect([exit, stderr]).toEqual([2, expect.stringContaining('quotes or line breaks')]);
  });
});
