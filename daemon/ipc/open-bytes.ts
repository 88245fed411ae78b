/**
 * An answer of bytes over HTTP, written no faster than it is read. It ends its connection: what was cut off in the middle
 * ends without the last chunk (RFC 9112, section 8), and nobody can take it for the whole.
 */
import type { FastifyReply } from 'fastify';
import type { Ending } from './deadline.ts';
import { LEFT } from './deadline.ts';
import type { BytesHead, BytesSink } from './dispatch.ts';

export function openBytes(reply: FastifyReply, { status, headers }: BytesHead, gone: Ending): BytesSink {
  reply.hijack();
  const { raw } = reply;
  const own = Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
  raw.on('error', () => undefined); // the socket fails as well, and the door logs that
  raw.writeHead(status, { ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]])), ...own, connection: 'close' });
  // So that a caller knows the status of what answers slowly.
  raw.flushHeaders();
  return {
    write(bytes) {
      if (gone.signal.aborted || raw.destroyed) return Promise.reject(LEFT);
      if (raw.write(bytes)) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const settle = (): void => {
          raw.off('drain', settle);
          raw.off('close', settle);
          if (raw.destroyed) reject(LEFT);
          else resolve();
        };
        raw.on('drain', settle);
        raw.on('close', settle);
      });
    },
    end: () => void raw.end(),
    cut: () => void raw.destroy(),
  };
}
