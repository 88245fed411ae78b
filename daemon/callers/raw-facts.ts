/**
 * Reads what facts.ts judges, from /proc of the asking process (FC-04): never from the daemon's own environment.
 * Its parents were read when it was attested, and count only for sshd and containers; what cannot be read is absent.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Caller } from '../core/domain.ts';
import { findBrowser } from './browser.ts';
import { readEnvironment } from './environment.ts';
import type { Environment, RawFacts } from './facts.ts';
import { countInteractiveUsers, readDesktop, readLogindSession, sessionIdOf } from './logind.ts';
import type { Loginctl } from './logind.ts';
import { isInOtherNamespace } from './namespaces.ts';
import { parseCgroup } from './cgroup.ts';
import { readText } from './proc.ts';
import { SCHEDULER } from './programs.ts';

const MAX_BYTES = 16_384;
const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv', '/run/systemd/container'];

export async function readRawFacts(caller: Caller, loginctl: Loginctl): Promise<RawFacts> {
  const environment = await readEnvironment(caller.pid);
  const known: Environment = environment ?? new Map();
  const hasDisplay = await isDisplayThere(known, caller.uid);
  const [cgroup, auditSession] = await Promise.all([readText(`/proc/${caller.pid}/cgroup`, MAX_BYTES), readText(`/proc/${caller.pid}/sessionid`, MAX_BYTES)]);
  const desktop = await readDesktop(loginctl, caller.uid);
  const sessionId = sessionIdOf({ unit: parseCgroup(cgroup ?? '').unit, auditSession, named: known.get('XDG_SESSION_ID') ?? null });
  const [marks, osRelease, logind, browser, interactiveUsers] = await Promise.all([
    Promise.all(CONTAINER_MARKS.map(exists)),
    readText('/proc/sys/kernel/osrelease', MAX_BYTES),
    readLogindSession(loginctl, sessionId ?? (hasDisplay ? desktop : null)),
    findBrowser(known),
    countInteractiveUsers(),
  ]);
  return {
    environment,
    hasTerminal: caller.terminal !== null,
    isUnattended: isUnattended(caller),
    isForwarded: caller.origin.forwarded,
    ancestors: caller.origin.lineage.map(({ name }) => name),
    cgroup: cgroup ?? '',
    hasContainerMark: marks.includes(true),
    isInOtherNamespace: isInOtherNamespace(caller.pid),
    osRelease: osRelease ?? '',
    hasDisplay,
    logind,
    hasDesktop: desktop !== null,
    browser,
    interactiveUsers,
  };
}

/** A variable may outlive its server, and DISPLAY=localhost:10 is a server elsewhere (ssh -X). */
async function isDisplayThere(environment: Environment, uid: number): Promise<boolean> {
  const wayland = environment.get('WAYLAND_DISPLAY');
  const runtimeDir = environment.get('XDG_RUNTIME_DIR') ?? `/run/user/${uid}`;
  const x11 = /^(?:unix)?:(\d{1,5})(?:\.\d+)?$/.exec(environment.get('DISPLAY') ?? '')?.[1];
  const sockets = [
    ...(wayland === undefined || wayland === '' ? [] : [wayland.startsWith('/') ? wayland : join(runtimeDir, wayland)]),
    ...(x11 === undefined ? [] : [`/tmp/.X11-unix/X${x11}`]),
  ];
  const found = await Promise.all(sockets.map((path) => stat(path).then((entry) => entry.isSocket(), () => false)));
  return found.includes(true);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(() => true, () => false);
}

/** Of a service or a scheduler, by what the kernel tells. Who is only without a session may be a desktop's that logind does not know. */
function isUnattended({ origin }: Caller): boolean {
  const { unit, lineage } = origin;
  return origin.class === 'workload' && !origin.isOrphan && (unit?.endsWith('.service') === true || lineage.some(({ name }) => SCHEDULER.test(name)));
}
