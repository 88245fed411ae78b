/**
 * Where the programs that print a token look for the daemon, whom they trust, where they write, and what of the
 * environment they pass on: the launcher and the Node entry do as the whole CLI does, but for one case that only
 * the launcher can see.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { refuseUnsafeEnvironment } from '../../daemon/platform/harden.ts';
import { makeHome, ROOT } from './built-cli.ts';
import { data, frame, lineStandIn, privateHome, TOKEN, writeLockRecord } from './line-stand-in.ts';
import type { LineStandIn } from './line-stand-in.ts';
import { buildLauncher, buildPrograms, HANDED_OVER, launcherRoom, runProgram } from './token-programs.ts';
import type { Ended, Program } from './token-programs.ts';

const room = launcherRoom();
let programs: readonly Program[] = [];
let daemon: LineStandIn;
beforeAll(() => {
  programs = buildPrograms(room).filter(({ handsOver }) => handsOver !== 'says');
}, 60_000);
afterAll(() => room.remove());
beforeEach(async () => { daemon = await lineStandIn(); });
afterEach(async () => daemon.close());

const good = { exit: 0, stdout: `${TOKEN}\n`, stderr: '' };

async function allTell(env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const told = await Promise.all(programs.map(async ({ argv }) => runProgram([...argv, 'token', 'work', '--json'], { ...daemon.env, ...env })));
  for (const ended of told) expect(ended).toEqual(told[0]);
  return told[0] ?? { exit: null, stdout: '', stderr: '' };
}

/** How many were served in the line dialect. */
const byLine = (): number => daemon.seen().lines.length;

describe('the socket is found', () => {
  it('where the lock record says', async () => {
    const elsewhere = join(daemon.base, 'elsewhere');
    renameSync(join(daemon.base, 'run/valetkey'), elsewhere);
    writeLockRecord(daemon.base, `${JSON.stringify({ v: 1, pid: 1, socket: join(elsewhere, 'socket'), version: '0.1.0' })}\n`);
    expect(await allTell()).toMatchObject({ exit: 0 });
    expect(byLine()).toBe(programs.length - 1);
  });

  it.each([
    ['is empty', '', 0o600, true], ['may be written by others', '{"v":1,"pid":1,"socket":"/nonexistent/socket"}', 0o666, true], ['names a socket that is not there', '{"v":1,"pid":1,"socket":"/nonexistent/socket"}', 0o600, true],
    ['is torn', '{"v":1,"pid":1,"soc', 0o600, false], ['names no absolute path', '{"v":1,"pid":1,"socket":"socket"}', 0o600, false], ['is too large', ' '.repeat(5_000), 0o600, true],
  ])('at its own place where the lock record %s', async (_, text, mode, fast) => {
    writeLockRecord(daemon.base, text, mode);
    expect(await allTell()).toMatchObject({ exit: 0 });
    // The launcher leaves what is torn to Node.
    expect(byLine()).toBeGreaterThanOrEqual(fast ? programs.length - 1 : 1);
  });

  it('under the state directory where no runtime directory is set, and with slashes at the end of variables', async () => {
    mkdirSync(join(daemon.base, 'state/valetkey'), { mode: 0o700 });
    renameSync(join(daemon.base, 'run/valetkey'), join(daemon.base, 'state/valetkey/run'));
    for (const runtime of ['', 'relative/path']) {
      expect(await allTell({ XDG_RUNTIME_DIR: runtime, XDG_STATE_HOME: `${daemon.base}/state///` })).toMatchObject({ exit: 0 });
      expect(byLine()).toBe(programs.length - 1);
    }
  });
});

describe('a socket that ssh forwarded', () => {
  it('is found by all of them in a session of ssh, and the launcher leaves it to Node', async () => {
    renameSync(daemon.socket, join(daemon.base, 'run/valetkey/forwarded'));
    expect(await allTell({ SSH_CONNECTION: '198.51.100.4 50000 203.0.113.7 22' })).toMatchObject({ exit: 0 });
    expect(byLine()).toBe(programs.length - 2);
  });

  it('leads nobody away who is not in one', async () => {
    writeFileSync(join(daemon.base, 'run/valetkey/forwarded'), '', { mode: 0o600 });
    expect(await allTell()).toMatchObject({ exit: 0 });
    expect(byLine()).toBe(programs.length - 2);
  });
});

