/**
 * A real `systemd --user` of an unprivileged user, where one can be started: in namespaces of its own and in a cgroup of
 * its own, so that it sees, moves and ends nothing of this machine. It wants root, util-linux and systemd.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../e2e/built-cli.ts';
import { UNPRIVILEGED } from './built-platform.ts';

const SYSTEMD = '/usr/lib/systemd/systemd';
const DIRECTORIES = { XDG_RUNTIME_DIR: 'run', XDG_STATE_HOME: 'state', XDG_CONFIG_HOME: 'config' } as const;
const START_MS = 20_000;

export type Ran = { readonly exit: number | null; readonly stdout: string; readonly stderr: string };

export type UserManager = {
  readonly base: string;
  /** The working copy, as that user may read it. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** As its user, and among its processes. */
  run(args: readonly string[], stdin?: string): Promise<Ran>;
  /** What a process of its was started with; the daemon lets nobody but root look. */
  environOf(pid: number): Promise<readonly string[]>;
  systemctl(...args: readonly string[]): Promise<Ran>;
  /** One property of a unit. */
  show(unit: string, property: string): Promise<string>;
  close(): Promise<void>;
};

/** Null, or why there can be none. */
export function userManagerObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'it takes root to give a user manager a cgroup and namespaces of its own';
  if (!existsSync(SYSTEMD) || !existsSync('/usr/bin/systemctl')) return 'systemd is missing (Debian package systemd)';
  if (spawnSync('unshare', ['-p', '-f', '-m', '--mount-proc', 'true']).status !== 0) return 'this machine gives out no namespaces';
  return cgroupRoots().length === 0 ? 'there is no cgroup that systemd could have' : null;
}

/** The hierarchy that systemd keeps its units in: of cgroup v2, and beside v1 the named one, too. */
function cgroupRoots(): readonly string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' '));
  return mounts.flatMap(([, path = '', kind, options = '']) => (kind === 'cgroup2' || (kind === 'cgroup' && options.includes('name=systemd')) ? [path] : []));
}

export async function startUserManager(): Promise<UserManager> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-manager-')));
  const { uid = 0, gid = 0 } = UNPRIVILEGED;
  chmodSync(base, 0o755);
  const own = (path: string): string => {
    chownSync(path, uid, gid);
    return path;
  };
  for (const name of [...Object.values(DIRECTORIES), 'home']) {
    mkdirSync(join(base, name), { mode: 0o700 });
    own(join(base, name));
  }
  const root = join(base, 'package');
  mkdirSync(root);
  // A checkout may be private to its owner; what is in it is not.
  const parts = ['dist', 'node_modules', 'systemd', 'launchd', 'package.json'];
  for (const name of parts) {
    if (name.endsWith('.json')) writeFileSync(join(root, name), '');
    else mkdirSync(join(root, name));
  }
  const mounts = parts.map((name) => `mount --bind ${join(ROOT, name)} ${join(root, name)}`).join(' && ');
  const env = { PATH: '/usr/bin:/bin', HOME: join(base, 'home'), ...Object.fromEntries(Object.entries(DIRECTORIES).map(([name, path]) => [name, join(base, path)])), NO_COLOR: '1', TERM: 'xterm' };
  const cgroups = cgroupRoots().map((root) => join(root, `valetkey-test-${process.pid}-${base.slice(-6)}`));
  for (const cgroup of cgroups) {
    mkdirSync(cgroup);
    for (const file of ['', 'cgroup.procs', 'cgroup.subtree_control', 'cgroup.threads']) if (existsSync(join(cgroup, file))) own(join(cgroup, file));
  }
  const user = ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
  // It joins its cgroup before anything else: systemd moves whatever it finds beside itself.
  const script = `for c in ${cgroups.join(' ')}; do echo $$ > $c/cgroup.procs; done
exec unshare -p -f --kill-child --mount-proc -m sh -c 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && ${mounts} && ${user.join(' ')} ${SYSTEMD} --user --log-target=console; true'`; // as process 1 it would take itself for the system's
  const child = spawn('/bin/sh', ['-c', script], { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { said = (said + text).slice(-16_384); });

  const init = (): number | null => {
    const [pid] = readChildren(child);
    return pid ?? null;
  };
  const enter = async (args: readonly string[], stdin: string): Promise<Ran> => {
    const program = spawn('nsenter', ['--target', String(init() ?? 0), '--pid', '--mount', ...args], { env, cwd: '/', stdio: 'pipe' });
    let [stdout, stderr] = ['', ''];
    program.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
    program.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    program.stdin.on('error', () => undefined);
    program.stdin.end(stdin);
    const [exit] = await once(program, 'close') as [number | null];
    return { exit, stdout, stderr };
  };
  const run: UserManager['run'] = (args, stdin = '') => enter([...user, ...args], stdin);
  const systemctl: UserManager['systemctl'] = (...args) => run(['systemctl', '--user', ...args]);
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'close');
      child.kill('SIGKILL'); // unshare, which takes the namespace and all in it along
      await gone;
    }
    for (const cgroup of cgroups) await removeCgroup(cgroup);
    rmSync(base, { recursive: true, force: true });
  };
  const deadline = performance.now() + START_MS;
  for (;;) {
    if (init() !== null && /^(running|degraded)/.test((await systemctl('is-system-running')).stdout)) break;
    if (child.exitCode !== null || performance.now() > deadline) {
      await close();
      throw new Error(`systemd --user did not start: ${said}`);
    }
    await sleep(50);
  }
  const environOf: UserManager['environOf'] = async (pid) => (await enter(['cat', `/proc/${pid}/environ`], '')).stdout.split('\0');
  return { base, root, env, run, environOf, systemctl, show: async (unit, property) => (await systemctl('show', unit, `--property=${property}`, '--value')).stdout.trim(), close };
}

function readChildren(child: ChildProcess): readonly number[] {
  try {
    return readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ').filter((word) => word !== '').map(Number);
  } catch {
    return []; // it ended
  }
}

/** The kernel empties it a moment after its processes have ended. */
async function removeCgroup(path: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    try {
      for (const entry of readdirSync(path, { withFileTypes: true })) if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
      return rmdirSync(path);
    } catch (error) {
      if (!existsSync(path)) return;
      if (round === 99) throw error;
      await sleep(50);
    }
  }
}

export function writeAs(path: string, text: string): void {
  writeFileSync(path, text);
  const { uid, gid } = UNPRIVILEGED;
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}
