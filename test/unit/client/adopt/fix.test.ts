/** `adopt --fix`: the steps, and that each can be the last without anything lost. */
import { chmodSync, existsSync, openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ValetkeyError } from '../../../../client/valetkey-error.ts';
import { collectCanaries, searchBytes } from '../../../support/canaries.ts';
import { complete, grant, login, profile, run } from '../fake-world.ts';
import type { Fakes, Run } from '../fake-world.ts';
import { FIXTURES } from './fixtures.ts';
import { homeWith, put } from './rig.ts';

const cluster = { ...profile, name: 'cluster', issuer: 'https://login.example.com', client_id: 'kubernetes' };
const forge = { ...profile, name: 'forge', issuer: 'https://github.com', client_id: 'Iv1.ours' };
const KUBELOGIN = FIXTURES.filter(({ tool }) => tool === 'kubelogin');
const GH = FIXTURES.filter(({ tool }) => tool === 'gh');
const kubeloginFile = (home: string): string => join(home, KUBELOGIN[0]?.file ?? '');

const api = {
  profiles: () => ({ profiles: [cluster, forge] }),
  grants: () => ({ grants: [] }),
  startLogin: () => login,
  login: () => complete,
};

async function fix(home: string, argv: readonly string[], person: readonly string[], fakes: Fakes = {}): Promise<Run> {
  const result = await run(['adopt', '--fix', ...argv], { base: home, api, terminal: true, person, ...fakes });
  const secrets = FIXTURES.flatMap((each) => each.secrets);
  expect(searchBytes('output', [result.stdout, result.stderr, ...result.shown, JSON.stringify(result.calls)].join('\n'), collectCanaries([], { more: secrets }))).toEqual([]);
  return result;
}

/** A program of this name that writes down its arguments and does `act`, and the environment in which it is found. */
function tool(home: string, name: string, act: string): { readonly env: Readonly<Record<string, string>> } {
  const path = put(home, `bin/${name}`, `#!/bin/sh\necho "$@" >> ${home}/ran\n${act}\n`);
  chmodSync(path, 0o755);
  return { env: { PATH: `${home}/bin:/usr/bin:/bin` } };
}

const ranIn = (home: string): string => (existsSync(join(home, 'ran')) ? readFileSync(join(home, 'ran'), 'utf8') : '');

describe('adopt --fix, where the files hold nothing else', () => {
  it('signs in, says how the tool uses it, then removes them', async () => {
    const home = homeWith(...KUBELOGIN);
    const { exit, stdout, stderr, questions, calls, opened } = await fix(home, ['kubelogin'], ['y', 'y']);
    expect(exit).toBe(0);
    expect(calls.map(([name]) => name)).toEqual(['profiles', 'grants', 'startLogin', 'login']);
    expect(calls[2]?.[1]).toEqual({ profile: 'cluster' });
    expect(opened).toHaveLength(1);
    expect(questions.map(({ question }) => question)).toEqual(['Begin? [y/N]', 'Does kubelogin work so, and may its old token go? [y/N]']);
    expect(stdout).toContain('1. Signed in as ada@example.com');
    expect(stdout).toContain('2. Let it use the new one: in the kubeconfig, user: exec: {');
    expect(stdout).toContain('3. Removed; nothing of kubelogin is left in plain text');
    expect(stderr).toContain('warning: The old token was not revoked');
    expect(existsSync(kubeloginFile(home))).toBe(false);
  });

  it.each([
    ['no at the first question', [''], 130, 'nothing was changed', ['profiles']],
    ['no at the second', ['y', 'n'], 130, 'its old token stays where it is, and the new sign-in is kept', ['profiles', 'grants', 'startLogin', 'login']],
    ['the end of the input', [], 130, 'nothing was changed', ['profiles']],
  ] as const)('%s leaves the old token in place', async (_, person, exit, words, called) => {
    const home = homeWith(...KUBELOGIN);
    const result = await fix(home, ['kubelogin'], person);
    expect(result.exit).toBe(exit);
    expect(result.stderr).toContain(words);
    expect(result.calls.map(([name]) => name)).toEqual(called);
    expect(existsSync(kubeloginFile(home))).toBe(true);
  });

  it('a sign-in that fails leaves the old token in place', async () => {
    const home = homeWith(...KUBELOGIN);
    const startLogin = () => { throw ValetkeyError.local('issuer_unreachable', 'no route'); };
    expect(await fix(home, ['kubelogin'], ['y', 'y'], { api: { ...api, startLogin } })).toMatchObject({ exit: 6, questions: [{ question: 'Begin? [y/N]' }] });
    expect(existsSync(kubeloginFile(home))).toBe(true);
  });

  it('a file that changed meanwhile is a new sign-in of the tool, and stays', async () => {
    const home = homeWith(...KUBELOGIN);
    const grants = () => {
      writeFileSync(kubeloginFile(home), JSON.stringify({ id_token: 'x', refresh_token: 'newerREFRESHEXAMPLE' }));
      return { grants: [] };
    };
    const { exit, stderr } = await fix(home, ['kubelogin'], ['y', 'y'], { api: { ...api, grants } });
    expect(exit).toBe(8);
    expect(stderr).toContain('has changed since it was read; its old token stays where it is');
    expect(readFileSync(kubeloginFile(home), 'utf8')).toContain('newerREFRESHEXAMPLE');
  });

  it.skipIf(process.platform !== 'linux')('a file that a program has open stays (on Linux: elsewhere nobody can tell)', async () => {
    const home = homeWith(...KUBELOGIN);
    // Another process than ours: our own is not looked at.
    const { spawn } = await import('node:child_process');
    const fd = openSync(kubeloginFile(home), 'r');
    const holder = spawn('sleep', ['60'], { stdio: [fd, 'ignore', 'ignore'] });
    closeSync(fd);
    try {
      const { exit, stderr } = await fix(home, ['kubelogin'], ['y', 'y']);
      expect(exit).toBe(8);
      expect(stderr).toContain('a program has');
      expect(existsSync(kubeloginFile(home))).toBe(true);
    } finally {
      holder.kill();
    }
  });

  it('who is signed in already need not be again', async () => {
    const home = homeWith(...KUBELOGIN);
    const { exit, stdout, calls } = await fix(home, ['kubelogin'], ['y', 'yes'], { api: { ...api, grants: () => ({ grants: [{ ...grant, profile: 'cluster' }] }) } });
    expect({ exit, calls: calls.map(([name]) => name) }).toEqual({ exit: 0, calls: ['profiles', 'grants'] });
    expect(stdout).toContain('1. Signed in already as');
  });
});

