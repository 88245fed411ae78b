/** The audit file itself: private, opened for appending only, and where its chain ends. */
import { constants } from 'node:fs';
import { lstat, mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BrokerError } from '../core/errors.ts';
import { AUDIT_VERSION, readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord, Head } from '../../shared/audit-line.ts';
import { LINE_MAX, parseLine, START } from './chain.ts';

const POSIX = process.platform !== 'win32';
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
/** Room for a torn line and whole ones before it; and what detectors learn from. */
const TAIL = 8 * LINE_MAX;

export async function makeAuditDir(dir: string): Promise<void> {
  await makeDir(dir);
  const stats = await lstat(dir);
  if (!stats.isDirectory()) throw untrusted(dir, 'is not a directory');
  if (!POSIX) return;
  if (stats.uid !== process.getuid?.()) throw untrusted(dir, `is owned by uid ${stats.uid}`);
  if ((stats.mode & 0o077) !== 0) throw untrusted(dir, `has mode 0${(stats.mode & 0o7777).toString(8)}, not 0700`);
}

/** Node's recursive mkdir alone would say ENOENT where the system says EROFS or ENOSPC. */
async function makeDir(dir: string): Promise<void> {
  const make = (): Promise<void> => mkdir(dir, { mode: 0o700 });
  try {
    await make();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw cause;
    await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
    await make();
  }
}

export async function openForAppend(path: string): Promise<FileHandle> {
  const handle = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600).catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ELOOP') throw untrusted(path, 'is a symbolic link');
    throw cause;
  });
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw untrusted(path, 'is not a regular file');
    if (POSIX && stats.uid !== process.getuid?.()) throw untrusted(path, `is owned by uid ${stats.uid}`);
    if (POSIX && (stats.mode & 0o077) !== 0) await handle.chmod(0o600);
    return handle;
  } catch (cause) {
    await handle.close();
    throw cause;
  }
}

export type Tail = {
  readonly head: Head;
  /** Bytes after the last record: a crash tore them, or somebody wrote them. Null where there are none. */
  readonly torn: string | null;
  /** The file does not end with a newline. */
  readonly isUnfinished: boolean;
  /** The last record's hash does not hold: somebody changed it. */
  readonly isAltered: boolean;
  /** The last records, the newest last. */
  readonly records: readonly AuditRecord[];
};

/** Where the chain ends, from the last lines alone. Throws file_too_new. */
export async function readTail(handle: FileHandle, path: string): Promise<Tail> {
  const { size } = await handle.stat();
  const from = Math.max(0, size - TAIL);
  const bytes = Buffer.alloc(size - from);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
  // As bytes: a torn line may end inside a character.
  const lines = bytes.toString('latin1', 0, bytesRead).split('\n');
  const isUnfinished = lines.at(-1) !== '';
  if (!isUnfinished) lines.pop();
  const texts = lines.map((line) => Buffer.from(line, 'latin1').toString());
  const records = texts.map((text) => readAuditLine(text)?.record ?? null);
  const at = records.findLastIndex((record) => record !== null);
  const last = records[at] ?? null;
  if (last !== null && last.v > AUDIT_VERSION) {
    throw new BrokerError('file_too_new', `${path} is of version ${last.v}; this valetkey knows ${AUDIT_VERSION}`);
  }
  return {
    head: last === null ? START : { seq: last.seq, hash: last.hash },
    torn: at === lines.length - 1 ? null : lines.slice(at + 1).join('\n'),
    isUnfinished,
    isAltered: last !== null && parseLine(texts[at] ?? '')?.holds !== true,
    records: records.filter((record) => record !== null),
  };
}

function untrusted(path: string, fact: string): BrokerError {
  return new BrokerError('runtime_dir_untrusted', `${path} ${fact}`);
}
