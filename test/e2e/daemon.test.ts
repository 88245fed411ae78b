/** The built daemon as a process: one of it, its end, its death, its privacy. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { followLogin } from '../../demo/browser.ts';
import { callApi } from '../support/api.ts';
import { collectCanaries, searchTree } from '../support/canaries.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml } from '../support/in-process.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const DAEMON = join(ROOT, 'dist/daemon/main.js');
if (process.getuid?.() !== 0) console.log('skipped: tests of other users and of root; these tests do not run as root');
let home: Home;
let issuer: HostileIssuer;
const running: ChildProcess[] = [];

beforeAll(needBuild);
beforeEach(async () => {
  home = makeHome();
  issuer = await startHostileIssuer({ lifetimes: { accessTokenS: 61 } });
  mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
  configure();
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  await home.leave();
  await issuer.close();
});

function configure(more = ''): void {
  const browser = `browser = ["${process.execPath}", "${BROWSER}", "--login", "alice", "{url}"]`;
  writeFileSync(join(home.base, 'config/valetkey/config.toml'), `${more}\n${profileToml('work', issuer.url, browser)}`, { mode: 0o600 });
}

type Started = { readonly child: ChildProcess; readonly stderr: () => string; readonly exited: Promise<number | null> };

function launch(env: Readonly<Record<string, string>> = {}, nodeArgs: readonly string[] = []): Started {
  const child = spawn(process.execPath, [...nodeArgs, DAEMON], { env: { ...home.env, ...env }, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  running.push(child);
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
  return { child, stderr: () => text, exited: new Promise((resolve) => { child.once('exit', (code) => resolve(code)); }) };
}

const socket = (): string => join(home.base, 'run/valetkey/socket');
async function up(): Promise<void> {
  await expect.poll(async () => {
    try {
      return (await callApi(socket(), 'GET', '/v1/status')).status;
    } catch {
      return 0; // not yet
    }
  }, { timeout: 8_000, interval: 20 }).toBe(200);
}
async function start(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const started = launch(env);
  await up();
  return started;
}
const token = async (ask: object = {}) => (await callApi(socket(), 'POST', '/v1/token', { profile: 'work', ...ask })).body;
async function signIn(): Promise<void> {
  const { exit, stdout } = await home.atTerminal(['login', 'work']);
  expect(stdout).toContain('Signed in as');
  expect(exit).toBe(0);
}
const listeners = (pid: number | undefined): string => execFileSync('ss', ['-Hltnp'], { encoding: 'utf8' }).split('\n').filter((line) => line.includes(`pid=${pid},`)).join('\n');

describe('one daemon', () => {
  it('[IP-04] a second one leaves at once with status 0 and touches nothing', async () => {
    const first = await start();
    const before = lstatSync(socket());
    const second = launch();
    expect(await second.exited).toBe(0);
    expect(JSON.parse(second.stderr())).toMatchObject({ code: 'already_running' });
    expect(lstatSync(socket()).ino).toBe(before.ino);
    expect((await callApi(socket(), 'GET', '/v1/status')).body.pid).toBe(first.child.pid);
  });

  it('[IP-04] after SIGKILL the next one takes the stale socket over, a dozen times', async () => {
    for (let i = 0; i < 12; i += 1) {
      const { child, exited } = await start();
      child.kill('SIGKILL');
      await exited;
      expect(existsSync(socket())).toBe(true);
    }
    const two = [launch(), launch()];
    await up();
    const codes = await Promise.race(two.map((d) => d.exited));
    expect(codes).toBe(0);
    expect((await callApi(socket(), 'GET', '/v1/status')).status).toBe(200);
  }, 60_000);

  it('[IP-13] opens no TCP port while idle, [LB-03] one during a login, and none a second after it', async () => {
    const { child } = await start();
    expect(listeners(child.pid)).toBe('');
    configure();
    const login = spawn('script', ['-qec', `'${process.execPath}' '${ROOT}/dist/client/main.js' login work --no-browser`, '/dev/null'], { env: { ...home.env, SHELL: '/bin/sh' }, stdio: ['pipe', 'pipe', 'ignore'] });
    running.push(login);
    let shown = '';
    login.stdout.setEncoding('utf8').on('data', (text: string) => { shown += text; });
    await expect.poll(() => /http:\/\/127\.0\.0\.1:\d+\/start\/\S+/.exec(shown)?.[0] ?? '').not.toBe('');
    expect(listeners(child.pid)).toMatch(/^LISTEN\s+\d+\s+\d+\s+127\.0\.0\.1:\d+/);
    expect(listeners(child.pid).split('\n')).toHaveLength(1);
    await followLogin(/http:\/\/127\.0\.0\.1:\d+\/start\/[\w-]+/.exec(shown)?.[0] ?? '', { login: 'alice' });
    await expect.poll(() => listeners(child.pid), { interval: 50 }).toBe('');
    expect(await token()).toMatchObject({ source: 'cache' });
  });
});

describe('its end', () => {
  it('SIGTERM finishes and saves a refresh that is on the wire', async () => {
    const { child, exited } = await start();
    await signIn();
    issuer.fault('token', faults.delay(1_500));
    const waiting = token({ force: true });
    await expect.poll(() => issuer.requestsTo('token').length).toBe(2);
    child.kill('SIGTERM');
    expect(await waiting).toMatchObject({ source: 'refresh' });
    expect(await exited).toBe(0);
    expect(existsSync(socket())).toBe(false);
  });

  it('[TK-04] killed at any moment of a refresh it never uses a consumed token again and asks for at most one sign-in', async () => {
    configure('[vault]\nbackend = "passphrase"\n');
    const passphrase = 'correct horse battery EXAMPLE';
    await start();
    await callApi(socket(), 'POST', '/v1/unlock', { passphrase, create: true });
    await signIn();
    let signIns = 0;
    for (const delayMs of [0, 2, 5, 10, 20, 40, 80, 160, 320]) {
      issuer.fault('token', faults.delay(100));
      const dying = token({ force: true }).catch(() => null);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      running.at(-1)?.kill('SIGKILL');
      await dying;
      await new Promise((resolve) => setTimeout(resolve, 200)); // the issuer goes on with what it got
      await start();
      expect((await callApi(socket(), 'POST', '/v1/unlock', { passphrase })).body).toMatchObject({ state: 'open' });
      const reply = await token({ force: true });
      if (reply.code === 'login_required') {
        expect(reply.reason).toBe('refresh_answer_lost');
        signIns += 1;
        await signIn();
      } else {
        expect(reply).toMatchObject({ access_token: expect.any(String) });
      }
      expect(await token()).toMatchObject({ access_token: expect.any(String) });
    }
    expect(signIns).toBeGreaterThan(0); // else no kill hit the window that this test is about
    expect(issuer.issuer.events.filter((e) => e.name === 'grant.revoked')).toEqual([]);
  }, 90_000);
});

describe('a start that fails', () => {
  it.each([
    ['a file stands where the socket belongs', 'run/valetkey/socket', '', 8, 'runtime_dir_untrusted'],
    ['vault.json is of a newer version', 'state/valetkey/vault.json', '{"v":99}', 8, 'file_too_new'],
  ])('ends with the status of its error when %s', async (_name, path, text, status, code) => {
    configure('[vault]\nbackend = "passphrase"\n');
    mkdirSync(join(home.base, path, '..'), { mode: 0o700 });
    writeFileSync(join(home.base, path), text, { mode: 0o600 });
    const { exited, stderr } = launch();
    expect(await exited).toBe(status);
    expect(JSON.parse(stderr().trim().split('\n').at(-1) ?? '{}')).toMatchObject({ code });
    rmSync(join(home.base, path));
    await start();
  });
});

describe('a reader of its log', () => {
  it('may leave at any time: the daemon goes on', async () => {
    const { child } = launch();
    child.stderr?.destroy();
    await up();
    for (let i = 0; i < 5; i += 1) expect((await callApi(socket(), 'GET', '/v1/nothing')).status).toBe(404);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    expect((await callApi(socket(), 'GET', '/v1/status')).body.pid).toBe(child.pid);
  });

  it('gets the level of a changed configuration at SIGHUP, and is told what waits for the next start', async () => {
    const { child, stderr } = await start();
    await callApi(socket(), 'GET', '/v1/status');
    expect(stderr()).not.toMatch(/ debug +request /);
    configure('[log]\nlevel = "debug"\nformat = "json"\n');
    child.kill('SIGHUP');
    await expect.poll(stderr).toMatch(/log_changes_at_next_start keys=\["format"\]/);
    await callApi(socket(), 'GET', '/v1/status');
    await expect.poll(stderr).toMatch(/ debug +request /);
  });
});

describe('its privacy', () => {
  it.each([
    ['a variable that loads code', { NODE_OPTIONS: '--no-warnings' }, [], 'unsafe_environment'],
    ['one that shows TLS keys', { SSLKEYLOGFILE: '/dev/null' }, [], 'unsafe_environment'],
    ['one that weakens TLS', { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, [], 'unsafe_environment'],
    ['a linker variable', { LD_LIBRARY_PATH: '/tmp' }, [], 'unsafe_environment'],
    ['a debugger', {}, ['--inspect=127.0.0.1:0'], 'debugger_refused'],
  ])('[PH-01, PH-02] it does not start with %s', async (_name, env, flags, code) => {
    const { exited, stderr } = launch(env as Record<string, string>, flags);
    expect(await exited).toBe(8);
    expect(JSON.parse(stderr().split('\n').find((line) => line.startsWith('{')) ?? '{}')).toMatchObject({ code, hint: expect.any(String) });
    expect(existsSync(socket())).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0)('[PH-07] it does not run for somebody else as root, and as root itself only with a warning', async () => {
    const { exited, stderr } = launch({ SUDO_USER: 'alice' });
    expect(await exited).toBe(8);
    expect(JSON.parse(stderr())).toMatchObject({ code: 'run_as_root', detail: expect.stringContaining('SUDO_USER') });
    await start();
    expect((await callApi(socket(), 'GET', '/v1/status')).body.warnings).toEqual(expect.arrayContaining([expect.stringContaining('root')]));
  });

  it('[PH-02] SIGUSR1 opens no debugger', async () => {
    const { child } = await start();
    child.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(listeners(child.pid)).toBe('');
    await up();
  });

  it('[PH-03] leaves no core and no report, and says so in its limits', async () => {
    const { child, exited } = await start();
    const limits = readFileSync(`/proc/${child.pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max core file size\s+0\s+0\s/);
    child.kill('SIGABRT');
    await exited;
    expect(searchTree(home.base, [{ kind: 'other', forms: [{ form: 'a report', bytes: Buffer.from('"nodeReport"') }] }])).toEqual([]);
  });

  it.each([
    ['a symlink', (path: string) => symlinkSync('/tmp', path)],
    ['a directory of 0777', (path: string) => { mkdirSync(path); chmodSync(path, 0o777); }],
    ['a file', (path: string) => writeFileSync(path, '')],
  ])('[IP-01] does not start when %s stands where its runtime directory belongs', async (_name, plant) => {
    const planted = join(home.base, 'run/valetkey');
    plant(planted);
    const { exited, stderr } = launch();
    expect(await exited).toBe(8);
    expect(JSON.parse(stderr())).toMatchObject({ code: 'runtime_dir_untrusted', detail: expect.stringContaining('run/valetkey') });
    rmSync(planted, { recursive: true });
  });

  it('[IP-03] does not start on a path that the kernel would cut', async () => {
    const long = join(home.base, 'x'.repeat(100));
    mkdirSync(long, { mode: 0o700 });
    const { exited, stderr } = launch({ XDG_RUNTIME_DIR: long });
    expect(await exited).toBe(8);
    expect(JSON.parse(stderr())).toMatchObject({ code: 'socket_path_invalid' });
    expect(existsSync(join(long, 'valetkey'))).toBe(false);
  });

  it('[IP-02] without a runtime directory uses one under the state directory, never /tmp', async () => {
    launch({ XDG_RUNTIME_DIR: '' });
    const fallback = join(home.base, 'state/valetkey/run/socket');
    await expect.poll(() => existsSync(fallback)).toBe(true);
    expect(lstatSync(join(home.base, 'state/valetkey/run')).mode & 0o777).toBe(0o700);
    expect(existsSync('/tmp/valetkey')).toBe(false);
    expect((await home.valetkey(['status', '--json'], { env: { XDG_RUNTIME_DIR: '' } })).exit).toBe(0);
  });

  it.skipIf(process.getuid?.() !== 0)('[IP-05] refuses another user even where the file modes let him in', async () => {
    await start();
    for (const path of [home.base, join(home.base, 'run'), join(home.base, 'run/valetkey')]) chmodSync(path, 0o777);
    chmodSync(socket(), 0o777);
    const script = `const s=require('node:net').connect(${JSON.stringify(socket())});let n=0;s.on('data',d=>n+=d.length);s.on('connect',()=>s.write('GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'));s.on('error',()=>{});s.on('close',()=>console.log('closed',n))`;
    const other = spawnSync('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', script], { encoding: 'utf8', timeout: 10_000 });
    expect(other.stdout).toBe('closed 0\n');
    const mine = spawnSync(process.execPath, ['-e', script.replace("s.on('close'", "setTimeout(()=>s.destroy(),500);s.on('close'")], { encoding: 'utf8', timeout: 10_000 });
    expect(mine.stdout).toMatch(/^closed [1-9]/); // the same attempt as oneself works
    const audit = readFileSync(join(home.base, 'state/valetkey/audit', 'audit.jsonl'), 'utf8');
    expect(audit).toContain('"event":"peer_refused"');
    for (const path of [home.base, join(home.base, 'run'), join(home.base, 'run/valetkey')]) chmodSync(path, 0o700);
    chmodSync(socket(), 0o600);
  });
});

describe('[ST-01] without a keychain', () => {
  it('keeps sign-ins in memory, says so, and writes no secret to the disk', async () => {
    await start();
    await signIn();
    await token({ force: true });
    const status = (await callApi(socket(), 'GET', '/v1/status')).body;
    expect(status.vault).toMatchObject({ backend: 'memory', state: 'open' });
    expect(searchTree(home.base, collectCanaries(issuer.issuer.minted))).toEqual([]);
  });
});

describe('[AZ-09] another user who reads process lists', () => {
  it('sees neither state nor challenge in the command line of the browser, and the link is used up', async () => {
    await start();
    configure();
    const spy = join(home.base, 'argv');
    const browser = join(home.base, 'browser.sh');
    writeFileSync(browser, `#!/bin/sh\ntr '\\0' ' ' < /proc/$$/cmdline > ${spy}\nexec '${process.execPath}' '${BROWSER}' --login alice "$1"\n`, { mode: 0o700 });
    writeFileSync(join(home.base, 'config/valetkey/config.toml'), profileToml('work', issuer.url, `browser = ["${browser}", "{url}"]`), { mode: 0o600 });
    await callApi(socket(), 'POST', '/v1/reload');
    await signIn();
    const argv = readFileSync(spy, 'utf8');
    expect(argv).toMatch(/http:\/\/127\.0\.0\.1:\d+\/start\/[\w-]{43} /);
    const secrets = issuer.issuer.minted.filter((m) => ['state', 'nonce', 'code_challenge', 'code_verifier', 'authorization_code', 'request_uri'].includes(m.kind));
    expect(secrets.length).toBeGreaterThanOrEqual(4);
    for (const { value } of secrets) expect(argv).not.toContain(value);
  });
});

it('a connection that breaks in the middle harms nobody', async () => {
  await start();
  for (let i = 0; i < 200; i += 1) connect(socket()).on('error', () => undefined).once('connect', function broken(this: ReturnType<typeof connect>) { this.write('POST /v1/token HTT'); this.destroy(); });
  await up();
});
