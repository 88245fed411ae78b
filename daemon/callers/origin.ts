/**
 * From what was read of a caller and the processes above it to where it comes from. Pure. What is missing
 * loosens nothing: without a login session above it a caller is a workload.
 *
 * How one sees that a process was left behind by its parent, though the kernel does not say so: fork() hands
 * the session down, and only setsid() leaves it, by which the process becomes the leader of a new one. So who
 * leads no session and is in another one than its parent was adopted. A leader whose parent is init or the
 * user's systemd was either started by it, as the program of a service, or left behind.
 */
import type { CallerClass, Origin } from '../core/domain.ts';
import type { Link } from './lineage.ts';
import { DESKTOP_SERVICE, OWN_PROGRAMS } from './programs.ts';

export type OriginFacts = {
  readonly self: Link;
  /** The nearest first. */
  readonly above: readonly Link[];
  /** False: more processes may stand above it than are named. */
  readonly isWhole: boolean;
  readonly sessionLeader: Origin['sessionLeader'];
  /** Of the daemon: what both are in sets nobody apart. */
  readonly ownContainer: string | null;
  readonly isInOtherNamespace: boolean;
  readonly hasTerminal: boolean;
  readonly ownScripts: readonly string[];
};

/** @returns the origin without its digest, why it has its class, and which process its program is. */
export function judgeOrigin(facts: OriginFacts): { readonly origin: Origin; readonly why: string; readonly program: Link } {
  const { self, above, isWhole } = facts;
  const { cgroup } = self;
  const chain = [self, ...above];
  // What stands above a chain that ends too soon may be anything, an agent as well.
  const isOrphan = !isWhole || chain.some((link, at) => isLeftBehind(link, chain[at + 1]));
  const agentLink = chain.find((link) => link.agent !== null) ?? null;
  const agent = agentLink?.agent ?? null;
  const program = programIn(facts);
  const judged = classOf(facts, { agent, isOrphan });
  return {
    why: judged.why,
    program,
    origin: {
      class: judged.class,
      agent,
      agentProcess: agentLink === null ? null : { pid: agentLink.ancestor.pid, startTime: agentLink.ancestor.startTime },
      program: { executable: program.ancestor.executable, script: program.ancestor.script },
      run: isOwn(self, facts.ownScripts) ? self.run : null,
      digest: null,
      lineage: above.map(({ ancestor }) => ancestor),
      sessionLeader: facts.sessionLeader,
      isOrphan,
      unit: cgroup.unit,
      container: facts.isInOtherNamespace || (cgroup.container !== null && cgroup.container !== facts.ownContainer) || above.some(({ roles }) => roles.isContainerRuntime),
      remote: above.some(({ roles }) => roles.isRemoteLogin),
      forwarded: self.roles.isSsh,
    },
  };
}

function isLeftBehind(link: Link, parent: Link | undefined): boolean {
  // The first that can be seen: of a machine, a container, or below a /proc that hides others.
  const { isInit, isHome, isLoginLeader } = link.roles;
  if (parent === undefined || isInit || isHome || isLoginLeader) return false;
  const { stat: { session }, cgroup: { unit, isLoginSession } } = link;
  if (session !== link.ancestor.pid) return parent.stat.session !== session;
  const isOfService = unit !== null && !isLoginSession && unit.endsWith('.service') && (link.isUnitMain || !DESKTOP_SERVICE.test(unit));
  return parent.roles.isInit && !isOfService;
}

type Judged = { readonly class: CallerClass; readonly why: string };

function classOf(facts: OriginFacts, { agent, isOrphan }: { readonly agent: string | null; readonly isOrphan: boolean }): Judged {
  const { self, above } = facts;
  const { unit, isLoginSession } = self.cgroup;
  if (agent !== null) return { class: 'agent', why: self.agent === null ? `${agent} stands above it` : `it is ${agent}` };
  if (isOrphan) return { class: 'workload', why: facts.isWhole ? 'what started it has ended, so nobody knows where it began' : 'not all that stands above it can be seen, so nobody knows where it began' };
  const scheduler = above.find(({ roles }) => roles.isScheduler);
  if (scheduler !== undefined) return { class: 'workload', why: `${scheduler.name} stands above it` };
  if (unit !== null && unit.endsWith('.service') && !DESKTOP_SERVICE.test(unit)) return { class: 'workload', why: `it belongs to the service ${unit}` };
  if (isLoginSession && unit !== null) return { class: 'human', why: `it is in the login session ${unit}` };
  const leader = above.find(({ roles, ancestor }) => roles.isLoginLeader && ancestor.pid !== 1);
  if (leader !== undefined) return { class: 'human', why: `a login session stands above it (${leader.ancestor.name})` };
  if (facts.hasTerminal && facts.sessionLeader !== null) return { class: 'human', why: 'it has a terminal, whose session leader lives' };
  return { class: 'workload', why: 'no login session stands above it' };
}

/** Up to the first program that people think of; a session's own beginnings are none. */
function programIn({ self, above, ownScripts }: OriginFacts): Link {
  let found = self;
  for (const link of [self, ...above]) {
    const { roles: { isInit, isHome, isLoginLeader, isPart } } = link;
    if (link !== self && (isInit || isHome || isLoginLeader)) return found;
    found = link;
    if (!isPart && !isOwnScript(link, ownScripts)) return found;
  }
  return found;
}

function isOwn(link: Link, ownScripts: readonly string[]): boolean {
  return OWN_PROGRAMS.has(link.name) || isOwnScript(link, ownScripts);
}

function isOwnScript({ ancestor: { script } }: Link, ownScripts: readonly string[]): boolean {
  return script !== null && ownScripts.includes(script);
}
