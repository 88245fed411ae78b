/**
 * A real sshd on loopback for this user alone: keys, configuration and known hosts in a directory of its own. It
 * runs as whoever runs the tests, and lets only that user in.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Processes, Running } from './processes.ts';

const SSHD = ['/usr/sbin/sshd', '/usr/bin/sshd', '/usr/local/sbin/sshd'].find(existsSync) ?? null;

/** Without PAM sshd lets in nobody whose password is locked, as far as it can read that. */
function isLocked(): boolean {
  try {
    return readFileSync('/etc/shadow', 'utf8').split('\n').some((line) => line.startsWith(`${userInfo().username}:!`));
  } catch {
    return false; // nor can sshd, which runs as the same user
  }
}

/** Only root can give a terminal to the group tty, where the kernel does not (devpts, gid=). */
function canGiveTerminals(): boolean {
  return process.getuid?.() === 0 || /^devpts .*[ ,]gid=\d/m.test(readFileSync('/proc/mounts', 'utf8'));
}

/** Null: it can run here. */
export const SSHD_IS_MISSING = SSHD === null ? 'there is no sshd here (Debian package openssh-server)'
  : spawnSync('ssh', ['-V']).status !== 0 ? 'there is no ssh here (Debian package openssh-client)'
    : isLocked() ? `sshd lets in nobody whose account is locked, as that of ${userInfo().username} is`
      : canGiveTerminals() ? null : 'sshd can give nobody a terminal: /dev/pts is mounted without a group, and this is not root';

export type Sshd = {
  readonly port: number;
  /** A program on the far side, which is this machine. `options` are those of ssh. */
  run(options: readonly string[], command: string): Promise<Running>;
  /** ssh without a command, which forwards until it is ended. Resolves when it does. */
  forward(options: readonly string[]): Promise<Running>;
};

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export async function startSshd(processes: Processes): Promise<Sshd> {
  if (SSHD === null) throw new Error('there is no sshd');
  // Where sshd as root puts its unprivileged half; as another user it needs none.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const at = (name: string): string => join(processes.dir, name);
  for (const name of ['host', 'user']) spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  writeFileSync(at('authorized_keys'), readFileSync(at('user.pub')), { mode: 0o600 });
  const port = await freePort();
  writeFileSync(at('known_hosts'), `[127.0.0.1]:${port} ${readFileSync(at('host.pub'), 'utf8')}`);
  writeFileSync(at('sshd_config'), [
    `ListenAddress 127.0.0.1:${port}`, `HostKey ${at('host')}`, 'PidFile none', `AuthorizedKeysFile ${at('authorized_keys')}`, 'StrictModes no',
    'UsePAM no', 'PasswordAuthentication no', 'KbdInteractiveAuthentication no', 'PermitRootLogin prohibit-password', `AllowUsers ${userInfo().username}`,
    'AcceptEnv VK_*', 'StreamLocalBindUnlink yes', '',
  ].join('\n'));
  // To a file: what it starts for each connection would hold a pipe open.
  const server = await processes.start(SSHD, ['-D', '-E', at('log'), '-f', at('sshd_config')], { stdio: 'ignore' });
  while (!readLog(at('log')).includes('Server listening')) {
    if (server.exitCode !== null) throw new Error(`sshd ended: ${readLog(at('log'))}`);
    await sleep(20);
  }
  const client = [
    '-F', 'none', '-i', at('user'), '-p', String(port), '-o', `UserKnownHostsFile=${at('known_hosts')}`, '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes',
    '-o', 'ExitOnForwardFailure=yes', '-o', 'LogLevel=VERBOSE',
  ];
  return {
    port,
    run: (options, command) => processes.start('ssh', [...client, ...options, '127.0.0.1', command]),
    async forward(options) {
      // The command runs when all that was asked to be forwarded is, and ends with ssh.
      const ssh = await processes.start('ssh', [...client, ...options, '127.0.0.1', 'echo forwarded; exec cat']);
      await says(ssh, 'forwarded');
      return ssh;
    },
  };
}

function readLog(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Rejects with all that it said where it ends before. */
async function says(child: Running, text: string): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => { said += String(chunk); });
    child.stdout?.on('data', () => {
      if (said.includes(text)) resolve();
    });
    child.once('exit', () => reject(new Error(`it ended: ${said}`)));
  });
}

/** All that a program wrote to its standard output. */
export async function outputOf(child: Running): Promise<string> {
  let text = '';
  child.stdout?.on('data', (chunk) => { text += String(chunk); });
  await once(child, 'close');
  return text;
}
