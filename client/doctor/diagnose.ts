/** From facts to findings. Pure, so that each thing can be broken in turn in a test. */
import { checkApprovals } from './approvals.ts';
import type { Paths } from '../../shared/paths.ts';
import { checkFailure, checkStatus, policyTrouble } from './daemon-state.ts';
import { checkDisk } from './disk.ts';
import type { DoctorFacts } from './facts.ts';
import type { Finding, FindingId } from './finding.ts';
import { checkClock, checkCoreLimit, checkMemoryAccess, checkNode, checkPtrace } from './host.ts';
import { checkEnvironment, checkFlow, checkIssuer } from './issuers.ts';
import { checkLauncher } from './launcher.ts';
import { checkPlace, checkSocketPath } from './places.ts';
import { checkPlainText } from './plain-text-files.ts';
import { checkSynced } from './synced-folders.ts';
import { checkUnits } from './unit-files.ts';

export function diagnose(facts: DoctorFacts): readonly Finding[] {
  const { host, uid, paths, verbs, daemon, diagnosis, profiles, approvals, advice, noProxy, flows, now } = facts;
  const status = 'status' in daemon ? daemon.status : null;
  // Under a policy that cannot be read every sign-in is refused: that is found once, by its cause.
  const isDecided = status === null || policyTrouble(status) === null;
  const files = [
    ...host.places.map((place) => checkPlace(place, uid)),
    checkSocketPath(paths.socket),
    ...host.disks.map(checkDisk),
    ...checkSynced(host.synced),
    ...checkUnits(host.units, host.service, { file: paths.serviceFile, missing: host.recordMissing }),
    checkPlainText(host.plainText, verbs.includes('adopt')),
  ];
  return [
    ...files,
    ...('failure' in daemon ? untold([checkFailure(daemon.failure, paths, host.daemonPid)], files, paths) : untold(checkStatus(daemon.status, diagnosis, host, paths.hooksFile), files, paths)),
    checkNode(host.node, diagnosis?.node ?? null),
    ...(approvals === null ? [] : checkApprovals(approvals.channels, profiles.some(({ tier }) => tier === 'privileged'))),
    ...(diagnosis?.issuers ?? []).map((trial) => checkIssuer(trial, advice, paths.configFile)),
    ...checkEnvironment(advice, diagnosis?.issuers ?? null, noProxy),
    ...flows.map((flow) => checkFlow(flow, status?.standings?.find(({ profile }) => profile === flow.profile) ?? null, isDecided)),
    checkClock(now, status?.started_at ?? null, diagnosis, host),
    ...(host.platform === 'linux' ? [checkPtrace(host.ptraceScope)] : []),
    ...(host.platform === 'linux' && status !== null ? [checkMemoryAccess(status.pid, host.canReadMemory, uid), checkCoreLimit(status.pid, host.coreLimits)] : []),
    checkLauncher(host.launcher),
  ];
}

const PLACES: readonly FindingId[] = ['runtime_directory', 'socket', 'state_directory', 'disk'];

/** What keeps the daemon from starting, or a client from trusting it, may have been found already, with what mends it. */
function untold(all: readonly Finding[], found: readonly Finding[], { configFile }: Paths): readonly Finding[] {
  const errors = found.filter(({ level }) => level === 'error');
  // Of a file that cannot be read, or may not be, the daemon can say no more.
  const isUnread = errors.some(({ id, what }) => id === 'config_file' && what.startsWith(`${configFile} `));
  return all.filter(({ id, level }) => {
    const alike: readonly FindingId[] = PLACES.includes(id) ? PLACES : id === 'config' && isUnread ? ['config_file'] : [id];
    return level === 'ok' || !errors.some((error) => alike.includes(error.id));
  });
}
