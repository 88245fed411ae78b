/**
 * SHA-256 of the script that a program interprets, as the program sees the path. It is of the bytes that run only if
 * nobody changed the file since the program began: one that was changed later says nothing, and is null. ctime cannot
 * be set back by whoever owns the file, but is told by the last tick of the kernel's clock, or by the second. What a
 * script loads besides is not looked at, nor what was written to it through a mapping, which is no change to ctime.
 */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { constants, lstat, open } from 'node:fs/promises';
import type { Caller } from '../core/domain.ts';
import type { Clock } from '../core/ports.ts';
import { isTold, readStat } from './proc.ts';

/** Start times are told in hundredths of a second (proc_pid_stat(5), USER_HZ). */
const MS_PER_TICK = 10;
/** A change may be told so much too early: by a tick of the kernel (HZ=100), and by what our two clocks round away. */
const TICK_MS = 20;
/** Where a file system keeps whole seconds, or two. */
const SECONDS_MS = 2_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** Null where there is no script, or it cannot be told which bytes run. */
export async function digestOfScript(caller: Caller, clock: Pick<Clock, 'now' | 'boottimeMs'>): Promise<string | null> {
  const { program, lineage } = caller.origin;
  const { script } = program;
  const process = [caller, ...lineage].find((each) => each.executable === program.executable && each.script === script);
  if (script === null || process === undefined) return null;
  const startedAt = clock.now() - clock.boottimeMs() + Number(process.startTime) * MS_PER_TICK;
  const digest = await read(`/proc/${process.pid}/root${script}`, startedAt);
  // The number was its own all the time.
  return readStat(process.pid)?.startTime === process.startTime ? digest : null;
}

function latestChange({ ctimeMs }: Pick<Stats, 'ctimeMs'>): number {
  return ctimeMs + (ctimeMs % 1000 === 0 ? SECONDS_MS : TICK_MS);
}

async function read(path: string, unchangedSince: number): Promise<string | null> {
  try {
    const link = await lstat(path);
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const before = await file.stat();
      if (!before.isFile() || before.size > MAX_BYTES || Math.max(latestChange(link), latestChange(before)) > unchangedSince) return null;
      const digest = createHash('sha256').update(await file.readFile()).digest('hex');
      return (await file.stat()).ctimeMs === before.ctimeMs ? digest : null;
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (isTold(cause) || (cause instanceof Error && 'syscall' in cause)) return null;
    throw cause;
  }
}
