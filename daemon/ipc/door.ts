/**
 * The one door: our own net.Server on the Unix socket. The kernel tells who connects before a byte is read
 * (IP-05); a stranger is cut off unread. Then the connection goes to the HTTP server. A connection that
 * says nothing, and one more than its process may hold, are ended.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Log, Peer } from '../core/ports.ts';

export type DoorDeps = {
  /** Peer credentials of a connected socket, by its descriptor. */
  readonly peerOf: (fd: number) => Peer;
  readonly uid: number;
  readonly connectionsPerProcess: () => number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onRefused: (peer: Peer) => void;
  readonly take: (socket: Socket, peer: Peer) => void;
};

const FIRST_BYTE_MS = 5_000;

/** Node shows the descriptor only here; there is no public way to it. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : null;
  if (typeof fd !== 'number' || fd < 0) throw new BrokerError('peer_credentials_unavailable', 'the connection has no descriptor');
  return fd;
}

export function createDoor(deps: DoorDeps): Server {
  const open = new Map<number, number>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    // Errors of a socket are the peer's business: it is destroyed, and whoever holds it sees 'close'.
    socket.on('error', (cause) => deps.log.debug('connection_failed', { why: cause.message }));
    const peer = attest(deps, socket);
    if (peer === null) return;
    const held = (open.get(peer.pid) ?? 0) + 1;
    if (held > deps.connectionsPerProcess()) {
      deps.log.warn('too_many_connections', { pid: peer.pid });
      socket.destroy();
      return;
    }
    open.set(peer.pid, held);
    socket.once('close', () => {
      const left = (open.get(peer.pid) ?? 1) - 1;
      if (left > 0) open.set(peer.pid, left);
      else open.delete(peer.pid);
    });
    waitForFirstByte(deps, socket, peer);
  });
  return server;
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

function waitForFirstByte(deps: DoorDeps, socket: Socket, peer: Peer): void {
  const spoke = new AbortController();
  deps.clock.sleep(FIRST_BYTE_MS, spoke.signal).then(() => socket.destroy(), () => undefined /* it spoke, or left */);
  socket.once('close', () => spoke.abort());
  socket.once('data', (chunk) => {
    spoke.abort();
    socket.pause();
    socket.unshift(chunk);
    deps.take(socket, peer);
    socket.resume();
  });
  socket.resume();
}
