/**
 * Who is asking, as the kernel tells (Linux, /proc). The pid of the peer credentials is pinned by its start
 * time: every fact is read between two looks at it. This is evidence, not a wall: a process of the same user
 * can run another's program (requirements, section 24).
 */
import { basename } from 'node:path';
import type { Caller } from '../core/domain.ts';
import type { Callers, Peer } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { sessionFactsFrom } from './facts.ts';
import { KnownProcesses } from './known.ts';
import type { Standing } from './known.ts';
import type { Loginctl } from './logind.ts';
import { readIdentity, readStat, readStrings, readTarget } from './proc.ts';
import { readRawFacts } from './raw-facts.ts';
import { isInterpreter, scriptOf } from './script.ts';

export type CallersDeps = {
  readonly loginctl: Loginctl;
  /** The scripts of the CLI beside this daemon: people know them by the product's name. */
  readonly ownCli: readonly string[];
};

/** Enough for the options of any interpreter and a path. */
const MAX_COMMAND_BYTES = 65_536;

/** `close` lets go of the descriptors of known processes; they would be held anew by the next attestation. */
export function createCallers({ loginctl, ownCli }: CallersDeps): Callers & { close(): void } {
  const known = new KnownProcesses();
  const stillSame = (caller: Caller): boolean => isSame(caller, caller.pid);
  return {
    attest: (peer) => known.find(peer, terminalOf) ?? attestAnew(peer, ownCli, known),
    close: () => known.close(),
    stillSame,
    async session(caller) {
      const raw = await readRawFacts(caller, loginctl);
      // The pid may have been used again while we read: then nothing of it is the caller's.
      return sessionFactsFrom(stillSame(caller) ? raw : { ...raw, environment: null });
    },
  };
}

async function attestAnew(peer: Peer, ownCli: CallersDeps['ownCli'], known: KnownProcesses): Promise<Caller | null> {
  const hold = peer.pid <= 0 ? null : known.hold(peer.pid);
  let caller: Caller | null = null;
  try {
    caller = await attest(peer, ownCli);
  } finally {
    if (hold !== null) known.keep(hold, caller);
  }
  return caller;
}

async function attest(peer: Peer, ownCli: CallersDeps['ownCli']): Promise<Caller | null> {
  // 0: a process of a pid namespace that is not below ours.
  if (peer.pid <= 0) return null;
  const stat = readStat(peer.pid);
  if (stat === null || stat.isDead) return null;
  const executable = readTarget(`/proc/${peer.pid}/exe`);
  const script = executable !== null && isInterpreter(executable) ? await readScript(executable, peer.pid) : null;
  if (!isSame({ uid: peer.uid, startTime: stat.startTime }, peer.pid)) return null;
  return {
    uid: peer.uid,
    pid: peer.pid,
    startTime: stat.startTime,
    executable,
    script,
    terminal: terminalOf(stat),
    label: labelOf(script !== null && ownCli.includes(script) ? 'valetkey' : script ?? executable, peer.pid),
  };
}

async function readScript(interpreter: string, pid: number): Promise<string | null> {
  const argv = await readStrings(`/proc/${pid}/cmdline`, MAX_COMMAND_BYTES);
  return scriptOf(interpreter, argv ?? [], readTarget(`/proc/${pid}/cwd`));
}

function isSame(known: { readonly uid: number; readonly startTime: string }, pid: number): boolean {
  const now = readIdentity(pid);
  return now !== null && now.startTime === known.startTime && now.uid === known.uid;
}

function terminalOf(stat: Standing): Caller['terminal'] {
  return stat.terminal === 0 ? null : { device: stat.terminal, foreground: stat.foregroundGroup === stat.group };
}

/** The name goes to terminals and pages: cleaned, and short enough that the pid is never cut off. */
function labelOf(path: string | null, pid: number): string {
  const name = path === null ? '' : cleanText(basename(path.replace(/ \(deleted\)$/, '')), 60);
  return `${name === '' ? 'unknown program' : name} (pid ${pid})`;
}
