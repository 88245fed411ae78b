/**
 * One HTTP/1.1 request on a connection that is open and used for nothing else, and its answer: bounded in its
 * headers, in its interim answers and in its body, before and after decompression.
 */
import { once } from 'node:events';
import { request } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { AnswerRefused, WireFault } from './failures.ts';

const MAX_BODY_BYTES = 1_048_576;
export const MAX_HEADER_BYTES = 65_536;
/** RFC 9110, section 15.2 sets no limit, and a flood of them would only end with the time. */
const MAX_INTERIM_ANSWERS = 16;
/** These have no body (RFC 9110, section 15). */
const WITHOUT_BODY = [204, 205, 304];

export type HttpRequest = { readonly method: 'GET' | 'POST'; readonly headers: Readonly<Record<string, string>>; readonly body: string | null };
export type RawAnswer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly read: () => Promise<Buffer> };

/** @param onSending - called as the first byte goes to the socket, and not before */
export function sendOn(socket: Socket, url: URL, { method, headers, body }: HttpRequest, onSending: () => void): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    // Node would wait for the events of a socket that has had them all.
    if (socket.destroyed) throw new WireFault('VALETKEY_CLOSED', 'the connection closed before the request was sent');
    const asking = request({
      createConnection: () => socket, method, path: `${url.pathname}${url.search}`, setHost: false,
      headers: { ...headers, host: url.host, 'accept-encoding': 'gzip, deflate, br' },
      // Named, as NODE_OPTIONS could set others.
      maxHeaderSize: MAX_HEADER_BYTES, insecureHTTPParser: false,
    });
    watchAnswer(asking, reject);
    // Node has the socket from here on, and writes in the same turn.
    asking.once('socket', onSending);
    asking.once('response', (answer) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, read: () => readBody(answer) }));
    asking.end(body ?? undefined);
  });
}

/** What comes in place of an answer, or before it and without end. */
export function watchAnswer(asking: ClientRequest, reject: (cause: unknown) => void): void {
  let interim = 0;
  asking.on('information', () => {
    interim += 1;
    if (interim > MAX_INTERIM_ANSWERS) asking.destroy(new WireFault('VALETKEY_PROTOCOL', 'too many interim answers'));
  });
  // Without a listener node drops the connection and tells nobody.
  asking.once('upgrade', () => reject(new WireFault('VALETKEY_PROTOCOL', 'the server speaks another protocol')));
  // Not once: a write that fails after the answer has come must not bring the daemon down.
  asking.on('error', reject);
}

/** Empty where there is none, and where nobody needs it: an error of the server's own is told by its status. */
async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const status = answer.statusCode ?? 0;
  if (WITHOUT_BODY.includes(status) || status >= 500) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the answer, and with it the connection: of a bomb, no more is unpacked than this.
  for await (const chunk of await unpacked(answer)) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw new AnswerRefused('issuer_response_invalid', 'the answer is larger than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** One coding, as real servers use it; a body in another, or in several, is handed on as it is and reads as no JSON. */
async function unpacked(answer: IncomingMessage): Promise<AsyncIterable<Buffer>> {
  const unpacker = await unpackerOf(answer, (answer.headers['content-encoding'] ?? '').trim().toLowerCase());
  // Errors of the one end become those of the other, which is where they are heard.
  return unpacker === null ? answer : pipeline(answer, unpacker, () => {});
}

async function unpackerOf(answer: IncomingMessage, coding: string): Promise<Transform | null> {
  switch (coding) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
    case 'deflate': {
      await once(answer, 'readable');
      const head: Buffer | null = answer.read();
      if (head === null) return null;
      answer.unshift(head);
      // With zlib's frame, as RFC 9110, section 8.4.1.2 wants it, or without, as some send it.
      const hasFrame = ((head[0] ?? 0) & 0x0f) === 8;
      return (hasFrame ? createInflate : createInflateRaw)({ finishFlush: constants.Z_SYNC_FLUSH });
    }
    case 'br':
      return createBrotliDecompress({ finishFlush: constants.BROTLI_OPERATION_FLUSH });
    default:
      return null;
  }
}
