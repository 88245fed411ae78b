/**
 * One file of another tool's, which is changed as a whole or not at all: read, shown to the person, and only written if it
 * still is what was shown. A link is followed to its file, since people keep such files elsewhere; a file of somebody else's,
 * one that may not be written, and what is no text is left as it is.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { ValetkeyError } from '../valetkey-error.ts';

export type Edit = {
  readonly path: string;
  /** Of a file that is made. */
  readonly mode: number;
  /** Pure. Null: there is no such file, before or after. @throws ValetkeyError setup_conflict */
  readonly change: (before: string | null) => string | null;
  /** The lines that come, or go: no others of the file are shown, which may hold secrets. */
  readonly shows: readonly string[];
};

export type Planned = {
  readonly edit: Edit;
  /** Where the path leads. */
  readonly file: string;
  readonly mode: number;
  readonly before: string | null;
  readonly after: string | null;
};

const MAX_BYTES = 1024 * 1024;
const OWNER_WRITES = 0o200;

export function conflict(detail: string, hint?: string): ValetkeyError {
  return ValetkeyError.local('setup_conflict', detail, hint === undefined ? {} : { hint });
}

function fileAt(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return path;
  try {
    return realpathSync(path);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw conflict(`${path} is a link to nowhere`, `See: ls -l ${path}`);
  }
}

function read(file: string, uid: number): { readonly text: string; readonly mode: number } | null {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found === undefined) return null;
  const see = `See: ls -ld ${file}`;
  if (!found.isFile()) throw conflict(`${file} is no file`, see);
  if (found.uid !== uid) throw conflict(`${file} belongs to another user`, see);
  if ((found.mode & OWNER_WRITES) === 0) throw conflict(`${file} is marked as not to be written`, see);
  if (found.size > MAX_BYTES) throw conflict(`${file} is larger than a configuration should be (${found.size} bytes)`, see);
  const bytes = readFileSync(file);
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) throw conflict(`${file} is not in UTF-8`, `See: file ${file}`);
  return { text, mode: found.mode & 0o777 };
}

/** Null: it is as it shall be. @throws ValetkeyError setup_conflict */
export function plan(edit: Edit, uid: number): Planned | null {
  const file = fileAt(edit.path);
  const found = read(file, uid);
  const before = found?.text ?? null;
  const after = edit.change(before);
  return after === before ? null : { edit, file, mode: found?.mode ?? edit.mode, before, after };
}

/** @throws ValetkeyError setup_conflict where somebody else wrote it since it was shown; nothing is lost then. */
export function apply({ edit, file, mode, before, after }: Planned, uid: number): void {
  if (fileAt(edit.path) !== file || (read(file, uid)?.text ?? null) !== before) throw conflict(`${edit.path} was changed meanwhile, and is left as it is now`, 'Run the same command again');
  if (after === null) return rmSync(file);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${randomBytes(6).toString('hex')}`;
  const fd = openSync(next, 'wx', mode);
  try {
    writeSync(fd, after);
    fchmodSync(fd, mode); // whatever the umask is
    fsyncSync(fd);
    renameSync(next, file);
  } catch (cause) {
    rmSync(next, { force: true });
    throw cause;
  } finally {
    closeSync(fd);
  }
}
