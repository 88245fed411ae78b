/** From facts to findings. Pure, so that each thing can be broken in turn in a test. */
import { checkApprovals } from './approvals.ts';
import { checkFailure, checkStatus, policyTrouble } from './daemon-state.ts';
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
    ...checkSynced(host.synced),
    ...checkUnits(host.units, verbs.includes('service')),
    checkPlainText(host.plainText, verbs.includes('adopt')),
  ];
  return [
    ...files,
    ...('failure' in daemon ? told(checkFailure(daemon.failure, paths), files) : checkStatus(daemon.status, diagnosis, host.configChangedAt)),
    checkNode(host.node, diagnosis?.node ?? null),
    ...(approvals === null ? [] : checkApprovals(approvals.channels, profiles.some(({ tier }) => tier === 'privileged'))),
    ...(diagnosis?.issuers ?? []).map((trial) => checkIssuer(trial, advice, paths.configFile)),
    ...checkEnvironment(advice, diagnosis?.issuers ?? null, noProxy),
    ...flows.map((flow) => checkFlow(flow, status?.standings?.find(({ profile }) => profile === flow.profile) ?? null, isDecided)),
    checkClock(now, status?.started_at ?? null, diagnosis),
    ...(host.platform === 'linux' ? [checkPtrace(host.ptraceScope)] : []),
    ...(host.platform === 'linux' && status !== null ? [checkMemoryAccess(status.pid, host.canReadMemory, uid), checkCoreLimit(status.pid, host.coreLimits)] : []),
    checkLauncher(host.launcher),
  ];
}

const PLACES: readonly FindingId[] = ['runtime_directory', 'socket', 'state_directory'];

/** What keeps the daemon from starting, or a client from trusting it, may have been found already, with what mends it. */
function told(failed: Finding, found: readonly Finding[]): readonly Finding[] {
  const alike = PLACES.includes(failed.id) ? PLACES : [failed.id];
  return found.some(({ id, level }) => alike.includes(id) && level === 'error') ? [] : [failed];
}
