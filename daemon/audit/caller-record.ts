/**
 * What an audit record says of a caller. Of the processes above it the names, the nearest first: that is what a
 * person looks for, and a chain of paths would be most of the log. Paths are cut: a caller chooses its own.
 */
import type { Caller } from '../core/domain.ts';
import { plainJson } from '../core/text.ts';

/** Bytes in the record: an odd character takes six, and four such paths would leave no room for what the record is about. */
const PATH_MAX = 1_024;
const NAMES_MAX = 32;

export type CallerRecord = Readonly<Record<string, unknown>>;

export function callerRecord({ origin, uid, pid, startTime, executable, script, terminal, label }: Caller): CallerRecord {
  const { class: kind, agent, program, run, digest, lineage, sessionLeader, isOrphan, unit, container, remote, forwarded } = origin;
  return {
    uid, pid, startTime, executable: cut(executable), script: cut(script), terminal, label,
    origin: {
      class: kind, agent, program: { executable: cut(program.executable), script: cut(program.script) }, run: cut(run), digest,
      lineage: lineage.slice(0, NAMES_MAX).map((above) => ({ name: above.name, pid: above.pid })), sessionLeader: sessionLeader?.pid ?? null,
      isOrphan, unit, container, remote, forwarded,
    },
  };
}

function cut(path: string | null): string | null {
  if (path === null || bytesOf(path) <= PATH_MAX) return path;
  let kept = path.slice(0, PATH_MAX);
  while (bytesOf(kept) >= PATH_MAX) kept = kept.slice(0, Math.floor(kept.length * 0.9));
  return `${kept}…`;
}

const bytesOf = (path: string): number => Buffer.byteLength(plainJson([path]));
