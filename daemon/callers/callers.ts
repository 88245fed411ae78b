/**
 * Who is asking, as the kernel tells (Linux, /proc). The process that connected is pinned by a descriptor
 * where the kernel gives one, else by its start time: every fact is read between two looks at it, and a
 * program that was exchanged meanwhile is not mixed with the one before. This is evidence, not a wall: a
 * process of the same user can run another's program (requirements, section 24).
 */
import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Caller, Origin } from '../core/domain.ts';
import type { Callers, Peer, Pin, PinPeer } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { parseCgroup } from './cgroup.ts';
import { Digests } from './digests.ts';
import { sessionFactsFrom } from './facts.ts';
import { KnownProcesses, release } from './known.ts';
import { isSameProgram, Lineage, readLink, readLinkAtOnce } from './lineage.ts';
import type { Above, Link } from './lineage.ts';
import type { Loginctl } from './logind.ts';
import { Look } from './look.ts';
import { isInOtherNamespace } from './namespaces.ts';
import { judgeOrigin } from './origin.ts';
import { isTold, readSmall, readStat, readTarget } from './proc.ts';
import type { ProcStat } from './proc.ts';
import { readRawFacts } from './raw-facts.ts';
import { isInterpreter } from './script.ts';

export type CallersDeps = {
  readonly loginctl: Loginctl;
  /** The scripts of the CLI beside this daemon: people know them by the product's name. */
  readonly ownCli: readonly string[];
};

/** What is known of a caller besides what others need to know. Its origin is the key: copies of a caller share it. */
type Proof = { readonly uid: number; readonly image: string | null; readonly program: Link; readonly why: string; wasAsked: boolean };
type Parts = {
  readonly ownCli: readonly string[];
  readonly ownContainer: string | null;
  readonly known: KnownProcesses;
  readonly lineage: Lineage;
  readonly digests: Digests;
  readonly proofs: WeakMap<Origin, Proof>;
};

/** Who waits for a digest has other things to do; it is computed all the same. */
const DIGEST_MS = 10_000;
const LOOKS = 3;

/** `close` lets go of the descriptors of known processes; they would be held anew by the next attestation. */
export function createCallers({ loginctl, ownCli }: CallersDeps): Callers & { close(): void } {
  const parts: Parts = {
    ownCli, ownContainer: parseCgroup(readSmall('/proc/self/cgroup') ?? '').container,
    known: new KnownProcesses(), lineage: new Lineage(), digests: new Digests(), proofs: new WeakMap(),
  };
  const { known, proofs } = parts;
  const stillSame = (caller: Caller): boolean => isStillSame(parts, caller);
  return {
    attest: (peer, pin) => known.find(peer, terminalOf) ?? attestAnew(peer, pin, parts),
    close: () => {
      known.close();
      parts.lineage.close();
    },
    stillSame,
    isRunning: ({ pid, startTime }) => {
      const stat = readStat(pid);
      return stat !== null && !stat.isDead && stat.startTime === startTime;
    },
    lookOnce: (work) => known.lookOnce(work),
    digestOf: (caller) => digestOf(parts, caller),
    programAt: (path) => programAt(parts, path),
    classReason: ({ origin }) => proofs.get(origin)?.why ?? '',
    async session(caller) {
      const raw = await readRawFacts(caller, loginctl);
      // The pid may have been used again while we read: then nothing of it is the caller's.
      return sessionFactsFrom(stillSame(caller) ? raw : { ...raw, environment: null });
    },
  };
}

function attestAnew(peer: Peer, pinPeer: PinPeer | null, parts: Parts): Caller | null | Promise<Caller | null> {
  // 0: a process of a pid namespace that is not below ours.
  if (peer.pid <= 0) return null;
  const pin = pinPeer?.() ?? null;
  let isLater = false;
  try {
    const caller = attestAtOnce(peer, pin, parts);
    isLater = caller === null;
    return caller ?? attestInTime(peer, pin, parts);
  } finally {
    if (!isLater) pin?.close();
  }
}

/** Most programs are no interpreters and have parents that are known. Null where something has to be waited for, or to be looked at again. */
function attestAtOnce(peer: Peer, pin: Pin | null, parts: Parts): Caller | null {
  const look = Look.begin(parts.known, peer, true);
  if (look === null) return null;
  try {
    const self = readLinkAtOnce(peer.pid, look.stat);
    const above = self === null ? null : parts.lineage.aboveAtOnce(look.stat);
    return self === null || above === null ? null : conclude(look, peer, { self, above }, pin, parts);
  } finally {
    look.end();
  }
}

/** A wrapper ends in exec(): then it is looked at once more, and what it became is who asks. */
async function attestInTime(peer: Peer, pin: Pin | null, parts: Parts): Promise<Caller | null> {
  try {
    for (let times = 0; times < LOOKS; times += 1) {
      // Of who has no environment the memory is never told: the last look has to do without.
      const look = Look.begin(parts.known, peer, times < LOOKS - 1);
      if (look === null) return null;
      try {
        const self = await readLink(peer.pid, look.stat);
        const above = self === null ? null : await parts.lineage.above(look.stat);
        const caller = self === null || above === null ? null : conclude(look, peer, { self, above }, pin, parts);
        if (caller !== null) return caller;
      } finally {
        look.end();
      }
    }
    return null;
  } finally {
    pin?.close();
  }
}

