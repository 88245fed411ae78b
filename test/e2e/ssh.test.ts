/** The built CLI on the far side of a real ssh connection: what its person sees, and whose broker answers. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { Processes } from '../support/processes.ts';
import { outputOf, SSHD_IS_MISSING, startSshd } from '../support/sshd.ts';
import type { Sshd } from '../support/sshd.ts';
import { CLI, makeHome, needBuild } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const OBSTACLE = SSHD_IS_MISSING ?? (spawnSync('script', ['--version']).status === 0 ? null : 'there is no script(1) here');
if (OBSTACLE !== null) console.log(`skipped: the CLI over ssh; ${OBSTACLE}`);

describe.skipIf(OBSTACLE !== null)('the CLI over ssh', () => {
  let laptop: Home;
  let server: Home;
  let issuer: EmbeddedIssuer;
  let processes: Processes;
  let sshd: Sshd;

  beforeAll(async () => {
    needBuild();
    processes = new Processes();
    issuer = await startIssuer();
    sshd = await startSshd(processes);
    laptop = makeHome();
    server = makeHome();
    for (const home of [laptop, server]) {
      const add = (...more: string[]) => home.valetkey(['profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--allow-loopback-http', ...more]);
      const { profile } = JSON.parse((await add('--dry-run', '--json')).stdout) as { profile: { redirect_uris: readonly string[] } };
      issuer.registerClient({ id: 'cli', redirectPaths: profile.redirect_uris.map((uri) => uri.replace(/^http:\/\/[^/]+/, '')) });
      await add();
    }
  }, 60_000);
  afterAll(async () => {
    await server?.leave();
    await laptop?.leave();
    await processes?.end();
    await issuer?.close();
  }, 60_000);

  const onServer = (...words: readonly string[]): string => `${Object.entries(server.env).map(([name, value]) => `${name}='${value}'`).join(' ')} '${process.execPath}' '${CLI}' ${words.join(' ')}`;

  it('[FC-12] shows the line that leads the browser here, and signs in by it', async () => {
    const ssh = await sshd.run(['-tt'], onServer('login', 'work'));
    let shown = '';
    ssh.stdout?.on('data', (chunk) => { shown += String(chunk); });
    await expect.poll(() => shown).toMatch(/\/start\/\S+/);
    const [, url = ''] = /(http:\/\/127\.0\.0\.1:\d+\/start\/\S+)/.exec(shown) ?? [];
    const { port } = new URL(url);
    expect(shown).toContain(`ssh -N -L ${port}:127.0.0.1:${port} -p ${sshd.port} ${userInfo().username}@127.0.0.1`);
    // Both machines are one, and its port is taken: the browser is at the far end of that line.
    await followLogin(url, { login: 'ada' });
    await expect.poll(() => ssh.exitCode).toBe(0);
    expect(shown).toContain('Signed in as ada');
    const decided = readFileSync(join(server.base, 'state/valetkey/audit/audit.jsonl'), 'utf8').split('\n').filter((line) => line.includes('login_decided'));
    expect(decided).toHaveLength(1);
    expect(JSON.parse(decided[0] ?? '')).toMatchObject({ facts: { outcome: 'pkce_ssh_forward', reason: 'ssh_forward_proved', input: { facts: { remote: true, tty: true } } } });
  });

  it('[FC-12] asks the broker of the laptop where ssh forwarded it, which shows that it sees a forwarded socket', async () => {
    await laptop.valetkey(['status']);
    const forwarded = join(server.env['XDG_RUNTIME_DIR'] ?? '', 'valetkey', 'forwarded');
    mkdirSync(join(server.env['XDG_RUNTIME_DIR'] ?? '', 'valetkey'), { recursive: true, mode: 0o700 });
    const before = await outputOf(await sshd.run(['-tt'], onServer('whoami', '--json')));
    expect(JSON.parse(before)).toMatchObject({ forwarded: false, remote: true });

    const ssh = await sshd.forward(['-R', `${forwarded}:${join(laptop.env['XDG_RUNTIME_DIR'] ?? '', 'valetkey', 'socket')}`]);
    const seen = await outputOf(await sshd.run(['-tt'], onServer('whoami')));
    expect(seen).toMatch(/Forwarded +yes/);
    expect(seen).toMatch(/Program +\S+\/ssh/);
    // A sign-in belongs to where the person is.
    expect(await outputOf(await sshd.run(['-tt'], onServer('login', 'work')))).toContain('caller_elsewhere');
    // Without a session of ssh it is the own one, as before.
    expect(JSON.parse((await server.valetkey(['whoami', '--json'])).stdout)).toMatchObject({ forwarded: false });
    ssh.kill();
    // A socket that nobody answers on any more leads nobody astray.
    for (let look = 0; look < 50 && ssh.exitCode === null && ssh.signalCode === null; look += 1) await sleep(20);
    expect(JSON.parse(await outputOf(await sshd.run(['-tt'], onServer('whoami', '--json'))))).toMatchObject({ forwarded: false });
  });
});
