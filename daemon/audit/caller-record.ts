/**
 * What an audit record says of a caller. Of the processes above it the names, the nearest first: that is what a
 * person looks for, and a chain of paths would be most of the log. Paths are cut: a caller chooses its own.
 */
import type { Caller } from '../core/domain.ts';

const PATH_MAX = 1_024;
const NAMES_MAX = 32;

export type CallerRecord = Readonly<Record<string, unknown>>;

export function callerRecord({ origin, uid, pid, startTime, executable, script, terminal, label }: Caller): CallerRecord {
  const { program } = origin;
  return {
    uid, pid, startTime, executable: cut(executable), script: cut(script), terminal, label,
    class: origin.class, agent: origin.agent, program: { executable: cut(program.executable), script: cut(program.script) }, digest: origin.digest,
    parents: origin.lineage.slice(0, NAMES_MAX).map(({ name }) => name), sessionLeader: origin.sessionLeader?.pid ?? null,
    unit: origin.unit, container: origin.container, remote: origin.remote, forwarded: origin.forwarded, orphan: origin.isOrphan,
  };
}

function cut(path: string | null): string | null {
  return path === null || path.length <= PATH_MAX ? path : `${path.slice(0, PATH_MAX - 1)}…`;
}
