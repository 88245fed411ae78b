/**
 * Everything that the doctor looks at, gathered before anything is judged: what the daemon tells, or why it does not,
 * and what this process can see for itself. Each part that cannot be had is null, and takes no other along.
 */
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import type { ApprovalsReply } from '../../shared/approval-schemas.ts';
import type { DiagnosisReply } from '../../shared/diagnosis-schemas.ts';
import type { LoginExplanation } from '../../shared/explain-schemas.ts';
import type { Paths } from '../../shared/paths.ts';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { StatusReply } from '../../shared/schemas.ts';
import type { CommandContext } from '../command.ts';
import { livingDaemon } from '../daemon-process.ts';
import { environmentAdvice } from '../environment-advice.ts';
import type { Advice } from '../environment-advice.ts';
import { fileStates, supervisorOf } from '../service/service.ts';
import type { Site } from '../service/supervisor.ts';
import { count } from '../time-words.ts';
import { unitDirectories } from '../user-unit.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { VERBS } from '../verbs.ts';
import { tryDisk } from './disk.ts';
import type { DiskTrial } from './disk.ts';
import { readProc } from './host.ts';
import { launcherFacts } from './launcher.ts';
import type { LauncherFacts } from './launcher.ts';
import { readPlaces } from './places.ts';
import type { Place } from './places.ts';
import { findPlainText } from './plain-text-files.ts';
import type { PlainText } from './plain-text-files.ts';
import { findSync } from './synced-folders.ts';
import type { Synced } from './synced-folders.ts';
import { missingOfRecord, readUnits } from './unit-files.ts';
import type { ServiceFiles, Unit } from './unit-files.ts';

export type Host = {
  readonly platform: string;
  readonly places: readonly Place[];
  readonly configChangedAt: number | null;
  readonly disks: readonly DiskTrial[];
  readonly synced: readonly Synced[];
  readonly units: readonly Unit[];
  /** Empty where the service is not this user's own. */
  readonly service: ServiceFiles;
  /** What an upgrade would start, of that what is not there. */
  readonly recordMissing: readonly string[];
  readonly plainText: readonly PlainText[];
  readonly node: string;
  readonly launcher: LauncherFacts;
  readonly ptraceScope: string | null;
  /** systemd runs this machine, and timedatectl can set its clock. */
  readonly hasSystemd: boolean;
  /** By its lock alone, whether it answers or not. */
  readonly daemonPid: number | null;
  /** /proc/PID/limits of the daemon. */
  readonly coreLimits: string | null;
  readonly canReadMemory: boolean;
};

export type DoctorFacts = {
  readonly now: number;
  readonly uid: number;
  readonly paths: Paths;
  readonly advice: readonly Advice[];
  readonly noProxy: string;
  readonly verbs: readonly string[];
  readonly host: Host;
  readonly daemon: { readonly status: StatusReply } | { readonly failure: ValetkeyError };
  readonly profiles: readonly ProfileView[];
  readonly approvals: ApprovalsReply | null;
  readonly diagnosis: DiagnosisReply | null;
  readonly flows: readonly LoginExplanation[];
};

export async function gatherFacts(context: CommandContext): Promise<DoctorFacts> {
  const { paths, owner, env, now, terminal, signal } = context;
  let doing = 'Looking for the daemon';
  const started = now();
  const done = terminal.waitFor(() => `${doing}${now() - started > 1 ? `, ${now() - started} s` : ''}`);
  try {
    const daemon = await askStatus(context);
    const told = 'failure' in daemon ? NOTHING_TOLD : await askMore(context, (text) => { doing = text; });
    // One that has just been started opens its vault meanwhile: what it said before is of no use.
    const status = 'failure' in daemon ? null : await orNull(context.daemon.api.status(signal)) ?? daemon.status;
    return {
      now: now(), uid: owner.uid, paths, advice: environmentAdvice(env), noProxy: env['NO_PROXY'] ?? env['no_proxy'] ?? '', verbs: VERBS.map(({ name }) => name),
      host: readHost(context, status?.pid ?? null), daemon: status === null ? daemon : { status }, ...told,
    };
  } finally {
    done();
    signal.throwIfAborted();
  }
}

async function askStatus({ daemon, signal }: CommandContext): Promise<DoctorFacts['daemon']> {
  try {
    return { status: await daemon.api.status(signal) };
  } catch (error) {
    if (!(error instanceof ValetkeyError)) throw error;
    return { failure: error };
  }
}

type Told = Pick<DoctorFacts, 'profiles' | 'approvals' | 'diagnosis' | 'flows'>;
const NOTHING_TOLD: Told = { profiles: [], approvals: null, diagnosis: null, flows: [] };

/** All at the same time: the issuers take seconds where they do not answer. */
async function askMore({ daemon: { api }, signal }: CommandContext, say: (doing: string) => void): Promise<Told> {
  const { profiles } = await orNull(api.profiles(signal)) ?? { profiles: [] };
  say(`Trying the keychain and ${count(new Set(profiles.map(({ issuer }) => issuer)).size, 'issuer')}`);
  const [approvals, diagnosis, flows] = await Promise.all([
    orNull(api.approvals(signal)),
    orNull(api.diagnosis(signal)),
    Promise.all(profiles.map(({ name }) => orNull(api.explainLogin({ profile: name }, signal)))),
  ]);
  return { profiles, approvals, diagnosis, flows: flows.filter((flow) => flow !== null) };
}

/** An older daemon does not know the question; one that went away meanwhile has answered the status before. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ValetkeyError) return null;
    throw error;
  }
}

function readHost({ paths, owner, env }: CommandContext, pid: number | null): Host {
  const { own, shared } = unitDirectories(owner, env);
  const isLinux = process.platform === 'linux';
  const units = isLinux ? readUnits([own, ...shared], owner.home) : [];
  const changedMs = statSync(paths.configFile, { throwIfNoEntry: false })?.mtimeMs;
  return {
    platform: process.platform,
    places: readPlaces(paths),
    configChangedAt: changedMs === undefined ? null : Math.floor(changedMs / 1000),
    disks: [tryDisk(paths.stateDir), tryDisk(paths.runtimeDir)].filter((trial) => trial !== null),
    synced: [findSync('state', paths.stateDir), findSync('config', paths.configDir)].filter((found) => found !== null),
    units,
    // What would be written now takes a start of Node to know.
    service: units.length > 0 ? serviceFiles({ owner, paths, env, run: async () => ({ status: null, stdout: '', stderr: '' }) }) : [],
    recordMissing: missingOfRecord(paths.serviceFile),
    plainText: findPlainText(owner.home),
    node: process.version,
    launcher: launcherFacts(),
    ptraceScope: readProc('/proc/sys/kernel/yama/ptrace_scope'),
    hasSystemd: existsSync('/run/systemd/system'),
    daemonPid: livingDaemon(paths, owner.uid)?.pid ?? null,
    coreLimits: pid === null ? null : readProc(`/proc/${pid}/limits`),
    canReadMemory: pid !== null && isReadable(`/proc/${pid}/environ`),
  };
}

/** Where not one of them is there, nobody wanted a service. */
function serviceFiles(site: Site): ServiceFiles {
  const files = fileStates(supervisorOf('linux', site));
  return files.every(({ state }) => state === 'absent') ? [] : files;
}

/** By opening's own rules, which look at more than the mode (proc(5)). */
function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return readProc(path) !== null;
  } catch {
    return false; // that is what is hoped for
  }
}
