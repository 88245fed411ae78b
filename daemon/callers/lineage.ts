/**
 * The processes above a caller, to the first of the machine. The same shells and terminals stand above one
 * caller after the other, so what was read of them is kept: each is proved anew by one look at its stat, whose
 * descriptor names the process, and the addresses of its image the program. A parent is never younger
 * than its child: where it seems so, the pid has been used again, and the chain ends there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ancestor } from '../core/domain.ts';
import { cleanText } from '../core/text.ts';
import { agentOf } from './agents.ts';
import { isOldestIn, parseCgroup } from './cgroup.ts';
import type { Cgroup } from './cgroup.ts';
import { HeldStat } from './held-stat.ts';
import { CONTAINER_RUNTIME, DESKTOP_SERVICE, GIT_PARTS, HOME, LOGIN_LEADER, OWN_PROGRAMS, REMOTE_LOGIN, SCHEDULER, SSH_PROGRAMS } from './programs.ts';
import { readSmall, readStat, readStrings, readTarget } from './proc.ts';
import type { ProcStat } from './proc.ts';
import { isInterpreter, runsCommand, scriptOf } from './script.ts';

/** One process of a chain, the caller itself among them. */
export type Link = {
  readonly ancestor: Ancestor;
  readonly stat: ProcStat;
  readonly agent: string | null;
  /** Of its file, which it cannot change while it runs; of the kernel where that is hidden. */
  readonly name: string;
  readonly roles: Roles;
  readonly cgroup: Cgroup;
  /** The command behind `run … --` of its words: of Valetkey's own, what gets a token in its environment. */
  readonly run: string | null;
  /** Of a unit of the desktop: it is its first process. Asked only of leaders of a session. */
  readonly isUnitMain: boolean;
};

/** What its name makes of it; programs.ts says what each means. */
export type Roles = {
  readonly isInit: boolean;
  readonly isHome: boolean;
  readonly isLoginLeader: boolean;
  readonly isRemoteLogin: boolean;
  readonly isScheduler: boolean;
  readonly isContainerRuntime: boolean;
  readonly isSsh: boolean;
  /** Valetkey's, git's or a shell's: whoever started it is who asks. */
  readonly isPart: boolean;
};

/** Deeper chains are cut: nobody's login session is that deep. */
const MAX_ANCESTORS = 64;
/** Programs that start others change once, by exec(). */
const LOOKS = 3;
/** Each holds a descriptor. */
const KEPT = 64;
/** Enough for the options of any interpreter and a path. */
const MAX_COMMAND_BYTES = 65_536;
/** A command line lies in the memory of its process, which may be stuck on a disk that is gone. */
const COMMAND_MS = 500;
const RUN_MAX = 256;
const UNKNOWN_COMMAND = '?';

/** Null where the pid is another process or program by the time that all is read. */
export async function readLink(pid: number, stat: ProcStat): Promise<Link | null> {
  const executable = readTarget(`/proc/${pid}/exe`);
  const plain = namesOfPlain(pid, stat, executable);
  if (plain !== null) return linkOf(pid, stat, executable, null, plain);
  if (executable === null) return null;
  const argv = await readCommand(pid);
  const script = argv === null ? null : scriptOf(executable, argv, readTarget(`/proc/${pid}/cwd`));
  const link = linkOf(pid, stat, executable, script, namesOf(pid, stat, executable, script, argv));
  const now = argv === null ? stat : readStat(pid);
  return now === null || !isSameProgram(now, stat) ? null : link;
}

/** Null where its command line has to be waited for. */
export function readLinkAtOnce(pid: number, stat: ProcStat): Link | null {
  const executable = readTarget(`/proc/${pid}/exe`);
  const plain = namesOfPlain(pid, stat, executable);
  return plain === null ? null : linkOf(pid, stat, executable, null, plain);
}

