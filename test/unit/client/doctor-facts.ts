/** What the doctor would gather on a machine where all is well; a test breaks one thing of it. */
import type { DoctorFacts, Host } from '../../../client/doctor/facts.ts';
import { BUILD_VERSION } from '../../../shared/version.ts';
import type { IssuerTrial } from '../../../shared/diagnosis-schemas.ts';
import type { LoginExplanation } from '../../../shared/explain-schemas.ts';
import { resolvePaths } from '../../../shared/paths.ts';
import { noApprovals, NOW, profile, status } from './fake-world.ts';

export const HOME = '/home/ada';
export const PATHS = resolvePaths({ platform: 'linux', home: HOME, uid: 1000, env: { XDG_RUNTIME_DIR: '/run/user/1000' } });

const own = (mode: number) => ({ uid: 1000, mode, isLink: false });

export const well: IssuerTrial = {
  issuer: 'https://login.example.com', profiles: ['work'], proxy: null, ca_file: null, state: 'well', cause: null, detail: null, skew_s: 1, took_ms: 80,
};

export const flow: LoginExplanation = {
  profile: 'work', issuer: 'https://login.example.com', caller: 'valetkey (pid 7)', outcome: 'pkce_loopback', rule: '6', reason: 'local_gui_ok', waits_s: null,
  failed_probes: [], hint: null, policy_rule: null, input: {}, changes: [],
};

const host: Host = {
  platform: 'linux',
  places: [
    { id: 'runtime_directory', path: PATHS.runtimeDir, mode: 0o700, why: 'w', found: own(0o700) },
    { id: 'socket', path: PATHS.socket, mode: 0o600, why: 'w', found: own(0o600) },
    { id: 'state_directory', path: PATHS.stateDir, mode: 0o700, why: 'w', found: own(0o700) },
    { id: 'config_file', path: PATHS.configFile, mode: 0o644, why: 'w', found: own(0o600) },
  ],
  configChangedAt: NOW - 700, synced: [], units: [], service: [], recordMissing: [], disks: [{ path: PATHS.stateDir, code: null }], hasSystemd: true, daemonPid: 4242, plainText: [], node: 'v20.20.2',
  launcher: { platform: 'linux', calledAs: 'valetkey', built: '/x/valetkey', buildable: true },
  ptraceScope: '1\n', coreLimits: 'Max core file size        0                    0                    bytes     \n', canReadMemory: false,
};

export const healthy: DoctorFacts = {
  now: NOW, uid: 1000, paths: PATHS, advice: [], noProxy: '', verbs: ['doctor'], host,
  daemon: { status: { ...status, version: BUILD_VERSION } },
  profiles: [profile], approvals: { ...noApprovals, channels: { ...noApprovals.channels, pin: 'set' } },
  diagnosis: { node: 'v20.20.2', keychain: { state: 'works', took_ms: 40 }, issuers: [well] },
  flows: [flow],
};
