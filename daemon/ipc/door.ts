/**
 * The one door: our own net.Server on the Unix socket. The kernel tells who connects before a byte is read
 * (IP-05); a stranger is cut off unread. A connection more than its process may hold, and one more than all
 * may hold together, are ended as well. What goes on goes to the application.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { BrokerError } from '../core/errors.ts';
import type { Log, Peer, Pin, PinPeer } from '../core/ports.ts';

export type DoorDeps = {
  /** Peer credentials of a connected socket, by its descriptor. */
  readonly peerOf: (fd: number) => Peer;
  readonly pinOf: (fd: number) => Pin | null;
  readonly uid: number;
  readonly connectionsPerProcess: () => number;
  readonly log: Log;
  readonly onRefused: (peer: Peer) => void;
  readonly take: (socket: Socket, peer: Peer, pin: PinPeer) => void;
};

/**
 * Of all processes together, well below the descriptors that the daemon may have. The newcomer is refused and
 * nobody else is cut off: otherwise whoever knocks often enough ends the requests of all others. Idle
 * connections leave by themselves within a minute.
 */
const CONNECTIONS = 1_024;

/** Node shows the descriptor only here; there is no public way to it. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  if (typeof fd !== 'number' || fd < 0) throw new BrokerError('peer_credentials_unavailable', 'the connection has no descriptor');
  return fd;
}

export function createDoor(deps: DoorDeps): Server {
  const open = new Map<number, Held>();
  const all: Held = { count: 0, isFull: false };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // Nothing was read yet: reading begins after this.
    // Errors of a socket are the peer's business: it is destroyed, and whoever holds it sees 'close'.
    socket.on('error', (cause) => deps.log.debug('connection_failed', { why: cause.message }));
    const peer = attest(deps, socket);
    if (peer === null) return;
    const own = open.get(peer.pid) ?? { count: 0, isFull: false };
    if (open.size >= CONNECTIONS * 2) forgetEmpty(open);
    if (!hasRoom(deps.log, own, deps.connectionsPerProcess(), { pid: peer.pid }) || !hasRoom(deps.log, all, CONNECTIONS, {})) {
      socket.destroy();
      return;
    }
    open.set(peer.pid, own);
    for (const held of [own, all]) held.count += 1;
    socket.on('close', () => {
      for (const held of [own, all]) {
        held.count -= 1;
        held.isFull = false;
      }
    });
    deps.take(socket, peer, () => deps.pinOf(descriptorOf(socket)));
  });
  // A failed accept() is no reason to end: without a listener it would be.
  server.on('error', (cause) => deps.log.error('door_failed', {}, cause));
  return server;
}

type Held = { count: number; isFull: boolean };

/** Not with each connection that ends: most processes come again. */
function forgetEmpty(open: Map<number, Held>): void {
  for (const [pid, held] of open) if (held.count === 0) open.delete(pid);
}

/** Says so once, until there is room again: a process that knocks in a loop must not fill the log. */
function hasRoom(log: Log, held: Held, limit: number, who: { readonly pid?: number }): boolean {
  if (held.count < limit) return true;
  if (!held.isFull) log.warn('too_many_connections', { ...who, open: held.count });
  held.isFull = true;
  return false;
}

function attest(deps: DoorDeps, socket: Socket): Peer | null {
  try {
    const peer = deps.peerOf(descriptorOf(socket));
    if (peer.uid === deps.uid) return peer;
    deps.onRefused(peer);
  } catch (cause) {
    deps.log.warn('peer_unknown', { why: cause instanceof Error ? cause.message : 'unknown' });
  }
  socket.destroy();
  return null;
}
