/**
 * Who may answer a question (IP-10): a person's terminal that was there before the question, and that the asker
 * can neither be nor have made. Pure and total: what is not known is a no. A process that makes itself a terminal,
 * a session and a parent passes all of it; SECURITY.md says so.
 */
import type { Caller } from '../core/domain.ts';

/** Start times of processes are told in hundredths of a second, on every machine (proc_pid_stat(5), USER_HZ). */
const MS_PER_TICK = 10;

/**
 * @param askedAtMs - on the clock since boot
 * @returns why not, in words that follow "it"; null: it may
 */
export function whyNotApprove(answerer: Caller, asker: Caller, askedAtMs: number): string | null {
  const { origin, terminal } = answerer;
  if (answerer.uid !== asker.uid) return 'is of another user';
  if (origin.forwarded || origin.container) return 'comes from another machine or a container';
  if (origin.class !== 'human') return origin.agent === null ? 'runs outside of a login session' : `was started by ${origin.agent}`;
  if (terminal === null || !terminal.foreground) return 'is not in the foreground of a terminal';
  if (origin.isOrphan) return 'was left behind by the process that started it';
  if (asker.terminal?.device === terminal.device) return 'is at the terminal of the program that asks';
  if (isBelow(answerer, asker)) return 'was started by the program that asks';
  const agent = asker.origin.agentProcess;
  if (agent !== null && isBelow(answerer, agent)) return 'was started by the agent that asks';
  const leader = origin.sessionLeader;
  if (leader === null) return 'has no session that can be told';
  if (isSame(leader, asker.origin.sessionLeader)) return 'is in the session of the program that asks';
  if (Number(leader.startTime) * MS_PER_TICK >= askedAtMs) return 'is in a session that is younger than the question';
  return null;
}

type Named = { readonly pid: number; readonly startTime: string };

function isSame(one: Named, other: Named | null): boolean {
  return other !== null && one.pid === other.pid && one.startTime === other.startTime;
}

/** What the asker's own parents started beside it is somebody else: a shell of another window has the desktop above it as well. */
function isBelow(answerer: Caller, process: Named): boolean {
  return isSame(answerer, process) || answerer.origin.lineage.some((ancestor) => isSame(ancestor, process));
}
