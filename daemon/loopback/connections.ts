/**
 * At most so many connections at once. A full house drops its oldest silent guest for the newcomer, since
 * junk that only holds connections open must not keep the real browser out; a connection whose request is
 * being answered stays.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export type Connections = {
  /** Ends them all; what was written still goes out. */
  end(): void;
};

/** @param turnAway - says so to one that is too many, and ends it. */
export function limitConnections(server: Server, max: number, turnAway: (socket: Socket) => void): Connections {
  // Maps keep the order of insertion: the oldest comes first.
  const sockets = new Map<Socket, 'silent' | 'answering'>();

  server.on('connection', (socket) => {
    if (sockets.size >= max) {
      const oldest = [...sockets].find(([, state]) => state === 'silent')?.[0];
      turnAway(oldest ?? socket);
      if (oldest === undefined) return;
      sockets.delete(oldest);
    }
    sockets.set(socket, 'silent');
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (request) => {
    if (sockets.has(request.socket)) sockets.set(request.socket, 'answering');
  });

  return {
    end() {
      for (const socket of sockets.keys()) socket.destroySoon();
    },
  };
}