function linkOf(pid: number, stat: ProcStat, executable: string | null, script: string | null, { comm, name, roles, agent, run }: Names): Link {
  const cgroup = parseCgroup(readSmall(`/proc/${pid}/cgroup`) ?? '');
  return {
    ancestor: { pid, startTime: stat.startTime, name: comm, executable, script },
    stat,
    name,
    roles,
    agent,
    run,
    cgroup,
    isUnitMain: stat.session === pid && DESKTOP_SERVICE.test(cgroup.unit ?? '') && isOldestIn(cgroup, stat.startTime),
  };
}

/** What the names of a program tell. */
type Names = Pick<Link, 'name' | 'roles' | 'agent' | 'run'> & { readonly comm: string };

const PLAIN_MAX = 256;
/** The same programs come again and again; two hundred patterns would be tried at each of them. */
const plains = new Map<string, Names>();

/** Of a program that runs no script: its file, its own name, and whether it is the first of all tell the rest. Null: it is an interpreter. */
function namesOfPlain(pid: number, stat: ProcStat, executable: string | null): Names | null {
  const key = `${pid === 1 ? 'first' : ''}\0${stat.comm}\0${executable ?? ''}`;
  const known = plains.get(key);
  if (known !== undefined) return known;
  if (executable !== null && isInterpreter(executable)) return null;
  if (plains.size >= PLAIN_MAX) plains.clear();
  const names = namesOf(pid, stat, executable, null, null);
  plains.set(key, names);
  return names;
}

function namesOf(pid: number, stat: ProcStat, executable: string | null, script: string | null, argv: readonly string[] | null): Names {
  const comm = cleanText(Buffer.from(stat.comm, 'latin1').toString('utf8'), 15);
  const ancestor = { pid, startTime: stat.startTime, name: comm, executable, script };
  const name = nameOf(ancestor);
  const isCommand = executable !== null && argv !== null && runsCommand(executable, argv);
  return { comm, name, roles: rolesOf(ancestor, name, isCommand), agent: agentOf({ executable, script }), run: argv === null ? null : runOf(argv, script) };
}

/** `node main.js [--json] run --profile work -- terraform plan`. Without `--` it is a use of that kind all the same, of a command that is not known. */
function runOf(argv: readonly string[], script: string | null): string | null {
  if (script === null) return null;
  const file = script.slice(script.lastIndexOf('/') + 1);
  const own = argv.findIndex((word, index) => index > 0 && (word === file || word.endsWith(`/${file}`)));
  const words = argv.slice(own + 1);
  if (own < 0 || words.find((word) => !word.startsWith('-')) !== 'run') return null;
  const at = words.indexOf('--');
  return cleanText(at < 0 ? UNKNOWN_COMMAND : words[at + 1] ?? UNKNOWN_COMMAND, RUN_MAX);
}

function nameOf({ executable, script, name }: Ancestor): string {
  const path = script ?? executable;
  return path === null ? name : path.slice(path.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '');
}

/** @param isCommand - a shell that runs one command for somebody else */
export function rolesOf({ pid, name: comm, executable }: Ancestor, name: string, isCommand: boolean): Roles {
  return {
    isInit: pid === 1 || name === 'systemd',
    isHome: HOME.test(name),
    isLoginLeader: LOGIN_LEADER.test(name) || LOGIN_LEADER.test(comm),
    isRemoteLogin: REMOTE_LOGIN.test(comm),
    isScheduler: SCHEDULER.test(name) || SCHEDULER.test(comm),
    isContainerRuntime: CONTAINER_RUNTIME.test(comm),
    isSsh: SSH_PROGRAMS.has(name) || SSH_PROGRAMS.has(comm),
    isPart: isCommand || OWN_PROGRAMS.has(name) || (executable !== null && GIT_PARTS.test(executable)),
  };
}

export function isSameProgram(one: ProcStat, other: ProcStat): boolean {
  return one.startTime === other.startTime && one.image === other.image && !one.isDead;
}

/** The nearest first. `isWhole`: up to the first of the machine, or the last that can be seen; else somebody may stand above who is not there. */
export type Above = { readonly links: readonly Link[]; readonly isWhole: boolean };

type Kept = { readonly link: Link; readonly held: HeldStat };

export class Lineage {
  /** What came first is the first. */
  readonly #kept = new Map<number, Kept>();

