/**
 * Who may answer a question (IP-10): a person's terminal, or a desktop, that was there before the question, and that
 * the asker can neither be nor have made. Pure and total: what is not known is a no. A process that makes itself a
 * terminal, a session and a parent passes all of it; SECURITY.md says so.
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
  const whyNot = whyNoPerson(answerer);
  if (whyNot !== null) return whyNot;
  if (terminal !== null && asker.terminal?.device === terminal.device) return 'is at the terminal of the program that asks';
  const whose = whoseChild(answerer, asker);
  if (whose !== null) return `was started by ${whose}`;
  if (isBelow(asker, answerer)) return 'started the program that asks';
  const leader = origin.sessionLeader;
  if (leader === null) return 'has no session that can be told';
  if (isSame(leader, asker.origin.sessionLeader)) return 'is in the session of the program that asks';
  // setsid() takes the asker out of the session and off the terminal, and not out of what started it.
  if (isBelow(asker, leader)) return 'is at the terminal from which the program that asks was started';
  if (isSince(leader, askedAtMs)) return 'is in a session that is younger than the question';
  return null;
}

/** Whoever asks: this is nobody's terminal at which a person could say something. Null: it is one. */
export function whyNoPerson({ origin, terminal }: Caller): string | null {
  const whyNot = whyNotOfPerson(origin);
  if (whyNot !== null) return whyNot;
  if (terminal === null || !terminal.foreground) return 'is not in the foreground of a terminal';
  if (origin.isOrphan) return 'was left behind by the process that started it';
  return null;
}

/** Null: a person may have started it, at a terminal or not. */
export function whyNotOfPerson({ class: kind, agent, container, forwarded }: Caller['origin']): string | null {
  if (forwarded || container) return 'comes from another machine or a container';
  if (kind !== 'human') return agent === null ? 'runs outside of a login session' : `was started by ${agent}`;
  return null;
}

/**
 * Whether a dialog may be shown where this process shows the windows.
 * @param server - the X server or compositor; root's, or the user's own
 */
export function whyNotDisplay(server: Caller, asker: Caller, askedAtMs: number): string | null {
  const { origin, uid } = server;
  if (uid !== asker.uid && uid !== 0) return 'is of another user';
  if (origin.forwarded || origin.container) return 'is on another machine or in a container';
  if (origin.agent !== null) return `was started by ${origin.agent}`;
  if (origin.isOrphan) return 'was left behind by the process that started it';
  const whose = whoseChild(server, asker);
  if (whose !== null) return `was started by ${whose}`;
  if (isSame(server, asker.origin.sessionLeader)) return 'leads the session of the program that asks';
  if (isSince(server, askedAtMs)) return 'is younger than the question';
  return null;
}

function whoseChild(answerer: Caller, asker: Caller): string | null {
  if (isBelow(answerer, asker)) return 'the program that asks';
  const agent = asker.origin.agentProcess;
  return agent !== null && isBelow(answerer, agent) ? 'the agent that asks' : null;
}

/** Which tick is told, and not when in it: what may have started after the question did. */
function isSince({ startTime }: Named, askedAtMs: number): boolean {
  return !((Number(startTime) + 1) * MS_PER_TICK <= askedAtMs);
}

type Named = { readonly pid: number; readonly startTime: string };

function isSame(one: Named, other: Named | null): boolean {
  return other !== null && one.pid === other.pid && one.startTime === other.startTime;
}

/** What the asker's own parents started beside it is somebody else: a shell of another window has the desktop above it as well. */
function isBelow(caller: Caller, process: Named): boolean {
  return isSame(caller, process) || caller.origin.lineage.some((ancestor) => isSame(ancestor, process));
}
