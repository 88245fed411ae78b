/**
 * Whether the daemon's directories can be written, found out by doing it: modes, quotas and what is left on a disk tell
 * less than one small file does. Its name is gone before anything is in it, so that no end of this process leaves it there.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { failure, ok, word } from './finding.ts';
import type { Finding } from './finding.ts';

/** A grant with its next generation, and a page of the audit log. */
const TRIAL_BYTES = 65_536;

/** `code`: that of the call that failed; null: all went well. */
export type DiskTrial = { readonly path: string; readonly code: string | null };

/** Null: it is not there yet, or is nobody's directory to write to. */
export function tryDisk(path: string): DiskTrial | null {
  if (!existsSync(path)) return null;
  const file = join(path, `.doctor-${process.pid}`);
  try {
    const handle = openSync(file, 'wx', 0o600);
    try {
      unlinkSync(file);
      writeSync(handle, Buffer.alloc(TRIAL_BYTES));
      fsyncSync(handle);
      // The space is free again at once, and not when somebody looks.
      ftruncateSync(handle);
    } finally {
      closeSync(handle);
    }
    return { path, code: null };
  } catch (error) {
    return { path, code: error instanceof Error && 'code' in error ? String(error.code) : 'unknown' };
  }
}

const WHY = 'What is refreshed cannot be saved, and what is handed out not recorded: no sign-in outlives the daemon, and it may not start';

export function checkDisk({ path, code }: DiskTrial): Finding {
  const at = word(path);
  switch (code) {
    case null: return ok('disk', `${path} can be written`);
    case 'ENOSPC': case 'EDQUOT': return failure('disk', `there is no room left in ${path} (${code})`, WHY, `df -h ${at} && df -i ${at}`);
    case 'EROFS': return failure('disk', `${path} is on a file system that is mounted read-only (EROFS)`, WHY, `findmnt -T ${at}`);
    case 'EACCES': case 'EPERM': return failure('disk', `nothing can be written into ${path} (${code})`, WHY, `chmod u+rwx ${at}`);
    default: return failure('disk', `writing into ${path} fails (${code})`, WHY, `df -h ${at}`);
  }
}