  async above(stat: ProcStat): Promise<Above> {
    const links: Link[] = [];
    for (let child = stat; child.parent > 0; ) {
      // Waited for only where it has to be read: most chains are there at once.
      const link = this.#find(child.parent) ?? await this.#readSteady(child.parent);
      // Below a /proc that hides other users' processes a chain ends where theirs begin.
      if (link === null) return { links, isWhole: isStillBelow(links.at(-1) ?? null, child.parent) };
      if (link === 'unsteady' || links.length >= MAX_ANCESTORS || isYounger(link.stat, child)) return { links, isWhole: false };
      links.push(link);
      child = link.stat;
    }
    return { links, isWhole: true };
  }

  /** Null where one of them has to be read. */
  aboveAtOnce(stat: ProcStat): Above | null {
    const links: Link[] = [];
    for (let child = stat; child.parent > 0; ) {
      const link = this.#find(child.parent);
      if (link === null) return null;
      if (links.length >= MAX_ANCESTORS || isYounger(link.stat, child)) return { links, isWhole: false };
      links.push(link);
      child = link.stat;
    }
    return { links, isWhole: true };
  }

  /** A parent that becomes one program after the other is not looked past: what stands above it would be hidden. */
  async #readSteady(pid: number): Promise<Link | 'unsteady' | null> {
    for (let look = 0; look < LOOKS; look += 1) {
      const link = await this.#read(pid);
      if (link !== 'unsteady') return link;
    }
    return 'unsteady';
  }

  /** Closes all descriptors. */
  close(): void {
    for (const pid of [...this.#kept.keys()]) this.#forget(pid);
  }

  #find(pid: number): Link | null {
    const kept = this.#kept.get(pid);
    const stat = kept?.held.read() ?? null;
    if (kept === undefined || stat === null) return null;
    if (stat === kept.link.stat) return kept.link;
    if (!isKnown(kept.link, stat)) return null;
    const link = { ...kept.link, stat };
    this.#kept.set(pid, { ...kept, link });
    return link;
  }

  /** Null: there is no such process, as far as can be seen. */
  async #read(pid: number): Promise<Link | 'unsteady' | null> {
    this.#forget(pid);
    const held = HeldStat.open(pid);
    if (held === null) return null;
    let link: Link | null = null;
    try {
      const stat = held.read();
      link = stat === null ? null : await readLink(pid, stat);
    } finally {
      // Another may have read it meanwhile.
      if (link === null || this.#kept.has(pid)) held.close();
      else this.#keep(pid, { link, held });
    }
    return link ?? 'unsteady';
  }

  #keep(pid: number, kept: Kept): void {
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size >= KEPT) this.#forget(oldest);
    this.#kept.set(pid, kept);
  }

  #forget(pid: number): void {
    const kept = this.#kept.get(pid);
    if (kept === undefined) return;
    this.#kept.delete(pid);
    kept.held.close();
  }
}

/**
 * Whoever has ended is nobody's parent any more: its children were given another one before that. So where a parent is
 * not to be found, and is the parent still, it is there and hidden. Of who asks (null) this is asked when all was read.
 */
function isStillBelow(child: Link | null, parent: number): boolean {
  if (child === null) return true;
  const now = readStat(child.ancestor.pid);
  return now !== null && isSameProgram(now, child.stat) && now.parent === parent;
}

function isYounger(parent: ProcStat, child: ProcStat): boolean {
  return Number(parent.startTime) > Number(child.startTime);
}

/** Its name changes with exec(), or by the process's own wish: that is read anew as well. */
function isKnown({ stat: before }: Link, stat: ProcStat): boolean {
  return isSameProgram(stat, before) && stat.comm === before.comm;
}

async function readCommand(pid: number): Promise<readonly string[] | null> {
  const done = new AbortController();
  const late = sleep(COMMAND_MS, null, { signal: done.signal, ref: false }).catch(() => null); // done first
  const argv = await Promise.race([readStrings(`/proc/${pid}/cmdline`, MAX_COMMAND_BYTES), late]);
  done.abort();
  return argv;
}
