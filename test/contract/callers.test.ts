/** The port Callers, by the real adapter on real processes of this machine. */
import { spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCallers } from '../../daemon/callers/callers.ts';
import { readRawFacts } from '../../daemon/callers/raw-facts.ts';
import type { Caller, SessionFacts } from '../../daemon/core/domain.ts';
import { buildPlatform, firstLine, kill, UNPRIVILEGED } from '../support/built-platform.ts';
import { pidOf } from '../support/processes.ts';
import type { Built } from '../support/built-platform.ts';

const uid = process.getuid?.() ?? -1;
const noLogind = async (): Promise<null> => null;
const callers = createCallers({ loginctl: noLogind, ownCli: [] });

let dir: string;
const children: ChildProcess[] = [];
const strays: number[] = [];
beforeEach(() => { dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-callers-'))); });
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const pid of strays.splice(0)) process.kill(pid, 'SIGKILL');
  for (const child of children.splice(0)) await kill(child);
  rmSync(dir, { recursive: true });
});

/** Starts a program, and waits until it is that program and not the fork of this one. */
async function start(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<ChildProcess & { pid: number }> {
  const child = spawn(command, args, { stdio: 'pipe', cwd: dir, ...options });
  children.push(child);
  await once(child, 'spawn');
  if (child.pid === undefined) throw new Error('no pid');
  return Object.assign(child, { pid: child.pid });
}

/** A Node process that runs a script of that text, after which it waits. */
async function startScript(text: string, options: SpawnOptions = {}): Promise<number> {
  writeFileSync(join(dir, 'tool.mjs'), `${text}\nconsole.log('ready');\nsetInterval(() => {}, 1000);\n`);
  const child = await start(process.execPath, ['--no-warnings', 'tool.mjs'], options);
  await firstLine(child);
  return child.pid;
}

async function attested(pid: number): Promise<Caller> {
  const caller = await callers.attest({ uid, pid }, null);
  if (caller === null) throw new Error(`process ${pid} is gone`);
  return caller;
}

describe('attest', () => {
  it('names this very process', async () => {
    const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /s, '').split(' ');
    expect(await callers.attest({ uid, pid: process.pid }, null)).toMatchObject({ uid, pid: process.pid, startTime: fields[19], executable: realpathSync(process.execPath) });
  });

  it('names an interpreter\'s script, resolved where the process works', async () => {
    const pid = await startScript('');
    expect(await attested(pid)).toMatchObject({ executable: realpathSync(process.execPath), script: join(dir, 'tool.mjs'), label: `tool.mjs (pid ${pid})` });
  });

  it('names a program by its file, whatever its command line says', async () => {
    const child = await start('/bin/sleep', ['1000'], { argv0: '/usr/bin/git' });
    expect(await attested(child.pid)).toMatchObject({ executable: realpathSync('/bin/sleep'), script: null, label: `${/[^/]+$/.exec(realpathSync('/bin/sleep'))?.[0]} (pid ${child.pid})` });
  });

  it('is not misled by a name that looks like the fields after it', async () => {
    const pid = await startScript("process.title = 'x) Z 1 (y) Z 1';");
    const plain = await attested(pid);
    expect(plain.startTime).toMatch(/^\d{2,}$/);
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain('(x) Z 1 (y) Z 1)');
    expect(callers.stillSame(plain)).toBe(true);
  });

  it('cleans the name of a file before people see it', async () => {
    const file = join(dir, 'gi\u001b[31mt\n\u202e(pid 1)');
    copyFileSync('/bin/sleep', file);
    const child = await start(file, ['1000']);
    const { label, executable } = await attested(child.pid);
    expect(executable).toBe(file);
    expect(label).toBe(`git (pid 1) (pid ${child.pid})`);
  });

  it('shows that the program was replaced or removed', async () => {
    const file = join(dir, 'tool');
    copyFileSync('/bin/sleep', file);
    const child = await start(file, ['1000']);
    unlinkSync(file);
    expect(await attested(child.pid)).toMatchObject({ executable: `${file} (deleted)`, label: `tool (pid ${child.pid})` });
  });

  it('is null for a process that is gone, of another user, or of another pid namespace', async () => {
    const child = await start('/bin/sleep', ['1000']);
    expect(await callers.attest({ uid: uid + 1, pid: child.pid }, null)).toBeNull();
    await kill(child);
    expect(await callers.attest({ uid, pid: child.pid }, null)).toBeNull();
    expect(await callers.attest({ uid, pid: 0 }, null)).toBeNull();
    expect(await callers.attest({ uid, pid: -1 }, null)).toBeNull();
  });

  it('is null for a process that has ended and was not yet collected', async () => {
    const parent = await start('/bin/sh', ['-c', 'sleep 0.05 & echo $!; exec sleep 1000']);
    const pid = Number(await firstLine(parent));
    await vi.waitFor(() => expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toMatch(/\) Z /), { interval: 5 });
    expect(await callers.attest({ uid, pid }, null)).toBeNull();
  });

  it('tells whether a process runs, and not whether its number does', async () => {
    const parent = await start('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000']);
    const pid = Number(await firstLine(parent));
    const { startTime } = await attested(pid);
    expect([callers.isRunning({ pid, startTime }), callers.isRunning({ pid, startTime: `${startTime}0` })]).toEqual([true, false]);
    process.kill(pid, 'SIGKILL');
    // Ended, and not yet collected.
    await expect.poll(() => callers.isRunning({ pid, startTime })).toBe(false);
    const { startTime: ofParent } = await attested(parent.pid);
    await kill(parent);
    expect(callers.isRunning({ pid: parent.pid, startTime: ofParent })).toBe(false);
  });

  it('tells terminal and foreground', async () => {
    const bare = await start('/bin/sleep', ['1000'], { detached: true });
    expect((await attested(bare.pid)).terminal).toBeNull();
    // A job in front and one behind it, on a pseudo-terminal of their own.
    const terminal = await start('script', ['-qec', `sh -mc 'sleep 1000 & echo $!; sh -c "echo \\$\\$; exec sleep 1000"'`, '/dev/null']);
    const lines: string[] = [];
    await new Promise<void>((resolve) => {
      let text = '';
      terminal.stdout?.on('data', (data) => { text += String(data); if (text.split('\n').length > 2) { lines.push(...text.split(/\s+/)); resolve(); } });
    });
    const [behind, front] = [Number(lines[0]), Number(lines[1])];
    strays.push(pidOf(behind), pidOf(front));
    const inFront = (await attested(front)).terminal;
    expect(inFront).toEqual({ device: expect.any(Number), foreground: true });
    expect((await attested(behind)).terminal).toEqual({ device: inFront?.device, foreground: false });
  });
});

