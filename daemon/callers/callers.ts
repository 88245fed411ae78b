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
import type { Callers, Peer, PinPeer } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { parseCgroup } from './cgroup.ts';
import { Digests } from './digests.ts';
import { sessionFactsFrom } from './facts.ts';
import { KnownProcesses } from './known.ts';
import type { Standing } from './known.ts';
import { isSameProgram, Lineage, readLink } from './lineage.ts';
import type { Link } from './lineage.ts';
import type { Loginctl } from './logind.ts';
import { isInOtherNamespace } from './namespaces.ts';
import { judgeOrigin } from './origin.ts';
import { isTold, readIdentity, readSmall, readStat, readTarget } from './proc.ts';
import type { ProcStat } from './proc.ts';
import { readRawFacts } from './raw-facts.ts';

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

async function attestAnew(peer: Peer, pinPeer: PinPeer | null, parts: Parts): Promise<Caller | null> {
  const { known, proofs } = parts;
  // 0: a process of a pid namespace that is not below ours.
  if (peer.pid <= 0) return null;
  const pin = pinPeer?.() ?? null;
  const hold = known.hold(peer.pid);
  let caller: Caller | null = null;
  try {
    caller = await attest(peer, parts);
    // Alive at the end, so the number was its own all the time.
    if (pin !== null && !pin.isAlive()) caller = null;
  } finally {
    pin?.close();
    if (hold !== null) known.keep(hold, caller, caller === null ? null : proofs.get(caller.origin) ?? null);
  }
  return caller;
}

/** A wrapper ends in exec(): then it is looked at once more, and what it became is who asks. */
async function attest(peer: Peer, parts: Parts): Promise<Caller | null> {
  for (let look = 0; look < LOOKS; look += 1) {
    const stat = readStat(peer.pid);
    if (stat === null || stat.isDead) return null;
    const caller = await attestOnce(peer, stat, parts);
    const now = readIdentity(peer.pid);
    if (now === null || now.startTime !== stat.startTime || now.uid !== peer.uid) return null;
    if (caller !== null && now.image === stat.image) return caller;
  }
  return null;
}

/** Null where the program changed meanwhile. */
async function attestOnce({ pid, uid }: Peer, stat: ProcStat, parts: Parts): Promise<Caller | null> {
  const self = await readLink(pid, stat);
  if (self === null) return null;
  const above = await parts.lineage.above(stat);
  const { origin, why, program } = judgeOrigin({
    self, above,
    sessionLeader: leaderOf(stat.session, self, above),
    ownContainer: parts.ownContainer,
    isInOtherNamespace: isInOtherNamespace(pid),
    hasTerminal: stat.terminal !== 0,
    ownScripts: parts.ownCli,
  });
  const digest = parts.digests.known(program.ancestor.pid);
  const { executable, script } = self.ancestor;
  const seen = digest === null ? origin : { ...origin, digest };
  parts.proofs.set(seen, { uid, image: stat.image, program, why, wasAsked: false });
  return {
    origin: seen,
    uid,
    pid,
    startTime: stat.startTime,
    executable,
    script,
    terminal: terminalOf(stat),
    label: labelOf(script !== null && parts.ownCli.includes(script) ? 'valetkey' : script ?? executable, pid),
  };
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
  const held = proof === null || proof.uid !== caller.uid ? null : known.holds(caller, proof);
  if (held !== null) return held;
  // Its uid cannot become another without exec(), but for root, who may have anything.
  if (proof !== null && proof.uid !== caller.uid) return false;
  // Who asks again and again on one connection is worth two descriptors.
  const hold = proof?.wasAsked === true ? known.hold(pid) : null;
  const isSame = runsStill(caller, proof);
  if (hold !== null) known.keep(hold, isSame ? caller : null, proof);
  if (proof !== null) proof.wasAsked = true;
  return isSame;
}

function runsStill({ pid, startTime, executable }: Caller, proof: Proof | null): boolean {
  const now = readStat(pid);
  if (now === null || now.isDead || now.startTime !== startTime || (proof !== null && now.image !== proof.image)) return false;
  return executable === readTarget(`/proc/${pid}/exe`);
}

async function programAt({ digests }: Parts, path: string): Promise<{ readonly executable: string; readonly digest: string } | null> {
  try {
    const executable = await realpath(path);
    const digest = await digests.computeFile(executable);
    return digest === null ? null : { executable, digest };
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

function terminalOf(stat: Pick<Standing, 'terminal' | 'foregroundGroup' | 'group'>): Caller['terminal'] {
  return stat.terminal === 0 ? null : { device: stat.terminal, foreground: stat.foregroundGroup === stat.group };
}

/** The name goes to terminals and pages: cleaned, and short enough that the pid is never cut off. */
function labelOf(path: string | null, pid: number): string {
  const name = path === null ? '' : cleanText(basename(path.replace(/ \(deleted\)$/, '')), 60);
  return `${name === '' ? 'unknown program' : name} (pid ${pid})`;
}
