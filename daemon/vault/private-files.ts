/**
 * Files that survive a crash at any instruction and that only their user can read. A write is durable when
 * it resolves: bytes, fsync, rename, fsync of the directory. Nothing is opened through a symbolic link, and
 * what the disk refuses becomes vault_unwritable, which names the directory and never the content.
 */
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { diskStep } from '../core/disk-step.ts';
import { BrokerError } from '../core/errors.ts';

/** A sealed grant takes a few KiB; whatever is larger than this is not ours. */
export const FILE_MAX = 4 * 1024 * 1024;
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** Windows has neither POSIX modes nor an fsync of directories; its ACLs come from the profile's folder. */
const POSIX = process.platform !== 'win32';

export function errnoOf(cause: unknown): string | null {
  return cause instanceof Error && 'code' in cause && 'syscall' in cause && typeof cause.code === 'string' ? cause.code : null;
}

/** Runs `work`, whose every refusal by the system is one of the disk under `dir`. */
export async function onDisk<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === null) throw cause;
    if (code === 'ENOENT' && !(await isThere(dir))) throw removedError(dir, cause);
    const hint = diskStep(code, dir);
    throw new BrokerError('vault_unwritable', `the directory ${dir} cannot be used: ${code}`, hint === null ? { cause } : { hint, cause });
  }
}

/**
 * A directory that was taken away from under the daemon. It is not made again: the lock of the one daemon, the
 * audit log and vault.json went with it, and whoever removed it may have meant it.
 */
export function removedError(dir: string, cause?: unknown): BrokerError {
  return new BrokerError('vault_unwritable', `the directory ${dir} was removed while the daemon is running; nothing can be stored`, {
    hint: 'Run: valetkey daemon stop; the next command starts afresh, and you sign in again', cause,
  });
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(() => true, (cause: unknown) => errnoOf(cause) !== 'ENOENT');
}

function untrusted(path: string, fact: string, cause?: unknown): BrokerError {
  return new BrokerError('runtime_dir_untrusted', `${path} ${fact}`, { cause });
}

function assertOwn(path: string, stats: Stats): void {
  if (POSIX && stats.uid !== process.getuid?.()) throw untrusted(path, `is owned by uid ${stats.uid}`);
}

export async function checkPrivateDir(dir: string): Promise<void> {
  const stats = await lstat(dir);
  if (!stats.isDirectory()) throw untrusted(dir, stats.isSymbolicLink() ? 'is a symbolic link' : 'is not a directory');
  assertOwn(dir, stats);
  if (POSIX && (stats.mode & 0o077) !== 0) throw untrusted(dir, `has mode 0${(stats.mode & 0o7777).toString(8)}, not 0700`);
}

export async function makePrivateDir(dir: string): Promise<void> {
  if (await makeDir(dir)) {
    // @fault vault.dir.made
    await syncDir(dirname(dir));
    // @fault vault.dir.parent-synced
  }
  await checkPrivateDir(dir);
}

/** False where it was there. Node's recursive mkdir alone would say ENOENT where the system says EROFS or ENOSPC. */
async function makeDir(dir: string): Promise<boolean> {
  const make = (): Promise<true> => mkdir(dir, { mode: 0o700 }).then(() => true);
  try {
    return await make();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'EEXIST') return false;
    if (code !== 'ENOENT') throw cause;
    await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
    return make();
  }
}

export async function syncDir(dir: string): Promise<void> {
  if (!POSIX) return;
  const handle = await open(dir, O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export type PrivateFile = { readonly bytes: Buffer; readonly changedAt: number; readonly modeMended: boolean };

/** The file's bytes; null where there is none. A mode that is too wide is narrowed and told. */
export async function readPrivate(path: string): Promise<PrivateFile | null> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: a FIFO put in its place must not hang the daemon.
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'ENOENT') return null;
    if (code === 'ELOOP') throw untrusted(path, 'is a symbolic link', cause);
    throw cause;
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw untrusted(path, 'is not a regular file');
    assertOwn(path, stats);
    const modeMended = POSIX && (stats.mode & 0o077) !== 0;
    if (modeMended) await handle.chmod(0o600);
    // One byte beyond the limit: enough for the reader to see that it is not ours.
    const bytes = Buffer.alloc(Math.min(stats.size, FILE_MAX + 1));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return { bytes: bytes.subarray(0, bytesRead), changedAt: stats.mtimeMs, modeMended };
  } finally {
    await handle.close();
  }
}

/** Bytes of the file, or of a link in its place; null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await lstat(path)).size;
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null;
    throw cause;
  }
}

/** Replaces `name` in `dir`: readers and a crash see the old bytes or the new, never a part. */
export async function writeDurable(dir: string, name: string, bytes: Uint8Array, nonce: string): Promise<void> {
  const temporary = join(dir, `${name}.${nonce}.tmp`);
  try {
    await withFile(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, async (file, syncFolder) => {
      // @fault vault.write.opened
      await writeAll(file, bytes);
      // @fault vault.write.written
      await file.sync();
      // @fault vault.write.synced
      await rename(temporary, join(dir, name));
      // @fault vault.write.renamed
      await syncFolder();
      // @fault vault.write.dir-synced
    });
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}

/**
 * Fills the file that holds reserved space and moves it to its place, so that a disk that became full in
 * between cannot refuse. False where there is no such file.
 */
export async function writeReserved(dir: string, reserved: string, name: string, bytes: Uint8Array): Promise<boolean> {
  const from = join(dir, reserved);
  try {
    await withFile(dir, from, O_WRONLY | O_NOFOLLOW, async (file, syncFolder) => {
      // @fault vault.answer.opened
      await writeAll(file, bytes);
      // @fault vault.answer.written
      await file.truncate(bytes.length);
      // @fault vault.answer.cut
      await file.sync();
      // @fault vault.answer.synced
      await rename(from, join(dir, name));
      // @fault vault.answer.renamed
      await syncFolder();
      // @fault vault.answer.dir-synced
    });
    return true;
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return false;
    throw cause;
  }
}

/** Opens a file and its directory at once, and closes them at once: each step is a way to another thread and back. */
async function withFile(dir: string, path: string, flags: number, work: (file: FileHandle, syncFolder: () => Promise<void>) => Promise<void>): Promise<void> {
  const opened = await Promise.allSettled([open(path, flags, 0o600), ...(POSIX ? [open(dir, O_RDONLY)] : [])]);
  const handles = opened.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  try {
    const refused = opened.find((each) => each.status === 'rejected');
    if (refused !== undefined) throw refused.reason;
    const [file, folder] = handles;
    if (file !== undefined) await work(file, async () => folder?.sync());
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}

export async function removeDurable(dir: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await rm(join(dir, name), { force: true });
    // @fault vault.remove.removed
  }
  try {
    await syncDir(dir);
    // @fault vault.remove.dir-synced
  } catch (cause) {
    // The directory is gone, and everything in it with it.
    if (errnoOf(cause) !== 'ENOENT') throw cause;
  }
}

export async function renameDurable(dir: string, from: string, to: string): Promise<void> {
  await rename(join(dir, from), join(dir, to));
  // @fault vault.aside.renamed
  await syncDir(dir);
  // @fault vault.aside.dir-synced
}

/** Names in `dir`; none where it does not exist. */
export async function listDir(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw cause;
  }
}

/** Removes what a crash left half written under a temporary name. */
export async function sweepTemporary(dir: string): Promise<void> {
  const left = (await listDir(dir)).filter((name) => name.endsWith('.tmp'));
  if (left.length > 0) await removeDurable(dir, left);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, done);
    done += bytesWritten;
  }
}
