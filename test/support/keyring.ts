/**
 * A gnome-keyring of a test's own: private bus, home and runtime directory, never the person's. The vault's
 * keychain calls run in processes that inherit the environment, so `use()` points this process at the bus.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { pidOf } from './processes.ts';

const PASSWORD = 'keyring-password-EXAMPLE';
const LOGIN = '/org/freedesktop/secrets/collection/login';
const VARIABLES = ['DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR', 'DISPLAY', 'WAYLAND_DISPLAY'] as const;

export type Keyring = {
  /** The variables by which a process finds this keyring. */
  readonly env: Readonly<Record<string, string>>;
  /** Points this process, and the children that it starts, at this keyring; undo by calling what it returns. */
  use(): () => void;
  lock(): void;
  unlock(): Promise<void>;
  /** SIGSTOP: it accepts connections and answers nothing. */
  freeze(): void;
  thaw(): void;
  freezeBus(): void;
  thawBus(): void;
  hasDialogOpen(): boolean;
  stop(): Promise<void>;
};

export type KeyringOptions = {
  /** Start locked, without any collection, as for a user who never had one. */
  readonly isBare?: boolean;
  /** A desktop's password dialog that nobody answers. */
  readonly hasDialog?: boolean;
};

/** Why no keyring can be started here; null where one can. */
export function keyringObstacle(): string | null {
  const missing = ['dbus-daemon', 'dbus-send', 'gnome-keyring-daemon'].filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  return missing.length === 0 ? null : `not installed: ${missing.join(', ')} (Debian: apt-get install dbus gnome-keyring)`;
}

/** Points this process at no bus at all; undo by calling what it returns. */
export function useNoBus(): () => void {
  const nowhere = mkdtempSync(join(tmpdir(), 'valetkey-nobus-'));
  const undo = useEnv({ XDG_RUNTIME_DIR: nowhere, DBUS_SESSION_BUS_ADDRESS: `unix:path=${nowhere}/bus` });
  return () => {
    undo();
    rmSync(nowhere, { recursive: true });
  };
}

/** For the tests of the calling suite, where they want one: this process is on its bus until they are over. */
export function useKeyring(isWanted: boolean): void {
  let end = async (): Promise<void> => undefined;
  beforeAll(async () => {
    if (!isWanted) return;
    const keyring = await startKeyring();
    const leave = keyring.use();
    end = async () => {
      leave();
      await keyring.stop();
    };
  });
  afterAll(async () => end());
}

export async function startKeyring({ isBare = false, hasDialog = false }: KeyringOptions = {}): Promise<Keyring> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'valetkey-keyring-')));
  for (const name of ['home', 'run', 'services']) mkdirSync(join(dir, name), { mode: 0o700 });
  const socket = join(dir, 'run', 'bus');
  const dialog = join(dir, 'dialog.pid');
  if (hasDialog) writeFileSync(join(dir, 'services', 'prompter.service'), `[D-BUS Service]\nName=org.gnome.keyring.SystemPrompter\nExec=/bin/sh -c "echo $$ >${dialog}; exec sleep 60"\n`);
  writeFileSync(join(dir, 'bus.conf'), busConfiguration(socket, join(dir, 'services')));
  const env = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${socket}`, XDG_RUNTIME_DIR: join(dir, 'run') };
  const childEnv = { PATH: process.env['PATH'], HOME: join(dir, 'home'), ...env };

  const bus = spawn('dbus-daemon', [`--config-file=${join(dir, 'bus.conf')}`, '--nofork', '--nopidfile'], { env: childEnv, stdio: 'ignore' });
  await until(() => existsSync(socket), 'dbus-daemon');
  const start = (): ChildProcess => {
    const started = spawn('gnome-keyring-daemon', ['--foreground', '--components=secrets', ...(isBare ? [] : ['--unlock'])], { env: childEnv, stdio: ['pipe', 'ignore', 'ignore'] });
    started.stdin.end(isBare ? '' : PASSWORD);
    return started;
  };
  const call = (...args: readonly string[]) => spawnSync('dbus-send', ['--session', '--print-reply', ...args], { env: childEnv, encoding: 'utf8', timeout: 5_000 });
  const hasOwner = (): boolean => call('--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.NameHasOwner', 'string:org.freedesktop.secrets').stdout.includes('true');
  const ready = async (): Promise<void> => {
    await until(hasOwner, 'gnome-keyring-daemon');
    if (!isBare) await until(() => isLocked(call) === false, 'the login collection');
  };
  let keyring = start();
  await ready();

  return {
    env,
    use: () => useEnv(env),
    lock() {
      call('--dest=org.freedesktop.secrets', '/org/freedesktop/secrets', 'org.freedesktop.Secret.Service.Lock', `array:objpath:${LOGIN}`);
      if (isLocked(call) !== true) throw new Error('the keyring did not lock');
    },
    async unlock() {
      // A second daemon to unlock the first takes its place instead, so this is a new login.
      await end(keyring);
      await until(() => !hasOwner(), 'the end of gnome-keyring-daemon');
      keyring = start();
      await ready();
    },
    freeze: () => void keyring.kill('SIGSTOP'),
    thaw: () => void keyring.kill('SIGCONT'),
    freezeBus: () => void bus.kill('SIGSTOP'),
    thawBus: () => void bus.kill('SIGCONT'),
    hasDialogOpen: () => existsSync(dialog),
    async stop() {
      await end(keyring);
      await end(bus);
      if (existsSync(dialog)) process.kill(pidOf(readFileSync(dialog, 'utf8')), 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function isLocked(call: (...args: readonly string[]) => { readonly stdout: string }): boolean | null {
  const { stdout } = call('--dest=org.freedesktop.secrets', LOGIN, 'org.freedesktop.DBus.Properties.Get', 'string:org.freedesktop.Secret.Collection', 'string:Locked');
  return stdout.includes('boolean true') ? true : stdout.includes('boolean false') ? false : null;
}

function useEnv(env: Readonly<Record<string, string>>): () => void {
  const before = VARIABLES.map((name) => [name, process.env[name]] as const);
  for (const name of VARIABLES) delete process.env[name];
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (holds()) return;
    await sleep(25);
  }
  throw new Error(`${what} did not start within 5 s`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await ended;
}

function busConfiguration(socket: string, services: string): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=${socket}</listen>
  <servicedir>${services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;
}
