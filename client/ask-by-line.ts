/**
 * One token request in the line dialect of the socket: a third of the work of HTTP at both ends. What is not a
 * whole, good answer is none; nothing of it is looked at twice.
 */
import { createConnection } from 'node:net';
import { PROTOCOL_VERSION } from '../shared/version.ts';
import type { TokenReply, TokenRequest } from '../shared/schemas.ts';

const REPLY_MAX = 64 * 1024; // a frame of the protocol
/** A cached token takes less than one; the whole CLI waits longer, and says for what. */
const ANSWER_MS = 5_000;
const NEWLINE = 0x0a;
const CHUNK = 8 * 1024;

export type LineAnswer =
  | { readonly kind: 'line'; readonly line: string }
  /** Nobody accepts there: another socket may be tried. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'none' };

export async function askByLine(socket: string, request: TokenRequest): Promise<LineAnswer> {
  return new Promise((resolve) => {
    const reply = Buffer.allocUnsafe(REPLY_MAX);
    let size = 0;
    const settle = (answer: LineAnswer): void => {
      clearTimeout(timer);
      // After a good line the process ends, which closes it too, and half a millisecond sooner.
      if (answer.kind !== 'line') connection.destroy();
      resolve(answer);
    };
    const take = (count: number, chunk: Uint8Array): boolean => {
      if (count > REPLY_MAX - size) {
        settle({ kind: 'none' });
        return false;
      }
      reply.set(chunk.subarray(0, count), size);
      const newline = reply.subarray(0, size + count).indexOf(NEWLINE, size);
      size += count;
      if (newline >= 0) settle({ kind: 'line', line: reply.toString('utf8', 0, newline) });
      return newline < 0;
    };
    // A buffer of our own spares the stream's: half a millisecond.
    const connection = createConnection({ path: socket, onread: { buffer: Buffer.allocUnsafe(CHUNK), callback: take } });
    const timer = setTimeout(() => settle({ kind: 'none' }), ANSWER_MS);
    connection.on('error', (error: NodeJS.ErrnoException) => settle({ kind: error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'absent' : 'none' }));
    connection.on('close', () => settle({ kind: 'none' }));
    connection.write(`${JSON.stringify({ type: 'token', id: 1, protocol: PROTOCOL_VERSION, data: request })}\n`);
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The body of a good reply to `request`; null for all others, among them problems. */
export function readTokenLine(line: string, request: TokenRequest): TokenReply | null {
  const frame = parse(line);
  if (!isRecord(frame) || frame['type'] !== 'token' || frame['id'] !== 1 || frame['status'] !== 200 || frame['protocol'] !== PROTOCOL_VERSION) return null;
  const { data } = frame;
  return isRecord(data) && isTokenReply(data) && data.profile === request.profile ? data : null;
}

function isTokenReply(data: Readonly<Record<string, unknown>>): data is TokenReply {
  const texts = ['profile', 'access_token', 'token_type', 'scope', 'source'].every((name) => typeof data[name] === 'string');
  const resource = data['resource'] === null || typeof data['resource'] === 'string';
  return texts && resource && Number.isSafeInteger(data['expires_at']) && Array.isArray(data['granted_beyond']);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null; // the whole CLI asks again, and says what came
  }
}