describe('adopt --fix, where the tool has a sign-out of its own', () => {
  it('runs it for each account, once, with the names from the file', async () => {
    const home = homeWith(...GH);
    const { env } = tool(home, 'gh', `rm -f ${home}/.config/gh/hosts.yml`);
    const { exit, stdout, stderr } = await fix(home, ['gh'], ['y', 'y'], { env });
    expect(exit).toBe(0);
    expect(ranIn(home)).toBe('auth logout --hostname github.com --user monalisa\nauth logout --hostname github.com --user hubot\n');
    expect(stdout).toContain('3. Signed out by its own command; nothing of gh is left in plain text');
    // gh's own page says so: it is only forgotten here.
    expect(stderr).toContain('The old token was not revoked');
  });

  it.each([
    ['is not installed', { PATH: '/nonexistent' }, 'gh is not installed'],
    ['fails', 'exit 3', 'ended with status 3'],
    ['does nothing', 'true', 'a secret of gh is still in plain text'],
  ] as const)('one that %s leaves everything as it was', async (_, act, words) => {
    const home = homeWith(...GH);
    const env = typeof act === 'string' ? tool(home, 'gh', act).env : act;
    const { exit, stderr } = await fix(home, ['gh'], ['y', 'y'], { env });
    expect(exit).toBe(8);
    expect(stderr).toContain(words);
    expect(existsSync(join(home, '.config/gh/hosts.yml'))).toBe(true);
  });

  it.each(['--all', '-rf', 'a b', '$(touch x)', 'x\u001b[0m', '../..', ''])('a name like %j from the file is no argument', async (name) => {
    const home = homeWith({ file: '.config/gh/hosts.yml', content: `github.com:\n  users:\n    "${name}":\n      oauth_token: gho_EXAMPLE\n` });
    const { env } = tool(home, 'gh', 'true');
    const { exit, stderr } = await fix(home, ['gh', '--profile', 'forge'], ['y', 'y'], { env });
    expect(exit).toBe(8);
    expect(stderr).toContain('the file does not say enough to run');
    expect(ranIn(home)).toBe('');
  });

  it('one that revokes may leave dead bytes behind, as a database does', async () => {
    const home = homeWith(...FIXTURES.filter(({ tool: name }) => name === 'gcloud'));
    const google = { ...profile, name: 'google', issuer: 'https://accounts.google.com', client_id: 'ours' };
    const { exit, stdout, stderr, shown } = await fix(home, ['gcloud'], ['y', 'y'], { ...tool(home, 'gcloud', 'true'), api: { ...api, profiles: () => ({ profiles: [google] }) } });
    expect(exit).toBe(0);
    // Of the database and of the older files together, each account once.
    expect(ranIn(home).split('\n').toSorted()).toEqual(['', 'auth revoke ada@example.com', 'auth revoke bob@example.org']);
    expect(shown.join('\n')).toContain('gcloud auth revoke bob@example.org');
    expect(stdout).toContain('3. Signed out by its own command; what is left in the file is revoked');
    expect(stderr).not.toContain('not revoked');
  });

  it('nothing is revoked that was issued to the client of the new sign-in', async () => {
    const home = homeWith(...FIXTURES.filter(({ tool: name }) => name === 'gcloud-adc'));
    const google = { ...profile, name: 'google', issuer: 'https://accounts.google.com', client_id: '764086051850-EXAMPLE.apps.googleusercontent.com' };
    const { env } = tool(home, 'gcloud', 'true');
    const refused = await fix(home, ['gcloud-adc'], ['y', 'y'], { env, api: { ...api, profiles: () => ({ profiles: [google] }) } });
    expect(refused.exit).toBe(8);
    expect(refused.stderr.replaceAll(/\s+/g, ' ')).toContain('could end the new sign-in as well');
    expect(ranIn(home)).toBe('');
    const own = await fix(home, ['gcloud-adc'], ['y', 'y'], { ...tool(home, 'gcloud', `rm ${home}/.config/gcloud/application_default_credentials.json`), api: { ...api, profiles: () => ({ profiles: [{ ...google, client_id: 'ours' }] }) } });
    expect(own).toMatchObject({ exit: 0, stderr: expect.not.stringContaining('not revoked') as string });
    expect(ranIn(home)).toBe('auth application-default revoke --quiet\n');
  });
});

