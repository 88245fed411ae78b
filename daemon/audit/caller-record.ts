/**
 * What an audit record says of a caller. Of the processes above it the names, the nearest first: that is what a
 * person looks for, and a chain of paths would be most of the log. Paths are cut: a caller chooses its own.
 */
import type { Caller } from '../core/domain.ts';

const PATH_MAX = 1_024;
const NAMES_MAX = 32;

export type CallerRecord = Readonly<Record<string, unknown>>;

export function callerRecord({ origin, uid, pid, startTime, executable, script, terminal, label }: Caller): CallerRecord {
  const { class: kind, agent, program, digest, lineage, sessionLeader, isOrphan, unit, container, remote, forwarded } = origin;
  return {
    uid, pid, startTime, executable: cut(executable), script: cut(script), terminal, label,
    origin: {
      class: kind, agent, program: { executable: cut(program.executable), script: cut(program.script) }, digest,
      lineage: lineage.slice(0, NAMES_MAX).map((above) => ({ name: above.name, pid: above.pid })), sessionLeader: sessionLeader?.pid ?? null,
      isOrphan, unit, container, remote, forwarded,
    },
  };
}

function cut(path: string | null): string | null {
  return path === null || path.length <= PATH_MAX ? path : `${path.slice(0, PATH_MAX - 1)}…`;
}