describe('stillSame', () => {
  it('holds as long as pid, start time and uid do', async () => {
    const child = await start('/bin/sleep', ['1000']);
    const caller = await attested(child.pid);
    expect(callers.stillSame(caller)).toBe(true);
    expect(callers.stillSame({ ...caller, startTime: String(Number(caller.startTime) - 1) })).toBe(false);
    expect(callers.stillSame({ ...caller, uid: uid + 1 })).toBe(false);
    await kill(child);
    expect(callers.stillSame(caller)).toBe(false);
  });
});

describe('session', () => {
  /** Whoever started these tests may be a service, of which all is automation. */
  const ofPerson = (caller: Caller): Caller => ({ ...caller, origin: { ...caller.origin, class: 'human' } });

  async function sessionOf(env: Readonly<Record<string, string>>, adapter = callers): Promise<SessionFacts> {
    const child = await start('/bin/sleep', ['1000'], { env: { HOME: dir, ...env }, detached: true });
    // spawn() is done when exec is: environ is the program's own.
    return adapter.session(ofPerson(await attested(child.pid)));
  }

  it('reads the marks of the caller\'s environment, and none of the daemon\'s own', async () => {
    for (const name of ['CI', 'SSH_CONNECTION', 'WSL_DISTRO_NAME', 'XRDP_SESSION', 'KUBERNETES_SERVICE_HOST']) vi.stubEnv(name, '1');
    const plain = await sessionOf({});
    expect(plain).toMatchObject({ automation: 'no_human_channel', vdi: false, gui: 'none', tty: false });
    expect(await sessionOf({ GITLAB_CI: 'true' })).toEqual({ ...plain, automation: 'GITLAB_CI' });
    expect(await sessionOf({ SSH_TTY: '/dev/pts/0' })).toEqual({ ...plain, remote: true });
    expect(await sessionOf({ CODESPACES: 'true' })).toEqual({ ...plain, container: true, ide: true });
    expect(await sessionOf({ XRDP_SESSION: '1' })).toEqual({ ...plain, vdi: true });
    expect(await sessionOf({ BROWSER: 'w3m' })).toEqual({ ...plain, browser: 'none' });
    expect(await sessionOf({ BROWSER: 'firefox' })).toEqual({ ...plain, browser: 'graphical' });
  });

  it('believes in a display only while its socket is there, and in logind about who is in front', async () => {
    const server = createServer().listen(join(dir, 'wayland-7'));
    await once(server, 'listening');
    const env = { WAYLAND_DISPLAY: 'wayland-7', XDG_RUNTIME_DIR: dir, XDG_SESSION_ID: 'c7' };
    const logind = (answer: string) => createCallers({ loginctl: async (args) => (args[0] === 'show-session' ? answer : null), ownCli: [] });
    expect(await sessionOf(env)).toMatchObject({ gui: 'active', automation: null });
    expect(await sessionOf(env, logind('Active=yes\nRemote=no\nType=wayland\n'))).toMatchObject({ gui: 'active', vdi: false });
    expect(await sessionOf(env, logind('Active=no\nRemote=no\nType=wayland\n'))).toMatchObject({ gui: 'inactive' });
    expect(await sessionOf(env, logind('Active=yes\nRemote=yes\nType=x11\n'))).toMatchObject({ gui: 'inactive', remote: true, vdi: true });
    server.close();
    await once(server, 'close');
    writeFileSync(join(dir, 'wayland-8'), 'no socket');
    expect(await sessionOf(env)).toMatchObject({ gui: 'none' });
    expect(await sessionOf({ ...env, WAYLAND_DISPLAY: 'wayland-8' })).toMatchObject({ gui: 'none' });
    expect(await sessionOf({ DISPLAY: 'localhost:10.0' })).toMatchObject({ gui: 'none' });
  });

  it('finds sshd among the parents of a caller that hides its environment', async () => {
    symlinkSync('/bin/sh', join(dir, 'sshd'));
    const sshd = await start(join(dir, 'sshd'), ['-c', 'env -i sh -c "sleep 1000 & echo \\$!; wait"; true']);
    const pid = Number(await firstLine(sshd));
    strays.push(pidOf(pid));
    expect(await callers.session(await attested(pid))).toMatchObject({ remote: true });
  });

  it('tells a caller in a mount namespace of its own', async (context) => {
    const plain = await start('/bin/sleep', ['1000']);
    expect((await readRawFacts(await attested(plain.pid), noLogind)).isInOtherNamespace).toBe(false);
    const apart = await start('unshare', [...(uid === 0 ? [] : ['-Ur']), '-m', '/bin/sh', '-c', 'echo ready; exec sleep 1000']);
    const entered = await firstLine(apart).catch(() => null);
    if (entered === null) context.skip('unshare may not make a namespace here');
    expect((await readRawFacts(await attested(apart.pid), noLogind)).isInOtherNamespace).toBe(true);
  });

  it('takes no facts from a process that got the pid of the caller', async () => {
    const child = await start('/bin/sleep', ['1000'], { env: { CI: 'true' } });
    const other = ofPerson(await attested(child.pid));
    expect(await callers.session(other)).toMatchObject({ automation: 'CI' });
    expect(await callers.session({ ...other, startTime: '1' })).toMatchObject({ automation: null, gui: 'none', browser: 'unknown' });
  });

  it('assumes nothing of a caller that ended', async () => {
    const child = await start('/bin/sleep', ['1000'], { env: { CI: 'true' } });
    const caller = ofPerson(await attested(child.pid));
    await kill(child);
    expect(await callers.session(caller)).toMatchObject({ automation: null, gui: 'none', browser: 'unknown' });
  });
});

