/**
 * From what was read of a caller and the processes above it to where it comes from. Pure. What is missing
 * loosens nothing: without a login session above it a caller is a workload.
 *
 * How one sees that a process was left behind by its parent, though the kernel does not say so: fork() hands
 * the session down, and only setsid() leaves it, by which the process becomes the leader of a new one. So who
 * leads no session and is in another one than its parent was adopted. A leader whose parent is init or the
 * user's systemd was either started by it, as the program of a service, or left behind.
 */
import type { CallerClass, Origin, Program } from '../core/domain.ts';
import type { Link } from './lineage.ts';
import { CONTAINER_RUNTIME, DESKTOP_SERVICE, GIT_PARTS, HOME, LOGIN_LEADER, OWN_PROGRAMS, REMOTE_LOGIN, SCHEDULER, SSH_PROGRAMS } from './programs.ts';

export type OriginFacts = {
  readonly self: Link;
  /** The nearest first. */
  readonly above: readonly Link[];
  readonly sessionLeader: Origin['sessionLeader'];
  /** Of the daemon: what both are in sets nobody apart. */
  readonly ownContainer: string | null;
  readonly isInOtherNamespace: boolean;
  readonly hasTerminal: boolean;
  readonly ownScripts: readonly string[];
};

/** @returns the origin without its digest, why it has its class, and which process its program is. */
export function judgeOrigin(facts: OriginFacts): { readonly origin: Origin; readonly why: string; readonly program: Link } {
  const { self, above } = facts;
  const { cgroup } = self;
  const chain = [self, ...above];
  const isOrphan = chain.some((link, at) => isLeftBehind(link, chain[at + 1]));
  const agentLink = chain.find((link) => link.agent !== null) ?? null;
  const agent = agentLink?.agent ?? null;
  const program = programIn(facts);
  const names = above.map(({ ancestor }) => ancestor.name);
  const judged = classOf(facts, { agent, isOrphan });
  return {
    why: judged.why,
    program,
    origin: {
      class: judged.class,
      agent,
      agentProcess: agentLink === null ? null : { pid: agentLink.ancestor.pid, startTime: agentLink.ancestor.startTime },
      program: { executable: program.ancestor.executable, script: program.ancestor.script },
      digest: null,
      lineage: above.map(({ ancestor }) => ancestor),
      sessionLeader: facts.sessionLeader,
      isOrphan,
      unit: cgroup.unit,
      container: facts.isInOtherNamespace || (cgroup.container !== null && cgroup.container !== facts.ownContainer) || names.some((name) => CONTAINER_RUNTIME.test(name)),
      remote: names.some((name) => REMOTE_LOGIN.test(name)),
      forwarded: SSH_PROGRAMS.has(nameOf(self)) || SSH_PROGRAMS.has(self.ancestor.name),
    },
  };
}

/** The file's name, which a process cannot change while it runs; the kernel's where that is hidden. */
export function nameOf({ ancestor: { executable, script, name } }: Link): string {
  return fileOf({ executable, script }) ?? name;
}

function fileOf({ executable, script }: Program): string | null {
  const path = script ?? executable;
  return path === null ? null : path.slice(path.lastIndexOf('/') + 1).replace(/ \(deleted\)$/, '');
}

const isInit = (link: Link): boolean => link.ancestor.pid === 1 || nameOf(link) === 'systemd';

function isLeftBehind(link: Link, parent: Link | undefined): boolean {
  // The first that can be seen: of a machine, a container, or below a /proc that hides others.
  if (parent === undefined || isInit(link)) return false;
  const name = nameOf(link);
  if (HOME.test(name) || LOGIN_LEADER.test(name) || LOGIN_LEADER.test(link.ancestor.name)) return false;
  const { stat: { session }, cgroup: { unit, isLoginSession } } = link;
  if (session !== link.ancestor.pid) return parent.stat.session !== session;
  const isOfService = unit !== null && !isLoginSession && unit.endsWith('.service') && (link.isUnitMain || !DESKTOP_SERVICE.test(unit));
  return isInit(parent) && !isOfService;
}

type Judged = { readonly class: CallerClass; readonly why: string };

function classOf(facts: OriginFacts, { agent, isOrphan }: { readonly agent: string | null; readonly isOrphan: boolean }): Judged {
  const { self, above } = facts;
  const { unit, isLoginSession } = self.cgroup;
  if (agent !== null) return { class: 'agent', why: self.agent === null ? `${agent} stands above it` : `it is ${agent}` };
  if (isOrphan) return { class: 'workload', why: 'what started it has ended, so nobody knows where it began' };
  const scheduler = above.find((link) => SCHEDULER.test(nameOf(link)) || SCHEDULER.test(link.ancestor.name));
  if (scheduler !== undefined) return { class: 'workload', why: `${nameOf(scheduler)} stands above it` };
  if (unit !== null && unit.endsWith('.service') && !DESKTOP_SERVICE.test(unit)) return { class: 'workload', why: `it belongs to the service ${unit}` };
  if (isLoginSession && unit !== null) return { class: 'human', why: `it is in the login session ${unit}` };
  const leader = above.find((link) => LOGIN_LEADER.test(link.ancestor.name) && link.ancestor.pid !== 1);
  if (leader !== undefined) return { class: 'human', why: `a login session stands above it (${leader.ancestor.name})` };
  if (facts.hasTerminal && facts.sessionLeader !== null) return { class: 'human', why: 'it has a terminal, whose session leader lives' };
  return { class: 'workload', why: 'no login session stands above it' };
}

/** Up to the first program that people think of; a session's own beginnings are none. */
function programIn({ self, above, ownScripts }: OriginFacts): Link {
  let found = self;
  for (const link of [self, ...above]) {
    const { executable, script, name } = link.ancestor;
    if (link !== self && (isInit(link) || LOGIN_LEADER.test(name) || HOME.test(nameOf(link)))) return found;
    found = link;
    const isOwn = OWN_PROGRAMS.has(nameOf(link)) || (script !== null && ownScripts.includes(script));
    const isPart = isOwn || link.runsCommand || (executable !== null && GIT_PARTS.test(executable));
    if (!isPart) return found;
  }
  return found;
}
