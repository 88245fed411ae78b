/**
 * One HTTP/1.1 request on a connection that is open and used for nothing else, and its answer: bounded in its
 * headers, in its interim answers and in its body, before and after decompression.
 */
import { request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate, inflateRaw } from 'node:zlib';
import { AnswerRefused, WireFault } from './failures.ts';

const MAX_BODY_BYTES = 1_048_576;
const MAX_HEADER_BYTES = 65_536;
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
    let interim = 0;
    asking.on('information', () => {
      interim += 1;
      if (interim > MAX_INTERIM_ANSWERS) asking.destroy(new WireFault('VALETKEY_PROTOCOL', 'too many interim answers'));
    });
    // Node has the socket from here on, and writes in the same turn.
    asking.once('socket', onSending);
    // Not once: a write that fails after the answer has come must not bring the daemon down.
    asking.on('error', reject);
    asking.once('response', (answer) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, read: () => readBody(answer) }));
    asking.end(body ?? undefined);
  });
}

/** Empty where there is none, and where nobody needs it: an error of the server's own is told by its status. */
async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const status = answer.statusCode ?? 0;
  if (WITHOUT_BODY.includes(status) || status >= 500) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the answer, and with it the connection.
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return size === 0 ? Buffer.alloc(0) : unpack(Buffer.concat(chunks), answer.headers['content-encoding'] ?? '');
}

/** One coding, as real servers use it; a body in another, or in several, is handed on as it is and reads as no JSON. */
async function unpack(packed: Buffer, coding: string): Promise<Buffer> {
  try {
    switch (coding.trim().toLowerCase()) {
      case 'gzip':
      case 'x-gzip':
        return await promisify(gunzip)(packed, { maxOutputLength: MAX_BODY_BYTES, finishFlush: constants.Z_SYNC_FLUSH });
      case 'deflate':
        // With zlib's frame, as RFC 9110, section 8.4.1.2 wants it, or without, as some send it.
        return await promisify(((packed[0] ?? 0) & 0x0f) === 8 ? inflate : inflateRaw)(packed, { maxOutputLength: MAX_BODY_BYTES, finishFlush: constants.Z_SYNC_FLUSH });
      case 'br':
        return await promisify(brotliDecompress)(packed, { maxOutputLength: MAX_BODY_BYTES, finishFlush: constants.BROTLI_OPERATION_FLUSH });
      default:
        return packed;
    }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw cause;
  }
}

function tooLarge(): AnswerRefused {
  return new AnswerRefused('issuer_response_invalid', 'the answer is larger than 1 MiB');
}
