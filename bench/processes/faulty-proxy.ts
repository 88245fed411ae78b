/**
 * Stands before an issuer and passes everything on, until it is told to misbehave: then it takes connections
 * and requests, and never answers, answers a byte at a time, or answers without end.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { answerAsks } from './control.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const DRIP_MS = 100;

let mode = 'pass';
let upstream = 0;
const open = new Set<Socket>();

function adopt(socket: Socket): Socket {
  open.add(socket);
  socket.on('error', () => socket.destroy());
  socket.once('close', () => open.delete(socket));
  return socket;
}

function pour(socket: Socket, chunk: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(chunk)) continue;
  };
  socket.on('drain', more);
  // Yields first: on loopback the buffer may never fill.
  setImmediate(more);
}

function drip(socket: Socket): void {
  socket.write(`${OK}content-length: 100000\r\n\r\n`);
  const timer = setInterval(() => socket.write(' '), DRIP_MS);
  socket.once('close', () => clearInterval(timer));
}

const MISBEHAVIOURS: Readonly<Record<string, (socket: Socket) => void>> = {
  hang: () => undefined,
  drip,
  'flood-head': (socket) => {
    socket.write(OK);
    pour(socket, `x-filler: ${'a'.repeat(1000)}\r\n`.repeat(16));
  },
  'flood-body': (socket) => {
    socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
    pour(socket, `4000\r\n${' '.repeat(0x4000)}\r\n`);
  },
};

const server = createServer((socket) => {
  adopt(socket);
  if (mode === 'pass') {
    const inner = adopt(connect(upstream, '127.0.0.1'));
    socket.pipe(inner).pipe(socket);
    inner.once('close', () => socket.destroy());
    socket.once('close', () => inner.destroy());
    return;
  }
  const misbehave = MISBEHAVIOURS[mode];
  socket.once('data', () => misbehave?.(socket));
  socket.resume();
});

answerAsks({
  listen: async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    return `http://127.0.0.1:${address.port}`;
  },
  upstream: (origin) => void (upstream = Number(new URL(String(origin)).port)),
  mode: (next) => {
    mode = String(next);
    for (const socket of open) socket.destroy();
  },
});