describe('adopt --fix', () => {
  it('leaves a file that holds other things to the person, and says how', async () => {
    const npm = FIXTURES.filter(({ tool: name }) => name === 'npm');
    const home = homeWith(...npm);
    const { exit, stdout } = await fix(home, ['npm', '--profile', 'forge'], ['y', 'y']);
    expect(exit).toBe(0);
    expect(stdout).toContain('3. Left to you: To sign out and end it at the registry: npm logout');
    expect(readFileSync(join(home, '.npmrc'), 'utf8')).toBe(npm[0]?.content);
  });

  it('never runs without a person at a terminal', async () => {
    const home = homeWith(...KUBELOGIN);
    for (const fakes of [{ terminal: false }, { env: { CI: 'true' } }]) {
      expect(await fix(home, ['kubelogin'], ['y', 'y'], fakes)).toMatchObject({ exit: 5, calls: [] });
    }
    const withoutTerminal = await run(['adopt', '--fix', 'kubelogin'], { base: home, api, terminal: true });
    expect(withoutTerminal.stderr).toContain('there is no terminal');
    expect(existsSync(kubeloginFile(home))).toBe(true);
  });

  it.each([
    [['kubelogin', '--profile', 'nope'], {}, 8, 'there is no profile nope; there are: cluster, forge'],
    [['kubelogin'], { profiles: () => ({ profiles: [forge] }) }, 2, 'valetkey profile add kubelogin --issuer https://login.example.com --client-id ID'],
    [['kubelogin'], { profiles: () => ({ profiles: [cluster, { ...cluster, name: 'other' }] }) }, 2, 'valetkey adopt --fix kubelogin --profile NAME'],
    [['nothing'], {}, 2, 'Allowed choices are'],
    [['codex'], {}, 2, 'codex takes no token but its own\n  To keep it in the keyring'],
  ] as const)('%j says what is missing', async (argv, more, exit, words) => {
    const home = homeWith(...KUBELOGIN);
    const result = await fix(home, argv, ['y', 'y'], { api: { ...api, ...more } });
    expect({ exit: result.exit, questions: result.questions }).toEqual({ exit, questions: [] });
    expect(result.stderr).toContain(words);
  });

  it('where nothing is, there is nothing to do', async () => {
    expect(await fix(homeWith(), ['kubelogin'], [])).toMatchObject({ exit: 0, stdout: 'Nothing of kubelogin is in plain text.\n', calls: [] });
  });

  it('is one document with --json', async () => {
    const home = homeWith(...KUBELOGIN);
    const { stdout } = await fix(home, ['kubelogin', '--json'], ['y', 'y']);
    expect(JSON.parse(stdout)).toMatchObject({ tool: 'kubelogin', profile: 'cluster', old_token: { ended_by: 'removal', revoked: false } });
  });
});
