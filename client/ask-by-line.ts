/**
 * One request in the line dialect of the socket: a third of the work of HTTP at both ends. What is not a
 * whole, good answer is left to the whole CLI.
 */
import { createConnection } from 'node:net';
import { PROTOCOL_VERSION } from '../shared/version.ts';
import type { TokenReply, TokenRequest } from '../shared/schemas.ts';

export const REPLY_MAX = 64 * 1024; // a frame of the protocol
/** A cached token takes less than one; then the whole CLI goes on waiting, and says for what. */
export const ANSWER_MS = 5_000;
const NEWLINE = 0x0a;
const CHUNK = 8 * 1024;

export type LineAnswer =
  | { readonly kind: 'line'; readonly line: string }
  /** Nobody accepts there: another socket may be tried. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'none' };
export type Asked = { readonly answer: Promise<LineAnswer>; close(): void };

export function askByLine(socket: string, request: TokenRequest, type: 'token' | 'prompt' = 'token'): Asked {
  let close = (): void => undefined;
  const answer = new Promise<LineAnswer>((resolve) => {
    const reply = Buffer.allocUnsafe(REPLY_MAX);
    let size = 0;
    const settle = (outcome: LineAnswer): void => {
      // After a good line the process ends, which closes it too, and half a millisecond sooner.
      if (outcome.kind !== 'line') connection.destroy();
      resolve(outcome);
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
    connection.on('error', (error: NodeJS.ErrnoException) => settle({ kind: error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'absent' : 'none' }));
    connection.on('close', () => settle({ kind: 'none' }));
    connection.write(`${JSON.stringify({ type, id: 1, protocol: PROTOCOL_VERSION, data: request })}\n`);
    close = () => connection.destroy();
  });
  return { answer, close };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the daemon answered to our one request, good or not; null: it is no answer to it. */
export function readFrameLine(line: string, type: 'token' | 'prompt' = 'token'): { readonly status: number; readonly data: unknown } | null {
  const frame = parse(line);
  if (!isRecord(frame) || frame['type'] !== type || frame['id'] !== 1 || frame['protocol'] !== PROTOCOL_VERSION) return null;
  const { status, data } = frame;
  return typeof status === 'number' ? { status, data } : null;
}

/** The body of a good reply to `request`; null for all others, among them problems. */
export function readTokenLine(line: string, request: TokenRequest): TokenReply | null {
  const frame = readFrameLine(line);
  if (frame?.status !== 200) return null;
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
