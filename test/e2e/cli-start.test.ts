/** Start on demand and trust in the socket, with processes of their own. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLI, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

let home: Home;
beforeAll(needBuild);
beforeEach(() => { home = makeHome(); });
afterEach(async () => home.leave());

describe('start on demand', () => {
  it('[PH-01] starts a real daemon into which nothing of a hostile shell comes along', async () => {
    const witness = join(home.base, 'witness');
    const hook = join(home.base, 'hook.cjs');
    writeFileSync(hook, `require('node:fs').appendFileSync(${JSON.stringify(witness)}, process.argv[1] + '\\n')`);
    const env = { NODE_OPTIONS: `--require=${hook}`, NODE_PATH: home.base, LD_LIBRARY_PATH: home.base, SSLKEYLOGFILE: join(home.base, 'keys'), NODE_TLS_REJECT_UNAUTHORIZED: '0', DYLD_INSERT_LIBRARIES: '/x', GITHUB_TOKEN: 'gh-EXAMPLE' };
    const { exit, stdout } = await home.valetkey(['daemon', 'start', '--json'], { env });
    expect(exit).toBe(0);
    const { pid } = JSON.parse(stdout) as { pid: number };
    // The variable works (control): it was effective in the CLI, and there alone.
    expect(readFileSync(witness, 'utf8').trim().split('\n').every((file) => file.endsWith('client/main.js'))).toBe(true);
    expect(existsSync(join(home.base, 'keys'))).toBe(false);
    if (process.platform === 'linux' && process.getuid?.() === 0) {
      // Root alone may read the environment of a process that is not dumpable.
      const names = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').map((pair) => pair.split('=')[0] ?? '').filter((name) => name !== '');
      expect(names.filter((name) => !/^(?:PATH|HOME|LANG|LC_ALL|XDG_(?:RUNTIME_DIR|STATE_HOME|CONFIG_HOME)|DBUS_SESSION_BUS_ADDRESS|VALETKEY_STARTED_BY)$/.test(name))).toEqual([]);
    }
    expect((await home.valetkey(['daemon', 'status', '--json'])).stdout).toContain('"started_by": "valetkey daemon"');
  });

  it('of fifty CLIs at once one daemon lives, and all are answered', async () => {
    const runs = await Promise.all(Array.from({ length: 50 }, () => home.valetkey(['daemon', 'start', '--json'])));
    expect(runs.filter(({ exit }) => exit !== 0).map(({ stderr }) => stderr)).toEqual([]);
    expect(new Set(runs.map(({ stdout }) => (JSON.parse(stdout) as { pid: number }).pid)).size).toBe(1);
  }, 90_000);

  it('says why a daemon did not start', async () => {
    const state = join(home.base, 'state/valetkey');
    mkdirSync(state, { mode: 0o777 });
    chmodSync(state, 0o777);
    const { exit, stderr } = await home.valetkey(['token', 'work', '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'runtime_dir_untrusted', detail: expect.stringContaining(state) as string });
    expect(exit).toBe(8);
    rmSync(state, { recursive: true });
  });

  it('stops it, and does not start one only to stop it or to look at it', async () => {
    expect(await home.valetkey(['daemon', 'stop'])).toMatchObject({ exit: 0, stderr: 'The daemon does not run.\n' });
    expect(await home.valetkey(['daemon', 'status'])).toMatchObject({ exit: 9 });
    expect(readdirSync(join(home.base, 'run'))).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')('ends a daemon whose socket is gone, and says so before', async () => {
    const { stdout } = await home.valetkey(['daemon', 'start', '--json']);
    const { pid, socket } = JSON.parse(stdout) as { pid: number; socket: string };
    rmSync(socket);
    const status = await home.valetkey(['daemon', 'status', '--json']);
    expect(JSON.parse(status.stderr)).toMatchObject({ code: 'daemon_unreachable', detail: `daemon ${pid} runs, but its socket ${socket} is gone`, hint: `If it is ending it is gone within a minute; else run: kill ${pid}, then the command again` });
    expect(await home.valetkey(['daemon', 'stop'])).toMatchObject({ exit: 0, stderr: 'The daemon has stopped.\n' });
    // Where nobody reaps it, it has no command line any more.
    expect(existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBeOneOf([false, '']);
    expect((await home.valetkey(['daemon', 'start'])).exit).toBe(0);
  });

  it.skipIf(process.platform !== 'linux')('purges by another daemon where the socket is gone', async () => {
    const { stdout } = await home.valetkey(['daemon', 'start', '--json']);
    rmSync((JSON.parse(stdout) as { socket: string }).socket);
    const purged = await home.valetkey(['purge', '--yes', '--json']);
    expect(JSON.parse(purged.stdout)).toMatchObject({ grants: [] });
    expect(JSON.parse(purged.stdout)).toMatchObject({ not_revoked: null });
    expect(existsSync(join(home.base, 'state/valetkey'))).toBe(false);
  }, 20_000);

  it('purges without a daemon where the configuration is broken, and says what that means', async () => {
    const config = join(home.base, 'config/valetkey');
    const state = join(home.base, 'state/valetkey');
    for (const directory of [config, state]) mkdirSync(directory, { mode: 0o700 });
    writeFileSync(join(config, 'config.toml'), 'v = 1\nnonsense = 1\n', { mode: 0o600 });
    const { exit, stderr } = await home.valetkey(['purge', '--yes']);
    expect(stderr).toContain(`The daemon could not be started: ${config}/config.toml:2:1`);
    expect(stderr).toContain('no token was revoked at its issuer');
    expect({ exit, left: [config, state].filter((directory) => existsSync(directory)) }).toEqual({ exit: 0, left: [] });
  });

  it('finds the daemon from a shell without XDG_RUNTIME_DIR, by the lock record', async () => {
    const { stdout } = await home.valetkey(['daemon', 'start', '--json']);
    const { pid } = JSON.parse(stdout) as { pid: number };
    const elsewhere = await home.valetkey(['daemon', 'status', '--json'], { env: { XDG_RUNTIME_DIR: '' } });
    expect(JSON.parse(elsewhere.stdout)).toMatchObject({ pid });
  });
});

describe('a broken shell', () => {
  const inShell = (line: string) => spawnSync('sh', ['-c', line, 'sh', process.execPath, CLI], { env: { ...home.env }, encoding: 'utf8', cwd: home.base });

  it.skipIf(!existsSync('/dev/full'))('a full disk under standard output is an error in one line', () => {
    const { status, stderr } = inShell('"$1" "$2" --help > /dev/full');
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'error: standard output cannot be written (ENOSPC)\n' });
  });

  it('a reader that has left is none', () => {
    const { status, stderr } = inShell('{ "$1" "$2" completion bash; echo "$?" >&2; } | true');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '0\n' });
  });

  it('a working directory that is gone matters only where it would name the profile', () => {
    const gone = (words: string) => inShell(`mkdir gone && cd gone && rmdir ../gone && "$1" "$2" ${words}`);
    expect(gone('--version')).toMatchObject({ status: 0, stderr: '' });
    const { status, stderr } = gone('token');
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('the working directory is gone') as string });
    expect(stderr).not.toContain(' at ');
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('not run: giving a socket to another user needs root');

/** A server of another user, or of this one, that writes down every byte it gets. */
const FAKE = `
const { createServer } = require('node:net');
const { appendFileSync, chmodSync, mkdirSync } = require('node:fs');
const [directory, log] = process.argv.slice(1);
process.umask(0o077);
mkdirSync(directory, { mode: 0o700 });
createServer((socket) => { appendFileSync(log, 'connection\\n'); socket.on('data', (data) => { appendFileSync(log, data); socket.end('HTTP/1.1 200 OK\\r\\nvaletkey-protocol: 1\\r\\ncontent-length: 2\\r\\n\\r\\n{}'); }); })
  .listen(directory + '/socket', () => { chmodSync(directory + '/socket', 0o600); console.log('ready'); });
`;

