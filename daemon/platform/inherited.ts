/**
 * What systemd passes on to the daemon that it starts (sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3)):
 * the listening socket as descriptor 3, what the daemon before had it keep, and where to say how it does. The
 * variables are for this process alone and leave the environment, so that no child takes itself for the daemon; the
 * descriptors stay here by themselves, since Node closes at exec what it was started with.
 * A socket is believed only after it was looked at: whoever writes a unit may pass on anything.
 */
import { fstatSync, lstatSync } from 'node:fs';
import { BrokerError } from '../core/errors.ts';
import { KEPT_KEY_NAME } from './kept-key.ts';
import { launchdListener } from './launchd.ts';
import type { Native } from './native.ts';
import { closeFd, socketFacts } from './sockets.ts';

export type Inherited = {
  /** Who starts and holds; null: a person, a client, or a supervisor that passes nothing on. */
  readonly by: 'systemd' | 'launchd' | null;
  readonly listener: number | null;
  /** Whoever passed the socket on keeps it as well. */
  readonly holdsListener: boolean;
  readonly keptKey: number | null;
  /** NOTIFY_SOCKET. */
  readonly notifySocket: string | null;
  readonly watchdogMs: number | null;
};

type Variables = Record<string, string | undefined>;

const FIRST_FD = 3;
/** The socket and the key; a unit that passes on more than this was not written for us. */
const FDS_MAX = 16;
const VARIABLES = ['LISTEN_PID', 'LISTEN_PIDFDID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC', 'FDSTORE'] as const;

/** Takes the variables out of `env`. Throws BrokerError socket_path_invalid or runtime_dir_untrusted for a socket that is not the daemon's. */
export function takeInherited(env: Variables, place: { readonly socket: string; readonly uid: number }, native: Native): Inherited {
  const found = Object.fromEntries(VARIABLES.map((name) => [name, env[name] ?? null])) as Readonly<Record<(typeof VARIABLES)[number], string | null>>;
  for (const name of VARIABLES) delete env[name];
  const watchdogUs = isForUs(found.WATCHDOG_PID, true) ? count(found.WATCHDOG_USEC) : 0;
  const notifySocket = found.NOTIFY_SOCKET === '' ? null : found.NOTIFY_SOCKET;
  const fds = native.platform === 'linux' && isForUs(found.LISTEN_PID, false) ? count(found.LISTEN_FDS) : 0;
  if (fds > FDS_MAX) throw refuse(`LISTEN_FDS is ${fds}`);
  const names = (found.LISTEN_FDNAMES ?? '').split(':');
  const passed = Array.from({ length: fds }, (_, i) => ({ fd: FIRST_FD + i, name: names[i] ?? '' }));
  const kept = passed.filter(({ name }) => name === KEPT_KEY_NAME);
  const sockets = passed.filter(({ name }) => name !== KEPT_KEY_NAME);
  if (sockets.length > 1) throw refuse(`${sockets.length} sockets were passed on`);
  const [keptKey, ...others] = kept.flatMap(({ fd }) => (socketFacts(fd, native)?.type === 'seqpacket' ? [fd] : []));
  for (const fd of others) closeFd(fd, native);
  const listener = sockets[0]?.fd ?? null;
  if (listener !== null) checkListener(listener, place, native);
  const launched = launchdListener(env, native);
  if (launched !== null) checkListener(launched, place, native);
  return {
    by: launched !== null ? 'launchd' : listener !== null || notifySocket !== null ? 'systemd' : null,
    listener: listener ?? launched, holdsListener: (listener ?? launched) !== null, keptKey: keptKey ?? null, notifySocket,
    watchdogMs: watchdogUs > 0 ? watchdogUs / 1000 : null,
  };
}

/** systemd names the process that it means; a child of that one, with the same environment, is not meant. */
function isForUs(pid: string | null, orUnnamed: boolean): boolean {
  return pid === null ? orUnnamed : Number(pid) === process.pid;
}

function count(text: string | null): number {
  const value = Number(text ?? '0');
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** Throws as takeInherited(). */
export function checkListener(fd: number, { socket, uid }: { readonly socket: string; readonly uid: number }, native: Native): void {
  if (native.platform === 'linux') {
    const facts = socketFacts(fd, native);
    if (facts === null || !facts.isUnix || facts.type !== 'stream') throw refuse(`descriptor ${fd} is not a Unix stream socket`);
    if (!facts.listens) throw refuse(`the socket at descriptor ${fd} does not listen`);
    if (facts.path !== socket) throw refuse(`the socket at descriptor ${fd} is at ${facts.path ?? 'no path'}, and clients look at ${socket}`);
  }
  const owner = fstatSync(fd);
  if (!owner.isSocket() || owner.uid !== uid) throw refuse(`descriptor ${fd} is not a socket that uid ${uid} made`);
  // Where somebody removed it the daemon makes its own: see ipc/doorway.ts.
  const file = lstatSync(socket, { throwIfNoEntry: false });
  if (file !== undefined && (!file.isSocket() || file.uid !== uid || (file.mode & 0o777) !== 0o600)) {
    throw new BrokerError('runtime_dir_untrusted', `${socket} is not a socket of this user with mode 0600`, { hint: 'Set SocketMode=0600 in valetkeyd.socket' });
  }
}

function refuse(fact: string): BrokerError {
  return new BrokerError('socket_path_invalid', `what the supervisor passed on is not the daemon's socket: ${fact}`, { hint: 'Run: valetkey service install' });
}
