/**
 * SHA-256 of executables, each hashed once while device, inode, size and both times of its file stand (ctime
 * cannot be set back by whoever owns the file). Read through /proc/PID/exe, so that it is the file that runs,
 * whatever stands at its path by now. One at a time, read by the thread pool and hashed in slices of a few
 * tenths of a millisecond; never waited for by a request that nobody's rule needs it for.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { constants, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { isTold } from './proc.ts';

const KEPT = 512;
/** Agents that bring a runtime along are 250 MB. */
const MAX_BYTES = 1024 * 1024 * 1024;
const SLICE_BYTES = 262_144;

export class Digests {
  /** What came first is the first. */
  readonly #known = new Map<string, string>();
  readonly #underWay = new Map<string, Promise<string | null>>();
  #queue: Promise<unknown> = Promise.resolve();
  /** How many files were read; for tests. */
  hashed = 0;

  /** At once; null where it was not computed yet. */
  known(pid: number): string | null {
    if (this.#known.size === 0) return null;
    const key = keyAt(programOf(pid));
    return key === null ? null : this.#known.get(key) ?? null;
  }

  /** Null where the file cannot be read, is too large, or changes meanwhile. The caller proves that `pid` is the process that it means. */
  compute(pid: number): Promise<string | null> {
    return this.computeFile(programOf(pid));
  }

  /** Of a path that a person named, and no caller. Null as compute(). */
  async computeFile(path: string): Promise<string | null> {
    const key = keyAt(path);
    if (key === null) return null;
    const digest = this.#known.get(key);
    if (digest !== undefined) return digest;
    const before = this.#underWay.get(key);
    if (before !== undefined) return before;
    const file = await openFile(path);
    if (file === null) return null;
    const again = this.#underWay.get(key);
    const working = again ?? this.#enqueue(key, file);
    if (again !== undefined) await file.close();
    return working;
  }

  #enqueue(key: string, file: FileHandle): Promise<string | null> {
    const working = this.#queue.then(() => this.#hash(key, file)).finally(() => this.#underWay.delete(key));
    this.#queue = working.catch(() => undefined); // told to whoever asked for it
    this.#underWay.set(key, working);
    return working;
  }

  async #hash(key: string, file: FileHandle): Promise<string | null> {
    try {
      if (keyOf(await file.stat({ bigint: true })) !== key) return null;
      this.hashed += 1;
      const hash = createHash('sha256');
      const slice = Buffer.allocUnsafe(SLICE_BYTES);
      for (let total = 0; ; ) {
        const { bytesRead } = await file.read(slice, 0, SLICE_BYTES, null);
        if (bytesRead === 0) break;
        total += bytesRead;
        if (total > MAX_BYTES) return null;
        hash.update(slice.subarray(0, bytesRead));
      }
      if (keyOf(await file.stat({ bigint: true })) !== key) return null;
      const digest = hash.digest('hex');
      const [oldest] = this.#known.keys();
      if (oldest !== undefined && this.#known.size >= KEPT) this.#known.delete(oldest);
      this.#known.set(key, digest);
      return digest;
    } catch (cause) {
      if (isTold(cause) || (cause instanceof Error && 'syscall' in cause)) return null; // a disk that fails tells nothing
      throw cause;
    } finally {
      await file.close();
    }
  }
}

function programOf(pid: number): string {
  return `/proc/${pid}/exe`;
}

function keyOf(stat: BigIntStats): string | null {
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  return size > MAX_BYTES || !stat.isFile() ? null : `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

function keyAt(path: string): string | null {
  try {
    return keyOf(statSync(path, { bigint: true }));
  } catch (cause) {
    if (isTold(cause)) return null;
    throw cause;
  }
}

async function openFile(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    if (isTold(cause)) return null;
    throw cause;
  }
}
