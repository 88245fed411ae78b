/** A person's first day with the CLI: the real binaries, a real issuer, a browser that is a script. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { BROWSER, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';
import { boundMs } from '../support/bound.ts';

const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run: script(1) of util-linux is missing, so there is no terminal');

describe.skipIf(!hasScript)('from nothing to a token', () => {
  let home: Home;
  let issuer: EmbeddedIssuer;

  beforeAll(async () => {
    needBuild();
    home = makeHome();
    issuer = await startIssuer();
  });
  afterAll(async () => {
    await home.leave();
    await issuer.close();
  });

  const add = (name: string, ...more: string[]) => home.valetkey([
    'profile', 'add', name, '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http',
    ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]), ...more,
  ]);

  it('checks an issuer before it writes anything', async () => {
    const wrong = await home.valetkey(['profile', 'add', 'wrong', '--issuer', `${issuer.url}/nowhere`, '--client-id', 'x', '--allow-loopback-http', '--json']);
    expect(wrong.exit).toBe(7);
    expect(wrong.stdout).toBe('');
    expect(JSON.parse(wrong.stderr)).toMatchObject({ code: expect.any(String) as string, hint: expect.any(String) as string });
    const dry = await add('work', '--dry-run');
    expect(dry.exit).toBe(0);
    expect(dry.stderr).toContain('Nothing was written.');
    expect((await home.valetkey(['profiles', '--quiet'])).stdout).toBe('');
  });

  it('adds a profile and names what to register', async () => {
    // As a person would: see what to register, register it, add it.
    const { profile } = JSON.parse((await add('work', '--dry-run', '--json')).stdout) as { profile: { redirect_uris: readonly string[] } };
    issuer.registerClient({ id: 'cli', redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
    const { exit, stdout, stderr } = await add('work');
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.stringContaining('Next: valetkey login work') as string });
    expect(stdout).toMatch(/Register at the issuer, to the letter.*\n {2}http:\/\/127\.0\.0\.1:\{port\}\//);
    expect((await home.valetkey(['profiles', '--quiet'])).stdout).toBe('work\n');
  });

  it('without a terminal says login_required in under a second, and starts nothing', async () => {
    const { exit, stdout, stderr, ms } = await home.unattended(['token', 'work']);
    expect({ exit, stdout }).toEqual({ exit: 3, stdout: '' });
    expect(stderr).toContain('(login_required)');
    expect(ms).toBeLessThan(boundMs(1_000));
    expect(issuer.count('authorization')).toBe(0);
  });

  it('Ctrl-C cancels the sign-in that it started, and exits 130', async () => {
    const { exit, stdout } = await home.atTerminal(['login', 'work', '--no-browser'], { typed: { after: /once: (http:\/\/127\.0\.0\.1:\d+\/start\/\S+)/, text: '\u0003' } });
    expect(stdout).toContain('(cancelled)');
    expect(exit).toBe(130);
    const { stdout: status } = await home.valetkey(['status', '--json']);
    expect(JSON.parse(status)).toMatchObject({ logins: [] });
    const link = /once: (\S+)/.exec(stdout)?.[1] ?? '';
    await expect(fetch(link)).rejects.toThrow();
  });

  it('signs in at a terminal', async () => {
    const { exit, stdout } = await home.atTerminal(['login', 'work']);
    expect(stdout).toContain('Signed in as');
    expect(exit).toBe(0);
  });

  it('[TK-01] prints the token and nothing else; nothing that the issuer minted besides it comes out of any verb', async () => {
    const { exit, stdout, stderr } = await home.valetkey(['token', 'work']);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toMatch(/^[\x21-\x7e]+\n$/);
    expect((await issuer.introspect(stdout.trim())).active).toBe(true);
    const verbs = [['grants'], ['grants', 'work'], ['grants', '--json'], ['status'], ['status', '--json'], ['profiles', '--json'], ['profile', 'show', 'work'], ['token', '--format', 'json', '--force', '--why'], ['doctor', '--json']];
    const said = (await Promise.all(verbs.map((verb) => home.valetkey(verb)))).map((one) => one.stdout + one.stderr).join('\n');
    const secrets = issuer.minted.filter(({ kind }) => kind !== 'access_token' && kind !== 'client_secret').map(({ value }) => value);
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
    // The search does find what is there.
    expect(issuer.minted.some(({ value }) => said.includes(value))).toBe(true);
  });

  it('[IP-10] keeps it from a job without a session until a person agreed, and asks no more then', async () => {
    const terminal = home.openTerminal();
    let said = '';
    const job = home.unattended(['token', 'work', '--reason', 'the nightly copy'], { onStderr: (text) => { said = text; } });
    type Pending = { readonly id: string; readonly rule: string; readonly claimed: { readonly reason: string } };
    const waiting = async () => (JSON.parse((await home.valetkey(['approvals', '--json'])).stdout) as { readonly pending: readonly Pending[] }).pending;
    await expect.poll(waiting).toEqual([expect.objectContaining({ rule: 'shipped/asked-once', claimed: expect.objectContaining({ reason: 'the nightly copy' }) as object })]);
    const [{ id } = { id: '' }] = await waiting();
    await expect.poll(() => said).toContain(`valetkey approve ${id}`); // after two seconds it says what it waits for
    // It cannot say so itself.
    expect(await home.unattended(['approve', id, '--exe-only'])).toMatchObject({ exit: 5, stderr: expect.stringContaining('(approval_refused)') as string });
    // Nor can a terminal that was opened for it, or the one that started it.
    expect(await home.atTerminal(['approve', id, '--exe-only'])).toMatchObject({ exit: 5, stdout: expect.stringContaining('in a session that is younger than the question') as string });
    expect(await home.valetkey(['approve', id, '--exe-only'])).toMatchObject({ exit: 5, stderr: expect.stringContaining('from which the program that asks was started') as string });
    expect(await terminal(['approve', id, '--exe-only'])).toMatchObject({ exit: 0, stdout: expect.stringContaining('Agreed, for this program, wherever it runs.') as string });
    const { exit, stdout } = await job;
    expect(exit).toBe(0);
    expect((await issuer.introspect(stdout.trim())).active).toBe(true);
    const again = await home.unattended(['token', 'work']);
    expect(again).toMatchObject({ exit: 0, stderr: '', stdout });
  });

  it('is the same in a pipe, as a header, and by a directory\'s file', async () => {
    const cwd = join(home.base, 'config');
    expect((await home.valetkey(['profile', 'default', 'work'], { cwd })).exit).toBe(0);
    const { stdout, stderr } = await home.valetkey(['token', '--why', '--format', 'header'], { cwd });
    expect(stdout).toMatch(/^Authorization: Bearer [\x21-\x7e]+\n$/);
    expect(stderr).toContain('.valetkey.toml names it');
  });

  it('signs in by itself where a token is asked for at a terminal', async () => {
    expect((await home.valetkey(['logout', 'work', '--json'])).exit).toBe(0);
    const { exit, stdout } = await home.atTerminal(['token', 'work']);
    expect(exit).toBe(0);
    expect(stdout).toContain('warning: A token is now on your screen');
  });

  it('logs out with proof at the issuer', async () => {
    const token = (await home.valetkey(['token', 'work'])).stdout.trim();
    const { exit, stdout } = await home.valetkey(['logout', '--all', '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ logouts: [{ profile: 'work' }] });
    expect((await issuer.introspect(token)).active).toBe(false);
  });

  it('purges everything of this user, and nothing beside it', async () => {
    const { exit, stdout } = await home.valetkey(['purge', '--yes', '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ removed: ['run', 'state', 'config'].map((name) => join(home.base, name, 'valetkey')), grants: [], workloads: [], not_revoked: null });
    expect(existsSync(join(home.base, 'state/valetkey'))).toBe(false);
    expect(readFileSync(join(home.base, 'config/.valetkey.toml'), 'utf8')).toContain('work');
  });
});
