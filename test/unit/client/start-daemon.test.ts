import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openApi } from '../../../client/api.ts';
import { openConnection } from '../../../client/connection.ts';
import { daemonEnvironment, startDaemon } from '../../../client/start-daemon.ts';
import { findUserUnit } from '../../../client/user-unit.ts';
import { ValetkeyError } from '../../../client/valetkey-error.ts';
import { privateDirectory } from './stand-in.ts';

/**
 * A daemon's stand-in as a program: takes the lock (a directory), writes down how it was started, listens,
 * and ends on POST /v1/shutdown.
 */
const PROGRAM = `
import { chmodSync, mkdirSync, writeFileSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
const runtime = process.env.XDG_RUNTIME_DIR + '/valetkey';
const state = process.env.XDG_STATE_HOME + '/valetkey';
mkdirSync(state, { recursive: true, mode: 0o700 });
try { mkdirSync(state + '/taken'); } catch { writeFileSync(state + '/lost.' + process.pid, ''); process.exit(0); }
mkdirSync(runtime, { recursive: true, mode: 0o700 });
const session = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[3];
writeFileSync(state + '/facts.json', JSON.stringify({ env: process.env, cwd: process.cwd(), pid: process.pid, session: Number(session), argv: process.execArgv }));
process.umask(0o177);
createServer((request, response) => {
  response.setHeader('valetkey-protocol', '1');
  response.end('{"ok":true}');
  if (request.url === '/v1/shutdown') response.on('finish', () => process.exit(0));
}).listen(runtime + '/socket');
setTimeout(() => process.exit(3), 20_000);
`;

let base = '';
let main = '';

beforeEach(() => {
  base = privateDirectory();
  main = join(base, 'main.mjs');
  writeFileSync(main, PROGRAM);
  for (const name of ['state', 'runtime']) mkdirSync(join(base, name), { mode: 0o700 });
  vi.stubEnv('XDG_STATE_HOME', join(base, 'state'));
  vi.stubEnv('XDG_RUNTIME_DIR', join(base, 'runtime'));
});

afterEach(async () => {
  const connection = openConnection({ startDaemon: false });
  await connection.call('POST', '/v1/shutdown', null).catch((error: unknown) => expect(error).toBeInstanceOf(ValetkeyError));
  connection.close();
  vi.unstubAllEnvs();
});

