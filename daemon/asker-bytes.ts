/**
 * Names what runs of a program that asks: its bytes, and those of its script. Where nobody can tell which code runs, it
 * is the process: a yes to it is a yes to no other. So is one to a program that hides its file (PR_SET_DUMPABLE).
 */
import type { Bytes } from './approvals/approvals.ts';
import { bytesKey } from './approvals/consent-key.ts';
import type { Caller } from './core/domain.ts';
import type { Callers } from './core/ports.ts';

export type BytesDeps = {
  readonly callers: Pick<Callers, 'digestOf'>;
  readonly isInterpreter: (executable: string) => boolean;
  /** Null where there is no script, or it cannot be told which bytes run. */
  readonly scriptDigestOf: (asker: Caller) => Promise<string | null>;
};

export async function bytesOf({ callers, isInterpreter, scriptDigestOf }: BytesDeps, asker: Caller): Promise<Bytes> {
  const { executable, script } = asker.origin.program;
  const digest = await callers.digestOf(asker);
  if (script !== null) {
    const bytes = await scriptDigestOf(asker);
    return { key: bytesKey(digest, bytes ?? processOf(asker)), isOfFiles: digest !== null && bytes !== null };
  }
  // Code behind an option (-c, -e, -m) or from a pipe is in no file that could be looked at again.
  if (digest === null || executable === null || isInterpreter(executable)) return { key: bytesKey(digest, processOf(asker)), isOfFiles: false };
  return { key: digest, isOfFiles: true };
}

/** The program itself, and not what it asked by, which is another process each time. */
function processOf(asker: Caller): string {
  const { program, lineage } = asker.origin;
  const found = [asker, ...lineage].find(({ executable, script }) => executable === program.executable && script === program.script) ?? asker;
  return `${found.pid}:${found.startTime}`;
}