/** Root could read everything: asker and daemon are the same unprivileged user here. */
describe('a caller that may not be dumped', () => {
  let built: Built;
  beforeAll(() => { built = buildPlatform(); });
  afterAll(() => { built.remove(); });

  it.for([
    ['is only known by its pid, and counts as in a container', "import { hardenProcess } from './daemon/platform/harden.js'; hardenProcess();", { executable: null, script: null, container: true, automation: expect.toBeOneOf([null, 'workload']) as string | null, gui: 'none' }],
    ['is known well without that (control)', '', { executable: realpathSync(process.execPath), script: expect.stringMatching(/child-\d+\.js$/), container: false, automation: 'CI', gui: 'none' }],
  ] as const)('%s', async ([, first, known], { skip }) => {
    if (built.obstacle !== null) skip(built.obstacle);
    const asker = built.start(`${first} console.log('ready'); setInterval(() => {}, 1000);`, { env: { CI: 'true' }, ...UNPRIVILEGED });
    children.push(asker);
    await firstLine(asker);
    const { stdout, stderr } = await built.run(`
      import { createCallers } from './daemon/callers/callers.js';
      import { runLoginctl } from './daemon/callers/logind.js';
      const callers = createCallers({ loginctl: runLoginctl, ownCli: [] });
      const caller = await callers.attest({ uid: process.getuid(), pid: ${asker.pid} });
      const { automation, gui } = await callers.session(caller);
      console.log(JSON.stringify({ executable: caller.executable, script: caller.script, container: caller.origin.container, label: caller.label, automation, gui, same: callers.stillSame(caller) }));
    `, { env: {}, ...UNPRIVILEGED });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ ...known, same: true, label: expect.stringMatching(new RegExp(`^(unknown program|child-\\d+\\.js) \\(pid ${asker.pid}\\)$`)) });
  });
});