describe('[IP-06] what is not this user\'s own is sent nothing', () => {
  const directory = (): string => join(daemon.base, 'run/valetkey');
  it.each<readonly [string, () => void]>([
    ['a directory that others may enter', () => chmodSync(directory(), 0o750)],
    ['a socket that others may use', () => chmodSync(daemon.socket, 0o660)],
    ['a directory that is a link', () => {
      renameSync(directory(), join(daemon.base, 'real'));
      symlinkSync(join(daemon.base, 'real'), directory());
    }],
    ['a socket that is a link', () => {
      renameSync(daemon.socket, join(directory(), 'real'));
      symlinkSync(join(directory(), 'real'), daemon.socket);
    }],
    ['a file', () => {
      rmSync(daemon.socket);
      writeFileSync(daemon.socket, '', { mode: 0o600 });
    }],
    ...(process.getuid?.() === 0 ? [
      ['a directory of another user', () => chownSync(directory(), 65_534, 65_534)] as const,
      ['a socket of another user', () => chownSync(daemon.socket, 65_534, 65_534)] as const,
    ] : []),
  ])('%s', async (_, plant) => {
    expect((await allTell())).toMatchObject({ exit: 0 }); // control
    daemon.seen();
    plant();
    const { exit, stdout, stderr } = await allTell();
    expect({ exit, stdout, code: (JSON.parse(stderr) as { code: string }).code }).toEqual({ exit: 9, stdout: '', code: 'server_untrusted' });
    expect(daemon.seen()).toEqual({ lines: [], http: [] });
  });

  // A server that bound the socket as one user and gave the file to another: only the kernel knows.
  it.skipIf(process.getuid?.() !== 0)('a listener of another user behind a socket file of ours, which only the launcher can see', async () => {
    const launcher = buildLauncher(room, 'readable', { kind: 'release' });
    if (launcher === null) return;
    const { base, env } = privateHome();
    const log = join(base, 'log');
    const place = join(base, 'run/valetkey');
    const program = `
      const { createServer } = require('node:net'); const { appendFileSync, chmodSync, mkdirSync } = require('node:fs');
      const [place, log] = process.argv.slice(1); process.umask(0o077); mkdirSync(place);
      createServer((c) => { c.on('error', () => {}); c.on('data', (d) => { appendFileSync(log, d); c.end(${JSON.stringify(`${frame()}\n`)}); }); }).listen(place + '/socket', () => { chmodSync(place + '/socket', 0o600); console.log('ready'); });`;
    for (const path of [room.path, join(room.path, 'launcher'), base]) chmodSync(path, 0o755);
    for (const name of ['run', 'state', 'config']) chownSync(join(base, name), 65_534, 65_534);
    for (const uid of [65_533, 65_534]) {
      writeFileSync(log, '');
      chmodSync(log, 0o666);
      chownSync(join(base, 'run'), uid, uid);
      const server = spawn(process.execPath, ['-e', program, place, log], { uid, gid: uid, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
      await once(server.stdout, 'data');
      for (const path of [join(base, 'run'), place, join(place, 'socket')]) chownSync(path, 65_534, 65_534);
      const ended = await runProgram([launcher, 'token', 'work'], env, { uid: 65_534, gid: 65_534 });
      const sent = readFileSync(log, 'utf8');
      server.kill('SIGKILL');
      await once(server, 'close');
      rmSync(place, { recursive: true });
      if (uid === 65_534) expect(ended).toEqual(good); // control
      else {
        expect({ sent, exit: ended.exit, stdout: ended.stdout }).toEqual({ sent: '', exit: 9, stdout: '' });
        expect(ended.stderr).toContain('(server_untrusted)');
      }
    }
    rmSync(base, { recursive: true });
  });
});

describe('where no daemon answers', () => {
  it.each(['no socket', 'a stale socket'])('%s: the whole CLI starts one, whichever program was called', async (what) => {
    for (const { name, argv } of programs) {
      const home = makeHome();
      if (what === 'a stale socket') {
        mkdirSync(join(home.base, 'run/valetkey'), { mode: 0o700 });
        spawnSync(process.execPath, ['-e', `process.umask(0o177); require('node:net').createServer().listen(${JSON.stringify(join(home.base, 'run/valetkey/socket'))}, () => process.kill(process.pid, 'SIGKILL'))`]);
        expect(existsSync(join(home.base, 'run/valetkey/socket'))).toBe(true);
      }
      const { exit, stdout, stderr } = await runProgram([...argv, 'token', 'work'], home.env);
      expect({ name, exit, stdout }).toEqual({ name, exit: 8, stdout: '' });
      expect(stderr).toContain('(unknown_profile)');
      await home.leave();
    }
  }, 60_000);
});

describe('standard output', () => {
  const inShell = async (script: string): Promise<readonly Ended[]> => Promise.all(programs.map(async ({ argv }) => runProgram(['sh', '-c', script, 'sh', ...argv, 'token', 'work'], daemon.env)));

  it.each([
    ['that is full is an error', '"$@" > /dev/full', { exit: 1, stdout: '', stderr: 'error: standard output cannot be written (ENOSPC)\n' }],
    ['that is closed gets nothing, and no other file does', '"$@" >&-', { exit: 0, stdout: '', stderr: '' }],
    ['whose reader has left is none', '{ "$@"; echo "$?" >&2; } | true', { exit: 0, stdout: '', stderr: '0\n' }],
    ['that is a file gets the whole token', 'f=$(mktemp); "$@" > "$f"; cat "$f"; rm "$f"', good],
    ['beside a closed standard input and error', '"$@" <&- 2>&-', good],
  ])('%s', async (_, script, expected) => {
    expect(await inShell(script)).toEqual(programs.map(() => expected));
  });

  it('that takes only half of it is an error', async () => {
    const access_token = 'x'.repeat(5_000);
    const http = { status: 200, body: { ...data, access_token } };
    daemon.play({ line: `${frame(http.body)}\n`, http });
    const told = await inShell('f=$(mktemp); ( ulimit -f 1; "$@" > "$f" ); echo "$?"; wc -c < "$f"; rm "$f"');
    for (const ended of told) expect(ended).toEqual(told[0]);
    expect(told[0]).toMatchObject({ stdout: expect.stringMatching(/^1\n(?:512|1024)\n$/) as string, stderr: 'error: standard output cannot be written (EFBIG)\n' });
  });

  const script = spawnSync('script', ['--version']).error === undefined;
  if (!script) console.warn('not run: a terminal needs script (Debian package bsdutils)');
  it.skipIf(!script)('that is a terminal brings the warning', async () => {
    const shown = await Promise.all(programs.map(async ({ argv }) => runProgram(['script', '-qec', [...argv, 'token', 'work'].map((word) => `'${word}'`).join(' '), '/dev/null'], { ...daemon.env, SHELL: '/bin/sh' })));
    for (const { exit, stdout } of shown) expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringMatching(new RegExp(`^${TOKEN}\r\nwarning: A token is now on your screen`)) as string });
  });
});

