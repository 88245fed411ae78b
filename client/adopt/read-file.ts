/**
 * Reads one file that another program wrote, as if it were hostile: never more than a few megabytes, never a device, a
 * FIFO or a socket, and never, through whatever links, what belongs to another user.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';

export type Kept = {
  /** Where the bytes are, links followed. */
  readonly realPath: string;
  readonly bytes: Buffer;
  readonly mode: number;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly changedMs: number;
  /** Of inode, times and content: tells whether it is still the file that was read. */
  readonly identity: string;
};
export type Reading =
  | { readonly kind: 'read'; readonly file: Kept }
  | { readonly kind: 'absent' }
  | { readonly kind: 'skipped'; readonly why: string };

export const FILE_MAX = 4 * 1024 * 1024;

type Stats = { readonly dev: number; readonly ino: number; readonly size: number; readonly mtimeMs: number };

function inodeOf({ dev, ino, size, mtimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs].join(':');
}

function skipped(why: string): Reading {
  return { kind: 'skipped', why };
}

function unreadable(error: unknown): Reading {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return ['ENOENT', 'ENOTDIR'].includes(code) ? { kind: 'absent' } : skipped(`it cannot be read (${code})`);
}

async function readAll(path: string, uid: number): Promise<Reading> {
  // Looked at before it is opened: to open a device can do something.
  const before = await lstat(path);
  if (!before.isFile()) return skipped('it is not a regular file');
  if (before.uid !== uid) return skipped(`it belongs to user ${before.uid}`);
  if (before.size > FILE_MAX) return skipped(`it is larger than ${FILE_MAX / 1024 / 1024} MiB`);
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = await handle.stat();
    if (!stats.isFile() || stats.uid !== uid || inodeOf(stats) !== inodeOf(before)) return skipped('it changed while it was read');
    const buffer = Buffer.allocUnsafe(before.size);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    const bytes = buffer.subarray(0, length);
    const identity = `${inodeOf(stats)}:${createHash('sha256').update(bytes).digest('base64url')}`;
    return { kind: 'read', file: { realPath: path, bytes, mode: stats.mode & 0o777, changedMs: stats.mtimeMs, identity } };
  } finally {
    await handle.close();
  }
}

/** @param uid - whose files are read */
export async function readOwnFile(path: string, uid: number): Promise<Reading> {
  try {
    return await readAll(await realpath(path), uid);
  } catch (error) {
    return unreadable(error);
  }
}
