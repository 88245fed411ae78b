/**
 * Servers that speak HTTP byte by byte as the test wants it: what a mock of fetch could not show. Each tells how
 * many connections are open, so that a test can see that none is left.
 */
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';
import { PRIVATE_KEY } from './loopback-tls.ts';

/** What the server does with a connection, once the whole request has come. `raw` is the TCP below TLS. */
export type Serve = (socket: Socket, request: string, raw: Socket) => void;

export type WireServer = {
  readonly port: number;
  /** Whole requests, as they came. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly open: number;
  close(): Promise<void>;
};

type Shape = {
  readonly serve?: Serve;
  /** Instead of waiting for a request; before TLS where there is TLS. */
  readonly onAccept?: (socket: Socket) => void;
  readonly tls?: { readonly cert: string } | null;
  readonly host?: string;
};

export async function startWireServer({ serve, onAccept, tls = null, host = '127.0.0.1' }: Shape): Promise<WireServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;

  const converse = (socket: Socket, raw: Socket): void => {
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
      if (head === -1 || text.length < head + 4 + length) return;
      requests.push(text);
      text = '';
      serve?.(socket, requests.at(-1) ?? '', raw);
    });
  };
  const accept = (socket: Socket): void => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    if (onAccept !== undefined) onAccept(socket.resume());
    else if (tls === null) converse(socket, socket);
    else converse(new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key: PRIVATE_KEY, cert: tls.cert }) }), socket);
  };
  const server = createServer(accept);
  server.listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    requests,
    get connections() {
      return connections;
    },
    get open() {
      return sockets.size;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** A whole answer that closes the connection. */
export function httpAnswer(status: number, body: string | Buffer = '', headers: Readonly<Record<string, string>> = {}): Buffer {
  const bytes = Buffer.from(body);
  const lines = Object.entries({ 'content-length': String(bytes.length), connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`), bytes]);
}

/** Leads the tunnel of a CONNECT to this port of this machine, whatever was asked for. */
export function tunnelTo(port: number): Serve {
  return (socket) => {
    const onward = connect(port, '127.0.0.1', () => {
      socket.removeAllListeners('data');
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    onward.on('close', () => socket.destroy());
  };
}
