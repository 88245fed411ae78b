/** What names this run of the kernel, so that what was written in an earlier one can be told. */
import { readFileSync } from 'node:fs';

/** Null where the system gives it no name that can be read without privileges. */
export function readBootId(path = '/proc/sys/kernel/random/boot_id'): string | null {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch (cause) {
    // No Linux, or a container without /proc.
    if (cause instanceof Error && 'syscall' in cause) return null;
    throw cause;
  }
}