describe('the launcher', () => {
  it('[PH-01] passes on nothing that the daemon would refuse, and everything else', async () => {
    const printer = join(room.path, 'printing-node');
    writeFileSync(printer, '#!/bin/sh\nexec env -0\n', { mode: 0o755 });
    const launcher = buildLauncher(room, 'printing', { kind: 'release', node: printer });
    if (launcher === null) return;
    const refused = Object.fromEntries([
      'NODE_OPTIONS', 'NODE_PATH', 'NODE_REPL_EXTERNAL_MODULE', 'NODE_COMPILE_CACHE', 'NODE_ICU_DATA', 'NODE_V8_COVERAGE', 'NODE_DEBUG', 'NODE_DEBUG_NATIVE', 'NODE_TLS_REJECT_UNAUTHORIZED',
      'SSLKEYLOGFILE', 'GCONV_PATH', 'GLIBC_TUNABLES', 'LD_BIND_NOW', 'LD_X', 'DYLD_INSERT_LIBRARIES', 'OPENSSL_CONF', 'VALETKEY_NODE_EXTRA_CA_CERTS',
    ].map((name) => [name, 'x']));
    const kept = { ...daemon.env, NODE_OPTIONSX: '1', NODE_ENV: 'test', ALD_PRELOAD: '1', EMPTY: '', HTTPS_PROXY: 'http://p' };
    const { stdout } = await runProgram([launcher, 'status'], { ...kept, ...refused, NODE_EXTRA_CA_CERTS: '/ca.pem' });
    const passed = Object.fromEntries(stdout.split('\0').filter((pair) => pair !== '').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
    const { PWD: _pwd, SHLVL: _shlvl, _: __, OLDPWD: _oldpwd, ...fromUs } = passed; // the shell's own
    expect(fromUs).toEqual({ ...kept, VALETKEY_NODE_EXTRA_CA_CERTS: '/ca.pem' });
    expect(refuseUnsafeEnvironment(passed, [])).toEqual([]);
    const { VALETKEY_NODE_EXTRA_CA_CERTS: _kept, ...each } = refused;
    for (const name of Object.keys(each)) expect(() => refuseUnsafeEnvironment({ [name]: 'x' }, [])).toThrow(name); // control
  });

  it('takes the Node of PATH where that of the build is gone, and says so where there is none', async () => {
    const launcher = buildLauncher(room, 'moved', { kind: 'release', node: '/nonexistent/node' });
    if (launcher === null) return;
    const bin = join(room.path, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'node'), `#!/bin/sh\necho "${HANDED_OVER}$2"\n`, { mode: 0o755 });
    expect(await runProgram([launcher, 'status'], { PATH: `${bin}:/usr/bin:/bin` })).toEqual({ exit: 0, stdout: `${HANDED_OVER}status\n`, stderr: '' });
    expect(await runProgram([launcher, 'status'], { PATH: '/nonexistent' })).toEqual({ exit: 127, stdout: '', stderr: 'error: Node was not found, and everything but a cached token needs it\n  Install Node 20.19 or newer\n' });
  });

  it('says that it stands alone where the CLI is not beside it', async () => {
    const launcher = programs.find(({ name }) => name === 'the launcher')?.argv[0];
    if (launcher === undefined) return;
    const alone = join(room.path, 'alone');
    cpSync(launcher, alone);
    expect(await runProgram([alone, 'status'], daemon.env)).toMatchObject({ exit: 127, stdout: '', stderr: expect.stringContaining('is not beside its launcher') as string });
    expect(await runProgram([alone, 'token', 'work'], daemon.env)).toEqual(good);
  });

  it('is what doctor finds in use', async () => {
    const home = makeHome();
    for (const { name, argv } of programs) {
      const { stdout } = await runProgram([...argv, 'doctor', '--json'], { ...home.env, NODE_EXTRA_CA_CERTS: '/nonexistent/ca.pem' });
      const { findings } = JSON.parse(stdout) as { findings: readonly { id: string; what: string }[] };
      const what = findings.filter(({ id }) => id === 'launcher').map((finding) => finding.what);
      expect({ name, what }).toEqual({ name, what: [name === 'the launcher' ? 'the launcher prints cached tokens' : expect.stringMatching(/^Node prints cached tokens/) as string] });
      // Kept from Node, yet known: the advice about it is the same.
      expect(findings.filter(({ id }) => id === 'environment_ca').map((finding) => finding.what)).toEqual(['NODE_EXTRA_CA_CERTS is set here, and the daemon ignores it']);
    }
    await home.leave();
  }, 40_000);
});

it('the build says what it made, and that there is no launcher without a compiler', () => {
  const { stdout, status } = spawnSync(process.execPath, [join(ROOT, 'scripts/build-launcher.mjs'), join(room.path, 'none')], { encoding: 'utf8', env: { PATH: '/nonexistent' } });
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
  expect(existsSync(join(room.path, 'none'))).toBe(false);
});