describe.skipIf(!isRoot)('a server of another user', () => {
  const children: ChildProcess[] = [];
  // A checkout may stand where only its owner can read; the client runs as somebody else.
  let readable = '';
  beforeAll(() => {
    readable = mkdtempSync(join(tmpdir(), 'valetkey-readable-'));
    chmodSync(readable, 0o755);
    for (const path of ['package.json', 'dist/client', 'dist/shared', 'node_modules/commander', 'node_modules/valibot']) {
      cpSync(join(ROOT, path), join(readable, path), { recursive: true, dereference: true });
    }
  });
  afterAll(() => rmSync(readable, { recursive: true, force: true }));
  afterEach(async () => {
    for (const child of children.splice(0)) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });

  // The client is unprivileged, since root passes every file mode; it runs in directories that it may enter.
  async function meet(serverUid: number, plant: 'in place' | 'by a link'): Promise<{ exit: number | null; stderr: string; log: string }> {
    const base = mkdtempSync(join(tmpdir(), 'valetkey-ip06-'));
    chmodSync(base, 0o777);
    const log = join(base, 'log');
    writeFileSync(log, '');
    chmodSync(log, 0o666);
    const directory = join(base, plant === 'in place' ? 'valetkey' : 'planted');
    const server = spawn(process.execPath, ['-e', FAKE, directory, log], { uid: serverUid, gid: serverUid, stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' });
    children.push(server);
    await once(server.stdout, 'data');
    if (plant === 'by a link') symlinkSync(directory, join(base, 'valetkey'));
    const state = join(base, 'state');
    mkdirSync(state, { mode: 0o700 });
    chownSync(state, 65_534, 65_534);
    const client = spawn(process.execPath, [join(readable, 'dist/client/main.js'), 'daemon', 'status', '--json'], {
      uid: 65_534, gid: 65_534, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin', XDG_RUNTIME_DIR: base, XDG_STATE_HOME: state, XDG_CONFIG_HOME: state },
    });
    let stderr = '';
    client.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    const [exit] = await once(client, 'close') as [number | null];
    const seen = readFileSync(log, 'utf8');
    rmSync(base, { recursive: true, force: true });
    return { exit, stderr, log: seen };
  }

  it('[IP-06] is sent nothing, neither in place nor by a link; one of our own is (control)', async () => {
    for (const plant of ['in place', 'by a link'] as const) {
      const { exit, stderr, log } = await meet(65_533, plant);
      expect({ plant, exit, log }).toEqual({ plant, exit: 9, log: '' });
      expect(JSON.parse(stderr)).toMatchObject({ code: 'server_untrusted' });
    }
    const control = await meet(65_534, 'in place');
    expect(control.log).toContain('GET /v1/status');
  });
});
