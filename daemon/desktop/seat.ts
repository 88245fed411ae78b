/**
 * Where this user sits: the graphical session that logind calls active and local, and who shows its windows. The
 * name of the display comes from logind (root's), else from the oldest program of the session that names one, else
 * from the user's systemd. The last two could be made to name another, so the name decides nothing: the kernel
 * tells who listens behind it, and approvals look at that process.
 */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Display, Seat } from '../core/desktop-port.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Peer } from '../core/ports.ts';

export type SeatDeps = {
  readonly uid: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly peerOf: (fd: number) => Peer;
  /** Output of loginctl with these arguments; null where it fails. */
  readonly loginctl: (args: readonly string[]) => Promise<string | null>;
  /** `NAME=value` lines of the user's systemd; null where it fails. */
  readonly userEnvironment: () => Promise<string | null>;
};

type Variables = ReadonlyMap<string, string>;

const SESSION_ID = /^[A-Za-z0-9]{1,32}$/;
const X11 = /^:\d{1,5}(?:\.\d{1,3})?$/;
const WAYLAND = /^[\w.-]{1,64}$/;
const DESKTOP = /^[\w:+.-]{1,64}$/;
const ABSOLUTE = /^\/[\w.,+@:/-]{1,255}$/;
const CONNECT_MS = 2_000;

/** A text says why nobody sits at a desktop here. */
export async function findSeat(deps: SeatDeps): Promise<Seat | string> {
  const { uid, loginctl } = deps;
  const id = (await loginctl(['show-user', String(uid), '-p', 'Display', '--value']))?.trim() ?? '';
  if (!SESSION_ID.test(id)) return 'logind knows no graphical session of this user';
  const session = variablesOf(await loginctl(['show-session', id, ...['User', 'Active', 'Remote', 'Type', 'Class', 'LockedHint', 'Display', 'Desktop', 'Scope'].flatMap((name) => ['-p', name])]) ?? '');
  const whyNot = whyNobody(session, uid);
  if (whyNot !== null) return whyNot;
  const named = await namedDisplay(deps, session);
  const like = (form: RegExp, value: string | undefined): string | null => (value !== undefined && form.test(value) ? value : null);
  const display: Display = {
    x11: like(X11, named.get('DISPLAY')),
    wayland: like(WAYLAND, named.get('WAYLAND_DISPLAY')),
    xauthority: like(ABSOLUTE, named.get('XAUTHORITY')),
    type: session.get('Type') === 'wayland' ? 'wayland' : 'x11',
    desktop: like(DESKTOP, session.get('Desktop')) ?? like(DESKTOP, named.get('XDG_CURRENT_DESKTOP')) ?? '',
  };
  const servers = (await Promise.all(socketsOf(display, uid).map((path) => listenerOf(deps, path)))).filter((peer) => peer !== null);
  return servers.length === 0 ? 'the display of the graphical session cannot be found' : { servers, display };
}

function whyNobody(session: Variables, uid: number): string | null {
  const is = (name: string, value: string): boolean => session.get(name) === value;
  if (!is('User', String(uid)) || !is('Class', 'user') || !(is('Type', 'x11') || is('Type', 'wayland'))) return 'the session of this user is not graphical';
  if (!is('Remote', 'no')) return 'the graphical session is on another machine';
  if (!is('Active', 'yes')) return 'the graphical session is not the one at the screen';
  return is('LockedHint', 'yes') ? 'the screen is locked' : null;
}

/** Of the first that names a display. */
async function namedDisplay(deps: SeatDeps, session: Variables): Promise<Variables> {
  const inherited = await fromScope(deps.uid, session.get('Scope') ?? '');
  const told = session.get('Display') ?? '';
  if (session.get('Type') === 'x11' && told !== '') return new Map([...inherited, ['DISPLAY', told]]);
  return inherited.size > 0 ? inherited : variablesOf(await deps.userEnvironment() ?? '');
}

/** The programs of a session's scope stand in the order in which they came; those that began it came first. */
async function fromScope(uid: number, scope: string): Promise<Variables> {
  if (!/^session-[A-Za-z0-9]{1,32}\.scope$/.test(scope)) return new Map();
  const pids = (await textOf(`/sys/fs/cgroup/user.slice/user-${uid}.slice/${scope}/cgroup.procs`))?.split('\n').filter((pid) => /^\d+$/.test(pid)) ?? [];
  for (const pid of pids.map(Number).toSorted((one, other) => one - other).slice(0, 32)) {
    const variables = variablesOf((await textOf(`/proc/${pid}/environ`) ?? '').replaceAll('\0', '\n'));
    if (variables.has('DISPLAY') || variables.has('WAYLAND_DISPLAY')) return variables;
  }
  return new Map();
}

/** All at which a program would find the display: who has one of them is asked. */
function socketsOf({ x11, wayland }: Display, uid: number): readonly string[] {
  const number = x11 === null ? null : x11.slice(1).replace(/\..*/, '');
  return [
    ...(wayland === null ? [] : [`/run/user/${uid}/${wayland}`]),
    // Programs try the abstract one first.
    ...(number === null ? [] : [`\0/tmp/.X11-unix/X${number}`, `/tmp/.X11-unix/X${number}`]),
  ];
}

/** Who called listen() there, as the kernel tells (unix(7), SO_PEERCRED). Null where nobody does. */
async function listenerOf({ clock, peerOf }: SeatDeps, path: string): Promise<Peer | null> {
  const done = new AbortController();
  const socket = connect({ path });
  const met = new Promise<Peer | null>((resolve) => {
    socket.once('connect', () => {
      try {
        resolve(peerOf(descriptorOf(socket)));
      } catch (cause) {
        if (!(cause instanceof BrokerError)) throw cause;
        resolve(null); // it left as it came
      }
    });
    socket.once('error', () => resolve(null));
    clock.sleep(CONNECT_MS, done.signal).then(() => resolve(null), () => undefined); // done first
  });
  try {
    return await met;
  } finally {
    done.abort();
    socket.destroy();
  }
}

/** Node keeps it to itself, as it does for the sockets that the daemon accepts. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  if (typeof fd !== 'number' || fd < 0) throw new BrokerError('peer_credentials_unavailable', 'the connection has no descriptor');
  return fd;
}

function variablesOf(text: string): Variables {
  return new Map(text.split('\n').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** Null where it is gone, or not ours to read. */
async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null;
    throw error;
  }
}