type Chain = { readonly self: Link; readonly above: Above };

/** Null where it was not the same from the beginning to the end. */
function conclude(look: Look, peer: Peer, chain: Chain, pin: Pin | null, parts: Parts): Caller | null {
  const { caller, proof } = judge(peer, look.stat, chain, parts);
  return look.proves(caller, proof, pin) ? caller : null;
}

function judge({ pid, uid }: Peer, stat: ProcStat, { self, above: { links: above, isWhole } }: Chain, parts: Parts): { readonly caller: Caller; readonly proof: Proof } {
  const { origin, why, program } = judgeOrigin({
    self, above, isWhole,
    sessionLeader: leaderOf(stat.session, self, above),
    ownContainer: parts.ownContainer,
    isInOtherNamespace: isInOtherNamespace(pid),
    hasTerminal: stat.terminal !== 0,
    ownScripts: parts.ownCli,
  });
  const digest = parts.digests.known(program.ancestor.pid);
  const { executable, script } = self.ancestor;
  const seen = digest === null ? origin : { ...origin, digest };
  const proof = { uid, image: stat.image, program, why, wasAsked: false };
  parts.proofs.set(seen, proof);
  const caller = {
    origin: seen,
    uid,
    pid,
    startTime: stat.startTime,
    executable,
    script,
    terminal: terminalOf(stat),
    label: labelOf(script !== null && parts.ownCli.includes(script) ? 'valetkey' : script ?? executable, pid),
  };
  return { caller, proof };
}

/** Null where it has ended, or another process has its number: a leader is never younger than who is in its session. */
function leaderOf(session: number, self: Link, above: readonly Link[]): Origin['sessionLeader'] {
  if (session <= 0) return null;
  const link = [self, ...above].find(({ ancestor }) => ancestor.pid === session);
  if (link !== undefined) return { pid: session, startTime: link.ancestor.startTime };
  const stat = readStat(session);
  const isLeader = stat !== null && !stat.isDead && stat.session === session && Number(stat.startTime) <= Number(self.ancestor.startTime);
  return isLeader ? { pid: session, startTime: stat.startTime } : null;
}

function isStillSame({ known, proofs }: Parts, caller: Caller): boolean {
  const { pid } = caller;
  const proof = proofs.get(caller.origin) ?? null;
  // Its uid cannot become another without exec(), but for root, who may have anything.
  if (proof !== null && proof.uid !== caller.uid) return false;
  const held = proof === null ? null : known.holds(caller, proof);
  const wasAsked = proof?.wasAsked === true;
  if (proof !== null) proof.wasAsked = true;
  if (held !== null) return held;
  // Who asks again and again on one connection is worth two descriptors.
  const hold = wasAsked ? known.hold(pid) : null;
  const isSame = runsStill(caller, proof);
  if (hold !== null) {
    if (isSame && proof !== null) known.keep(hold, caller, proof);
    else release(hold);
  }
  return isSame;
}

function runsStill({ pid, startTime, executable }: Caller, proof: Proof | null): boolean {
  const now = readStat(pid);
  if (now === null || now.isDead || now.startTime !== startTime || (proof !== null && now.image !== proof.image)) return false;
  return executable === readTarget(`/proc/${pid}/exe`);
}

async function programAt({ digests }: Parts, path: string): ReturnType<Callers['programAt']> {
  try {
    const executable = await realpath(path);
    const digest = await digests.computeFile(executable);
    return digest === null ? null : { executable, digest, isInterpreter: isInterpreter(executable) };
  } catch (cause) {
    if (isTold(cause)) return null;
    throw cause;
  }
}

async function digestOf(parts: Parts, caller: Caller): Promise<string | null> {
  const { origin } = caller;
  if (origin.digest !== null) return origin.digest;
  const proof = parts.proofs.get(origin);
  if (proof === undefined) return null;
  const { ancestor: { pid }, stat } = proof.program;
  const done = new AbortController();
  const late = sleep(DIGEST_MS, null, { signal: done.signal, ref: false }).catch(() => null); // done first
  const digest = await Promise.race([parts.digests.compute(pid), late]);
  done.abort();
  // The file was opened between the look that made the link and this one.
  const now = readStat(pid);
  if (digest === null || now === null || !isSameProgram(now, stat)) return null;
  const learned: Origin = { ...origin, digest };
  parts.proofs.set(learned, proof);
  parts.known.renew({ ...caller, origin: learned }, proof);
  return digest;
}

function terminalOf(stat: Pick<ProcStat, 'terminal' | 'foregroundGroup' | 'group'>): Caller['terminal'] {
  return stat.terminal === 0 ? null : { device: stat.terminal, foreground: stat.foregroundGroup === stat.group };
}

/** The name goes to terminals and pages: cleaned, and short enough that the pid is never cut off. */
function labelOf(path: string | null, pid: number): string {
  const name = path === null ? '' : cleanText(basename(path.replace(/ \(deleted\)$/, '')), 60);
  return `${name === '' ? 'unknown program' : name} (pid ${pid})`;
}