describe('startDaemon', () => {
  it('[PH-01] passes none of the variables that could load code or weaken the daemon, and none else but the listed', async () => {
    const loaded = join(base, 'loaded');
    const hook = join(base, 'hook.cjs');
    writeFileSync(hook, `require('node:fs').writeFileSync(${JSON.stringify(loaded)}, '')`);
    const hostile = {
      NODE_OPTIONS: `--require ${hook}`, NODE_PATH: base, LD_LIBRARY_PATH: base, LD_BIND_NOW: '1', DYLD_INSERT_LIBRARIES: '/x', SSLKEYLOGFILE: join(base, 'keys'),
      NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: '/x', HTTPS_PROXY: 'http://x', PATH: `${base}:/usr/bin`, HOME: base, BASH_ENV: '/x',
    };
    for (const [name, value] of Object.entries(hostile)) vi.stubEnv(name, value);
    vi.stubEnv('LANG', 'C.UTF-8');
    const socket = await startDaemon({ label: 'valetkey test', main });
    expect(socket).toBe(join(base, 'runtime/valetkey/socket'));
    const facts = JSON.parse(readFileSync(join(base, 'state/valetkey/facts.json'), 'utf8')) as { env: Record<string, string>; cwd: string; pid: number; session: number; argv: readonly string[] };
    const allowed = ['LANG', 'LC_ALL', 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS', 'PATH', 'HOME', 'VALETKEY_STARTED_BY'];
    expect(Object.keys(facts.env).filter((name) => !allowed.includes(name))).toEqual([]);
    expect(facts.env).toMatchObject({ PATH: '/usr/bin:/bin', HOME: userInfo().homedir, VALETKEY_STARTED_BY: 'valetkey test', LANG: 'C.UTF-8' });
    expect(readdirSync(base)).not.toContain('loaded');
    expect(facts.cwd).toBe('/');
    expect(facts.session).toBe(facts.pid);
    // Under a flag of V8 nothing that was compiled ahead is taken.
    expect(facts.argv.filter((word) => word.startsWith('--') && word !== '--disable-sigusr1')).toEqual([]);
  });

  it('[PH-01] asks the user manager where the unit is installed, and starts nothing itself', async () => {
    const systemctl = join(base, 'systemctl');
    // A stand-in: it notes what it was asked, and its daemon comes from elsewhere.
    writeFileSync(systemctl, `#!/bin/sh\necho "$@" >> '${join(base, 'asked')}'\n'${process.execPath}' '${main}' >/dev/null 2>&1 &\n`, { mode: 0o700 });
    mkdirSync(join(base, 'runtime/systemd'));
    mkdirSync(join(base, 'config/systemd/user'), { recursive: true });
    vi.stubEnv('XDG_CONFIG_HOME', join(base, 'config'));
    const unit = join(base, 'config/systemd/user/valetkeyd.service');
    const owner = { home: base };
    writeFileSync(unit, '');
    expect(findUserUnit(owner, process.env, systemctl)).toBeNull(); // no user manager runs
    writeFileSync(join(base, 'runtime/systemd/private'), '');
    expect(findUserUnit(owner, process.env, systemctl)).toEqual({ file: systemctl, args: ['--user', '--quiet', 'start', 'valetkeyd.service'] });
    expect(findUserUnit(owner, process.env, join(base, 'no-systemctl'))).toBeNull();
    expect(await startDaemon({ label: 'x', main: join(base, 'is-not-run.mjs'), systemctl })).toBe(join(base, 'runtime/valetkey/socket'));
    // On a busy machine more than once: the manager takes that for one.
    expect(new Set(readFileSync(join(base, 'asked'), 'utf8').trimEnd().split('\n'))).toEqual(new Set(['--user --quiet start valetkeyd.service']));
  });

  it('of a dozen started at once one lives, and all find it', async () => {
    const sockets = await Promise.all(Array.from({ length: 12 }, () => startDaemon({ label: 'x', main })));
    expect(new Set(sockets).size).toBe(1);
    expect(readdirSync(join(base, 'state/valetkey')).filter((name) => name === 'facts.json')).toHaveLength(1);
  });

  it('tells what the daemon said when it did not start', async () => {
    const problem = { type: 'about:blank', title: 'T', status: 422, detail: 'config.toml:3:1 unknown key', code: 'config_invalid', retryable: false, hint: 'H' };
    writeFileSync(main, `console.error('{"level":30}'); console.error(${JSON.stringify(JSON.stringify(problem))}); console.error('bye'); process.exitCode = 8;`);
    await expect(startDaemon({ label: 'x', main })).rejects.toMatchObject({ code: 'config_invalid', detail: 'config.toml:3:1 unknown key', exit: 8 });
  });

  it('says how it ended when it said nothing', async () => {
    writeFileSync(main, 'process.exit(7)');
    await expect(startDaemon({ label: 'x', main })).rejects.toMatchObject({ code: 'daemon_start_failed', detail: expect.stringContaining('status 7') as string });
  });

  it('starts another one when it lost the lock to a daemon that was on its way out', async () => {
    const held = join(base, 'held');
    writeFileSync(held, '');
    writeFileSync(main, `import { existsSync, rmSync } from 'node:fs';\nif (existsSync(${JSON.stringify(held)})) { rmSync(${JSON.stringify(held)}); process.exit(0); }\n${PROGRAM}`);
    expect(await startDaemon({ label: 'x', main })).toBe(join(base, 'runtime/valetkey/socket'));
  });

  it('says why a daemon did not start that said so and does not end, and ends it', async () => {
    const problem = { type: 'about:blank', title: 'T', status: 422, detail: 'config.toml:3:1 unknown key', code: 'config_invalid', retryable: false, hint: 'H' };
    const file = join(base, 'pid');
    writeFileSync(main, `import { writeFileSync } from 'node:fs'; process.on('SIGTERM', () => {}); writeFileSync(${JSON.stringify(file)}, String(process.pid)); console.error(${JSON.stringify(JSON.stringify(problem))}); setTimeout(() => {}, 20_000);`);
    await expect(startDaemon({ label: 'x', main })).rejects.toMatchObject({ code: 'config_invalid', detail: 'config.toml:3:1 unknown key' });
    const pid = Number(readFileSync(file, 'utf8'));
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { timeout: 15_000 });
  }, 10_000);

  it.skipIf(process.platform !== 'linux')('says that a daemon lives whose socket is gone, and how to end it', async () => {
    const entry = join(base, 'valetkeyd');
    writeFileSync(entry, 'setTimeout(() => {}, 20_000)');
    const daemon = spawn(process.execPath, [entry], { stdio: 'ignore' });
    await once(daemon, 'spawn');
    try {
      mkdirSync(join(base, 'state/valetkey'), { mode: 0o700 });
      writeFileSync(join(base, 'state/valetkey/lock'), JSON.stringify({ v: 1, pid: daemon.pid, socket: join(base, 'runtime/valetkey/socket'), version: '0.1.0' }), { mode: 0o600 });
      // It waits a moment before it ends, so that it has said why, and has not ended, when the time is over.
      const held = JSON.stringify({ type: 'about:blank', title: 'T', status: 409, detail: 'D', code: 'already_running', retryable: false, hint: 'H' });
      writeFileSync(main, `console.error(${JSON.stringify(held)}); setTimeout(() => {}, 10_000);`);
      const gone = { code: 'daemon_unreachable', detail: `daemon ${daemon.pid} runs, but its socket ${join(base, 'runtime/valetkey/socket')} is gone`, hint: `If it is ending it is gone within a minute; else run: kill ${daemon.pid}, then the command again` };
      await expect(startDaemon({ label: 'x', main })).rejects.toMatchObject(gone);
      await expect(openConnection({ startDaemon: false }).call('GET', '/v1/status', null)).rejects.toMatchObject(gone);
    } finally {
      daemon.kill('SIGKILL');
      await once(daemon, 'exit');
    }
  }, 10_000);

  it('no daemon is started only to be asked about a login of one that is gone', async () => {
    const connection = openConnection();
    const api = openApi(connection);
    for (const ask of [() => api.cancelLogin('x'), () => api.login('x', 0), () => api.confirmLogin('x', true)]) {
      await expect(ask()).rejects.toMatchObject({ code: 'daemon_unreachable', detail: `no daemon answers on ${join(base, 'runtime/valetkey/socket')}` });
    }
    // Control: others try to start one, whose program is only there after the build.
    await expect(api.status()).rejects.toMatchObject({ code: 'daemon_start_failed' });
    connection.close();
  });

  it('waits 5 s for whoever held the lock, and no longer', async () => {
    writeFileSync(main, 'process.exit(0)');
    const before = performance.now();
    await expect(startDaemon({ label: 'x', main })).rejects.toMatchObject({ code: 'daemon_start_failed' });
    expect(performance.now() - before).toBeGreaterThan(4_900);
    expect(performance.now() - before).toBeLessThan(15_000);
  });

  it('waits longer for one that is slow to start, and has not said why', async () => {
    writeFileSync(main, `setTimeout(() => import('./slow.mjs'), 6_000)`);
    writeFileSync(join(base, 'slow.mjs'), PROGRAM);
    expect(await startDaemon({ label: 'x', main })).toBe(join(base, 'runtime/valetkey/socket'));
  });
});

it('a label cannot carry control characters, and TMPDIR goes along on macOS only', () => {
  const env = { TMPDIR: '/var/folders/x', LANG: 'C' };
  expect(daemonEnvironment(env, '/home/u', 'linux', 'a\u001b[31m\n')).toEqual({ LANG: 'C', PATH: '/usr/bin:/bin', HOME: '/home/u', VALETKEY_STARTED_BY: 'a?[31m?' });
  expect(daemonEnvironment(env, '/home/u', 'darwin', 'a')['TMPDIR']).toBe('/var/folders/x');
});
