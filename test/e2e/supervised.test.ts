/** The daemon under a supervisor: its socket, its notifications, and the key that outlives it; by the built program. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import { loadNative } from '../../daemon/platform/native.ts';
import { ERRORS } from '../../shared/errors.ts';
import { closeFd, receiveBytes } from '../../daemon/platform/sockets.ts';
import { boundSocket, listeningSocket, StandInSystemd } from '../support/stand-in-systemd.ts';
import { BROWSER, makeHome, needBuild, ROOT } from './built-cli.ts';
import type { Home } from './built-cli.ts';

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('not run: descriptors from systemd are of Linux');
const hasActivate = spawnSync('systemd-socket-activate', ['--version']).status === 0;
if (!hasActivate) console.warn('not run: systemd-socket-activate is missing (Debian package systemd)');
const hasScript = spawnSync('script', ['--version']).status === 0;
if (!hasScript) console.warn('not run in whole: script(1) of util-linux is missing, so nobody signs in');

const MAIN = join(ROOT, 'dist/daemon/main.js');
const PASSPHRASE = 'supervised-passphrase-EXAMPLE';

let home: Home;
let socket: string;
let systemd: StandInSystemd;
let more: ChildProcess[];

const supervise = (notify = join(home.base, 'notify'), program: readonly string[] = [process.execPath, MAIN]): StandInSystemd => {
  systemd = new StandInSystemd({ socket, notify, env: home.env, program });
  return systemd;
};
const vault = async (): Promise<unknown> => (JSON.parse((await home.valetkey(['status', '--json'])).stdout) as { vault: unknown }).vault;
const create = async (): Promise<void> => {
  expect(await home.valetkey(['unlock', '--create', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: 0 });
  await expect.poll(() => systemd.kept.length).toBe(1);
};

describe.skipIf(!isLinux)('a daemon under a supervisor', () => {
  beforeAll(() => needBuild());
  beforeEach(() => {
    home = makeHome();
    socket = join(home.base, 'run/valetkey/socket');
    more = [];
  });
  afterEach(async () => {
    await systemd.close();
    for (const child of more) child.kill('SIGKILL');
    await home.leave();
  });

  it('serves on the socket that it is given, and leaves it to who waits for the next one', async () => {
    const { ino } = (supervise(), lstatSync(socket));
    const asked = home.valetkey(['daemon', 'status', '--json']); // before there is a daemon
    await systemd.start();
    expect(JSON.parse((await asked).stdout)).toMatchObject({ socket, started_by: 'systemd', pid: systemd.child?.pid });
    const stopped = await home.valetkey(['daemon', 'stop']); // which must not wait for, or start, another by its look
    expect(stopped).toMatchObject({ exit: 0, stderr: expect.stringContaining('the next request') as string });
    await expect.poll(() => systemd.child?.exitCode).toBe(0);
    expect(await home.valetkey(['daemon', 'stop'])).toMatchObject({ exit: 0, stderr: expect.stringContaining('does not run') as string });
    expect(lstatSync(socket).ino).toBe(ino);
    const next = home.valetkey(['daemon', 'status', '--json']);
    await systemd.start();
    expect(JSON.parse((await next).stdout)).toMatchObject({ pid: systemd.child?.pid });
  });

  it('says to all who wait, in their dialect, why it cannot start, and leaves the socket to the next one', async () => {
    supervise();
    mkdirSync(join(home.base, 'config/valetkey'), { mode: 0o700 });
    const config = join(home.base, 'config/valetkey/config.toml');
    writeFileSync(config, 'this is no configuration', { mode: 0o600 });
    const asked = home.valetkey(['status', '--json']);
    const lines = new Promise<string>((resolve, reject) => {
      let text = '';
      const connection = connect(socket, () => connection.end('{"type":"token","id":7,"data":{"profile":"work"}}\n')).setEncoding('utf8');
      connection.on('data', (more: string) => { text += more; }).on('end', () => resolve(text)).on('error', reject);
    });
    const silent = connect(socket); // who says nothing holds nobody up
    silent.on('error', () => undefined);
    const child = systemd.launch();
    const ended = once(child, 'close');
    const { exit, stderr } = await asked;
    expect(exit).toBe(8);
    expect(JSON.parse(stderr)).toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('config.toml') as string });
    expect(JSON.parse(await lines)).toMatchObject({ type: 'token', id: 7, status: ERRORS.config_invalid.status, data: { code: 'config_invalid' } });
    await ended;
    expect(child.exitCode).toBe(8);
    silent.destroy();
    rmSync(config);
    const next = home.valetkey(['daemon', 'status', '--json']);
    await systemd.start();
    expect(JSON.parse((await next).stdout)).toMatchObject({ pid: systemd.child?.pid });
  });

  it.each([['a path', (base: string) => join(base, 'notify')], ['an abstract name', (base: string) => `@${base}/notify`]])('says by %s that it serves, reads again, lives and ends', async (_, name) => {
    supervise(name(home.base));
    const child = await systemd.start({ WATCHDOG_USEC: '200000' });
    expect(systemd.said).toContain(`STATUS=Serving on ${socket}`);
    await expect.poll(() => systemd.count('WATCHDOG=1')).toBeGreaterThan(2);
    child.kill('SIGHUP');
    await expect.poll(() => systemd.count('READY=1')).toBe(2);
    const reloading = systemd.said.indexOf('RELOADING=1');
    expect(systemd.said[reloading + 1]).toMatch(/^MONOTONIC_USEC=\d+$/);
    expect(systemd.said.indexOf('READY=1', reloading)).toBeGreaterThan(reloading);
    await home.valetkey(['lock']);
    await expect.poll(() => systemd.said.find((line) => line.startsWith('STATUS=Locked'))).toBeDefined();
    expect(await systemd.end('SIGTERM')).toBe(0);
    expect(systemd.said).toContain('STOPPING=1');
  });

  it('heeds no variable that names another process', async () => {
    supervise();
    const child = await systemd.start({ WATCHDOG_USEC: '200000', WATCHDOG_PID: '1', LISTEN_PID: '1' }).catch(() => null);
    // The socket at its path is one that it was not given, and somebody accepts there: it leaves.
    expect(child).toBeNull();
    expect(systemd.count('WATCHDOG=1')).toBe(0);
  });

  it('[PH-01] passes on nothing of it to a program that it starts', async () => {
    supervise();
    await systemd.start();
    const probe = join(ROOT, 'dist/daemon/platform/inherited.js');
    const script = `import { takeInherited } from ${JSON.stringify(probe)}; import { loadNative } from ${JSON.stringify(join(ROOT, 'dist/daemon/platform/native.js'))}; import { spawnSync } from 'node:child_process';
      const got = takeInherited(process.env, { socket: ${JSON.stringify(socket)}, uid: process.getuid() }, loadNative());
      const child = spawnSync('/bin/sh', ['-c', 'env; test -e /proc/self/fd/' + got.listener + ' && echo HAS-IT']).stdout.toString();
      process.stderr.write(JSON.stringify({ got, child }));`;
    const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', script], { env: { ...home.env, LISTEN_FDS: '1', NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '5000000' }, stdio: ['ignore', 'ignore', 'pipe', systemd.listener] });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { said += text; });
    await once(child, 'close');
    const { got, child: seen } = JSON.parse(said) as { got: unknown; child: string };
    expect(got).toEqual({ by: 'systemd', listener: 3, holdsListener: true, keptKey: null, notifySocket: '@x', watchdogMs: 5000 });
    expect(seen).toContain('XDG_RUNTIME_DIR');
    expect(seen).not.toMatch(/LISTEN_|NOTIFY_SOCKET|WATCHDOG|HAS-IT/);
  });

  describe('that passes on something else', () => {
    const refused = async (fds: readonly number[]): Promise<unknown> => {
      systemd.launch({}, fds);
      await once(systemd.child!, 'close');
      const [line = ''] = systemd.stderr.split('\n').filter((each) => each.startsWith('{'));
      return JSON.parse(line);
    };

    it('does not start on a socket that is elsewhere, speaks otherwise, or does not listen', async () => {
      supervise();
      const elsewhere = listeningSocket(join(home.base, 'elsewhere'));
      const datagrams = boundSocket(2, join(home.base, 'datagrams'));
      const deaf = boundSocket(1, join(home.base, 'deaf'));
      const file = openSync(join(home.base, 'file'), 'w');
      for (const [fd, why] of [[elsewhere, `is at ${home.base}/elsewhere`], [datagrams, 'not a Unix stream socket'], [deaf, 'does not listen'], [file, 'not a Unix stream socket']] as const) {
        systemd.stderr = '';
        expect(await refused([fd])).toMatchObject({ code: 'socket_path_invalid', detail: expect.stringContaining(why) as string });
        expect(systemd.child?.exitCode).toBe(8);
      }
      systemd.stderr = '';
      expect(await refused([systemd.listener, elsewhere])).toMatchObject({ detail: expect.stringContaining('2 sockets') as string });
      for (const fd of [elsewhere, datagrams, deaf]) closeFd(fd, loadNative());
      closeSync(file);
    });

    it('[IP-01] does not start on a socket that others may use', async () => {
      supervise();
      chmodSync(socket, 0o666);
      expect(await refused([systemd.listener])).toMatchObject({ code: 'runtime_dir_untrusted', detail: expect.stringContaining(socket) as string, hint: expect.stringContaining('SocketMode=0600') as string });
      chmodSync(socket, 0o600);
    });
  });

  it('[IP-04] lets a daemon that was started on demand finish, and takes its place', async () => {
    const first = await home.valetkey(['daemon', 'start', '--json']);
    const { pid } = JSON.parse(first.stdout) as { pid: number };
    // As systemd does: the path is taken from whoever is there.
    systemd = new StandInSystemd({ socket: (spawnSync('rm', [socket]), socket), notify: join(home.base, 'notify'), env: home.env, program: [process.execPath, MAIN] });
    await systemd.start();
    await expect.poll(() => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')).toBe(false);
    expect(JSON.parse((await home.valetkey(['daemon', 'status', '--json'])).stdout)).toMatchObject({ pid: systemd.child?.pid });
    expect(existsSync(socket)).toBe(true);
  });

  it('leaves alone who holds the lock and is no daemon of the record', async () => {
    supervise();
    const lock = join(home.base, 'state/valetkey/lock');
    spawnSync('mkdir', ['-p', '-m', '700', join(home.base, 'state/valetkey')]);
    const holder = spawn('flock', [lock, 'sleep', '1000'], { stdio: 'ignore', detached: true });
    more.push(holder);
    await expect.poll(() => readFileSync('/proc/locks', 'utf8').includes(`:${existsSync(lock) ? lstatSync(lock).ino : 'none'} `)).toBe(true);
    chmodSync(lock, 0o600);
    await expect(systemd.start()).rejects.toThrow('already_running');
    expect(holder.exitCode).toBeNull();
    process.kill(-holder.pid!, 'SIGKILL');
    await once(holder, 'close');
  });

  describe('with a passphrase', () => {
    it('is not asked again after a kill, nor after a restart, and again after a stop', async () => {
      supervise();
      await systemd.start();
      await create();
      for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
        await systemd.end(signal);
        expect(systemd.kept).toHaveLength(1);
        await systemd.start();
        expect(await vault()).toMatchObject({ backend: 'passphrase', state: 'open' });
      }
      expect(systemd.count('FDSTORE=1')).toBe(1); // what is kept already is not handed over again
      await systemd.end('SIGTERM');
      closeFd(systemd.kept[0]!.fd, loadNative()); // what systemd does when nobody is to start it again
      systemd.kept = [];
      await systemd.start();
      expect(await vault()).toMatchObject({ backend: 'passphrase', state: 'locked' });
    });

    it.each([['valetkey lock', ['lock']], ['valetkey panic', ['panic']], ['valetkey purge', ['purge', '--yes']]])('is asked again after %s, also where systemd did not let go of it', async (_, args) => {
      supervise();
      await systemd.start();
      await create();
      // A manager that ignores FDSTOREREMOVE, or is slow: it has a descriptor of its own.
      const held = systemd.kept[0]!;
      systemd.kept = [{ ...held, name: 'slow' }];
      expect((await home.valetkey(args)).exit).toBe(0);
      await expect.poll(() => systemd.count('FDSTOREREMOVE=1')).toBeGreaterThan(0);
      expect(receiveBytes(held.fd, Buffer.alloc(64), true, loadNative())).toBe(0); // the end of the queue, and nothing before it
      if (args[0] === 'purge') return;
      systemd.kept = [{ ...held, name: 'data-key-1' }];
      await systemd.end('SIGKILL');
      await systemd.start();
      expect(await vault()).toMatchObject({ backend: 'passphrase', state: 'locked' });
      expect(await home.valetkey(['unlock', '--passphrase-stdin'], { stdin: `${PASSPHRASE}\n` })).toMatchObject({ exit: args[0] === 'lock' ? 0 : expect.any(Number) as number });
    });

    it('keeps a key that opens nothing no longer than it takes to see that', async () => {
      supervise();
      await systemd.start();
      await create();
      await systemd.end('SIGKILL');
      const far = systemd.kept[0]!.fd;
      receiveBytes(far, Buffer.alloc(64), false, loadNative()); // somebody emptied it
      await systemd.start();
      expect(await vault()).toMatchObject({ state: 'locked' });
    });

    it('[PH-04] its key cannot be opened under /proc of whoever holds it, as one in a memfd could', async () => {
      supervise();
      await systemd.start();
      await create();
      const look = (fd: number): string => spawnSync('cat', [`/proc/${process.pid}/fd/${fd}`]).stderr.toString();
      expect(look(systemd.kept[0]!.fd)).toContain('No such device or address');
      const memfd = loadNative().call('int memfd_create(const char *, unsigned int)', 'control', 1);
      expect(look(memfd)).toBe('');
      closeFd(memfd, loadNative());
    });

    it('is had by whatever is started in its place', async () => {
      supervise();
      await systemd.start();
      await create();
      expect(receiveBytes(systemd.kept[0]!.fd, Buffer.alloc(64), true, loadNative())).toBe(32);
    });

    it.skipIf(!hasScript)('gives out the token of an earlier sign-in after a kill, and asks nobody', async () => {
      const issuer: EmbeddedIssuer = await startIssuer({ clients: [{ id: 'cli', redirectPaths: ['/callback'] }] });
      try {
        supervise();
        await systemd.start();
        await create();
        expect(await home.valetkey([
          'profile', 'add', 'work', '--issuer', issuer.url, '--client-id', 'cli', '--scope', 'openid', '--scope', 'offline_access', '--allow-loopback-http', '--redirect-path', '/callback',
          ...[process.execPath, BROWSER, '{url}', '--login', 'ada'].flatMap((word) => ['--browser', word]),
        ])).toMatchObject({ exit: 0 });
        expect((await home.atTerminal(['login', 'work'])).stdout).toContain('Signed in as');
        const asked = issuer.count('authorization');
        await systemd.end('SIGKILL');
        await systemd.start();
        expect(await home.atTerminal(['token', 'work'])).toMatchObject({ exit: 0, stdout: expect.stringMatching(/\S{20}/) as string });
        expect(issuer.count('authorization')).toBe(asked);
      } finally {
        await issuer.close();
      }
    }, 60_000);
  });
});

describe.skipIf(!isLinux || !hasActivate)('systemd-socket-activate', () => {
  it('starts the daemon at the first connection, which it answers', async () => {
    home = makeHome();
    socket = join(home.base, 'run/valetkey/socket');
    spawnSync('mkdir', ['-m', '700', join(home.base, 'run/valetkey')]);
    const passed = Object.entries(home.env).flatMap(([name, value]) => ['-E', `${name}=${value}`]);
    const activator = spawn('systemd-socket-activate', ['-l', socket, ...passed, process.execPath, MAIN], { env: home.env, stdio: 'ignore' });
    try {
      await expect.poll(() => existsSync(socket)).toBe(true);
      chmodSync(socket, 0o600); // it knows no SocketMode=
      expect(JSON.parse((await home.valetkey(['daemon', 'status', '--json'])).stdout)).toMatchObject({ pid: activator.pid, socket, started_by: 'systemd' });
    } finally {
      const gone = once(activator, 'close');
      activator.kill();
      await gone;
      await home.leave();
    }
  });
});
