/**
 * A daemon that cannot start, on a socket that its supervisor holds: whoever waits there is told why, in his own
 * dialect, by the same problem that the log gets. Else he would wait for one start after another, until his deadline.
 * Nothing is handed out, and nothing is read of a request but its id. The socket was looked at before (this user's,
 * 0600), and what is wrong with his configuration is no secret to him.
 */
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { BUILD_HEADER, BUILD_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/version.ts';
import type { BrokerError } from '../core/errors.ts';
import { NO_HEAD, readFrame, writeFrame } from './line/frame.ts';
import { listenAt } from './listen.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';

const REQUEST_MAX = 64 * 1024;
const LINE = /^[^\n\f]*([\n\f])/;

/** @param over - resolves when enough was said */
export async function sayWhy(fd: number, error: BrokerError, over: Promise<void>): Promise<void> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => undefined); // he left
    answer(socket, error);
  });
  await listenAt(server, fd);
  server.on('error', () => undefined); // of one accept(): the others are still told
  await over;
  server.close();
  for (const socket of open) socket.destroy();
}

function answer(socket: Socket, error: BrokerError): void {
  let asked = '';
  let isAnswered = false;
  socket.setEncoding('utf8').on('data', (text: string) => {
    // The rest of a request is read, and not kept: a connection that ends with bytes unread loses its answer.
    if (isAnswered) return;
    asked += text;
    if (asked.length > REQUEST_MAX) {
      socket.destroy();
      return;
    }
    const reply = asked.startsWith('{') ? lineReply(asked, error) : httpReply(error);
    isAnswered = reply !== null;
    if (reply !== null) socket.end(reply);
  });
  socket.on('end', () => socket.end());
}

/** Null until the frame is there. */
function lineReply(asked: string, error: BrokerError): string | null {
  const [line = '', terminator = '\n'] = LINE.exec(asked) ?? [];
  if (line === '') return null;
  const frame = readFrame(line.slice(0, -1), new Map());
  const problem = problemOf(error, null);
  return writeFrame(frame.kind === 'fault' ? frame.head : NO_HEAD, problem.status, JSON.stringify(problem), terminator);
}

function httpReply(error: BrokerError): string {
  const problem = problemOf(error, null);
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} Not Started`,
    `content-type: ${PROBLEM_TYPE}`, `content-length: ${Buffer.byteLength(body)}`,
    `${PROTOCOL_HEADER}: ${PROTOCOL_VERSION}`, `${BUILD_HEADER}: ${BUILD_VERSION}`,
    'cache-control: no-store', 'connection: close', '', body,
  ].join('\r\n');
}
