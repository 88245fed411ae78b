/**
 * What the cgroup of a process tells: the systemd unit that it belongs to, and marks of containers. A user may
 * make cgroups below his own user manager and name them as he likes; those of the system's manager he cannot,
 * so a login session counts only at the place where that one puts it.
 */
import { cleanText } from '../core/text.ts';
import { readSmall, readStat } from './proc.ts';

const UNIT = /^[^/]+\.(service|scope)$/;
const LOGIN_SESSION = /^\/user\.slice\/user-\d+\.slice\/session-[^/]+\.scope(\/|$)/;
const CONTAINER = /\/((docker\/|docker-[0-9a-f]{12}|kubepods|cri-containerd|crio-|libpod-|lxc\/|lxc\.payload|buildkit\/)[^/\n]*)/;

export type Cgroup = {
  readonly path: string;
  /** The nearest unit above the process; null: none. Cleaned. */
  readonly unit: string | null;
  /** The unit is a login session that logind opened. */
  readonly isLoginSession: boolean;
  /** The part of the path that a container runtime named; null: none did. */
  readonly container: string | null;
};

let last: { readonly text: string; readonly cgroup: Cgroup } | null = null;

/**
 * Most callers are where the one before was.
 * @param text - /proc/PID/cgroup: version 2, version 1, or both (cgroups(7))
 */
export function parseCgroup(text: string): Cgroup {
  if (last?.text !== text) last = { text, cgroup: parse(text) };
  return last.cgroup;
}

function parse(text: string): Cgroup {
  const lines = text.split('\n').map((line) => /^\d+:([^:]*):(\/.*)$/.exec(line)).filter((match) => match !== null);
  const pathOf = (controller: string): string | null => lines.find(([, named]) => named === controller)?.[2] ?? null;
  const named = pathOf('name=systemd');
  // With both versions mounted, systemd keeps its own tree in one of them, and the other is empty.
  const path = named === null || named === '/' ? pathOf('') ?? '/' : named;
  const unit = path.split('/').findLast((part) => UNIT.test(part)) ?? null;
  return {
    path,
    unit: unit === null ? null : cleanText(unit, 128),
    isLoginSession: LOGIN_SESSION.test(path),
    container: CONTAINER.exec(lines.map(([, , each]) => each).join('\n'))?.[1] ?? null,
  };
}

const MEMBERS_MAX = 256;

/**
 * Whether no process of its unit is older: so is the one that systemd started, as long as it lives, and who is
 * left behind by its children is not. False where the members cannot be read.
 */
export function isOldestIn({ path }: Cgroup, startTime: string): boolean {
  const members = ['', '/unified', '/systemd'].map((tree) => readSmall(`/sys/fs/cgroup${tree}${path}/cgroup.procs`)).find((text) => text !== null && text !== '');
  const pids = (members ?? '').split('\n').filter((line) => /^\d+$/.test(line)).map(Number);
  if (pids.length === 0 || pids.length > MEMBERS_MAX) return false;
  return pids.every((pid) => Number(readStat(pid)?.startTime ?? startTime) >= Number(startTime));
}
