/** Whether a process is in a mount, pid or user namespace in which the daemon is not: containers and sandboxes. */
import { readTarget } from './proc.ts';

const KINDS = ['mnt', 'pid', 'user'] as const;
/** A process that never calls setns() stays in its own. */
let own: readonly (string | null)[] | null = null;

/** True where they cannot be read (PR_SET_DUMPABLE): who hides where it is, is not known to be where the daemon is. */
export function isInOtherNamespace(pid: number): boolean {
  own ??= KINDS.map((kind) => readTarget(`/proc/self/ns/${kind}`));
  return KINDS.some((kind, at) => {
    const theirs = readTarget(`/proc/${pid}/ns/${kind}`);
    const ours = own?.[at] ?? null;
    return ours !== null && ours !== theirs;
  });
}
