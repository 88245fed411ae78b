/**
 * Files of /proc/PID, parsed. The texts are partly what the process wishes them to be (comm, cmdline,
 * environ); the numbers are the kernel's. Gone and unreadable are both null: who needs to know which, looks at
 * stat, which anybody may read. What the kernel makes up on the spot is read at once, a tenth of the cost of
 * three turns in the thread pool; what lies in the process's memory or on a disk may be slow to come, so that
 * is waited for.
 */
import { closeSync, openSync, readlinkSync, readSync, statSync } from 'node:fs';
import { constants, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

export type ProcStat = {
  /** The process may set it: prctl(PR_SET_NAME). */
  readonly comm: string;
  readonly isDead: boolean;
  readonly parent: number;
  readonly group: number;
  /** Pid of the leader of its session (setsid), who may have ended; 0: of another pid namespace, or the kernel's. */
  readonly session: number;
  /** Device number of the controlling terminal; 0: none. */
  readonly terminal: number;
  /** Process group in the foreground of that terminal. */
  readonly foregroundGroup: number;
  /** Clock ticks since boot. A string: it is only compared. */
  readonly startTime: string;
  /** Addresses of the program's image, which exec() makes anew; null where the kernel does not show them. */
  readonly image: string | null;
};

/** Enough for 52 fields of at most 20 digits, and for the memberships of cgroup v1. */
const SMALL_BYTES = 16_384;
/** From start_data to exit_code: seven addresses, and a code that a living process does not show (proc_pid_stat(5)). */
const IMAGE_FIELDS = 8;
const buffer = Buffer.allocUnsafeSlow(SMALL_BYTES);

/** proc_pid_stat(5). The comm may hold spaces and parentheses, so fields count from the last one. */
export function parseStat(text: string): ProcStat | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open === -1 || close < open) return null;
  // Field 3 (state) is the first after the comm, and field 22 the last that is read here: no more are cut out.
  const fields = text.slice(close + 2).split(' ', 22 - 2);
  const [state, parent, group, session, terminal, foregroundGroup] = fields;
  const startTime = fields[22 - 3];
  if (state === undefined || startTime === undefined || !/^\d+$/.test(startTime)) return null;
  return {
    comm: text.slice(open + 1, close),
    isDead: state === 'Z' || state === 'X',
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    terminal: Number(terminal),
    foregroundGroup: Number(foregroundGroup),
    startTime,
    image: imageIn(text, close),
  };
}

function imageIn(text: string, after: number): string | null {
  const at = imageAt(text, after);
  return at <= after || text.startsWith(' 0 ', at) ? null : text.slice(at + 1);
}

/** Where the space before it stands; `after` or less: nowhere. */
export function imageAt(text: string, after: number): number {
  let at = text.length;
  for (let field = 0; field < IMAGE_FIELDS && at > after; field += 1) at = text.lastIndexOf(' ', at - 1);
  return at;
}

export function readStat(pid: number): ProcStat | null {
  const text = readSmall(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(text);
}

/** Of a descriptor that openFile() gave; null where what it tells of has ended. */
export function readTextAt(descriptor: number): string | null {
  return readNow(() => buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, SMALL_BYTES, 0)));
}

export function openFile(path: string): number | null {
  return readNow(() => openSync(path, 'r'));
}

/** The effective uid: whose its directory is, also where it may not be dumped (proc_pid(5)). Null where it is gone. */
export function readUid(pid: number): number | null {
  return readNow(() => statSync(`/proc/${pid}`).uid);
}

/** Of a file that the kernel makes up: at once, and no more than 16 KiB of it. */
export function readSmall(path: string): string | null {
  return readNow(() => {
    const file = openSync(path, 'r');
    try {
      return buffer.toString('latin1', 0, readSync(file, buffer, 0, SMALL_BYTES, 0));
    } finally {
      closeSync(file);
    }
  });
}

export function readTarget(path: string): string | null {
  return readNow(() => readlinkSync(path));
}

/** Strings that end in NUL: cmdline and environ, from the memory of the process. What lies beyond the limit is left out. */
export async function readStrings(path: string, maxBytes: number): Promise<readonly string[] | null> {
  const text = await readText(path, maxBytes);
  return text === null ? null : text.replace(/\0$/, '').split('\0');
}

/** Never waits: a named pipe that somebody put in place of the file reads as empty. */
export async function readText(path: string, maxBytes: number): Promise<string | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return await readUpTo(file, maxBytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    return nullIfTold(error);
  }
}

/** Files of /proc have no size, and give a part at a time. */
async function readUpTo(file: FileHandle, maxBytes: number): Promise<string> {
  const parts: Buffer[] = [];
  for (let left = maxBytes; left > 0; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(left, 16_384)));
    if (bytesRead === 0) break;
    parts.push(buffer.subarray(0, bytesRead));
    left -= bytesRead;
  }
  return Buffer.concat(parts).toString('utf8');
}

function readNow<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    return nullIfTold(error);
  }
}

/** ESRCH, ENOENT: it is gone. EACCES, EPERM: it is not ours to read. ENOTDIR, EISDIR, ELOOP: not what it should be. ENAMETOOLONG: a path that the kernel cannot tell. */
const TOLD = new Set(['ESRCH', 'ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EINVAL', 'ENXIO', 'ENAMETOOLONG']);

export function isTold(error: unknown): boolean {
  return error instanceof Error && 'code' in error && TOLD.has(String(error.code));
}

function nullIfTold(error: unknown): null {
  if (isTold(error)) return null;
  throw error;
}
