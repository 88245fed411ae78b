/**
 * Sets the service up and takes it away: every file is checked before the first is written or removed, and each
 * that is touched is named. Doing either twice changes nothing more.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { BUILD_VERSION } from '../../shared/version.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { launchd } from './launchd.ts';
import { demandOwn, removeOwn, stateOf, writeOwn } from './own-file.ts';
import type { FileState } from './own-file.ts';
import { serviceProgram } from './program.ts';
import type { Machine, ServiceProgram } from './program.ts';
import type { ServiceState, Site, Supervisor } from './supervisor.ts';
import { systemd } from './systemd.ts';

export type Installed = { readonly supervisor: Supervisor['name']; readonly written: readonly string[]; readonly node: string; readonly program: string; readonly warnings: readonly string[] };
export type Removed = { readonly supervisor: Supervisor['name']; readonly removed: readonly string[]; readonly managed: boolean };
export type ServiceReport = {
  readonly supervisor: Supervisor['name'];
  readonly installed: boolean;
  readonly files: readonly { readonly path: string; readonly state: FileState }[];
  readonly packaged: string | null;
  /** What it starts, as the files say; null: nothing is installed. */
  readonly node: string | null;
  readonly program: string | null;
  /** Of these, what is not there any more. */
  readonly missing: readonly string[];
  /** Null where the supervisor cannot be asked. */
  readonly state: ServiceState | null;
};

/** For what only names and removes files. */
const NO_PROGRAM: ServiceProgram = { node: '/', flags: [], program: '/', warnings: [] };

/** @throws ValetkeyError `service_unavailable` */
export function supervisorOf(platform: string, site: Site): Supervisor {
  if (platform === 'darwin') return launchd(site);
  if (platform === 'linux') return systemd(site);
  throw ValetkeyError.local('service_unavailable', `there is no service for ${platform} yet`);
}

/** @param giveWay - ends a daemon that somebody started on demand. Nothing is written where it throws. */
export async function install(supervisor: Supervisor, serviceFile: string, stateDir: string, giveWay: () => Promise<void>, machine?: Machine): Promise<Installed> {
  supervisor.demand();
  const own = serviceProgram(machine);
  const program = supervisor.packaged === null ? own : { ...own, ...supervisor.packaged, warnings: [] };
  const files = supervisor.files(program);
  demandOwn(files);
  await giveWay();
  const written = files.filter((file) => writeOwn(file)).map(({ path }) => path);
  if (writeRecord(serviceFile, stateDir, supervisor.name, program)) written.push(serviceFile);
  await supervisor.start(written.length > 0);
  return { supervisor: supervisor.name, written, node: program.node, program: program.program, warnings: program.warnings };
}

/** What a daemon that is replaced by a newer one starts: never a path that a client names. */
function writeRecord(path: string, stateDir: string, supervisor: string, { node, program, flags }: ServiceProgram): boolean {
  const text = `${JSON.stringify({ v: 1, supervisor, node, flags, program, version: BUILD_VERSION })}\n`;
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return false;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const next = `${path}.next`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
  return true;
}

export async function uninstall(supervisor: Supervisor, serviceFile: string): Promise<Removed> {
  const files = supervisor.files(NO_PROGRAM).filter((file) => stateOf(file) !== 'absent');
  demandOwn(files);
  const managed = supervisor.isThere();
  if (files.length > 0) await supervisor.stop();
  const removed = files.toReversed().filter((file) => removeOwn(file, supervisor.base)).map(({ path }) => path);
  if (removed.length > 0) await supervisor.forget();
  if (existsSync(serviceFile)) {
    rmSync(serviceFile);
    removed.push(serviceFile);
  }
  return { supervisor: supervisor.name, removed, managed };
}

export async function report(supervisor: Supervisor, machine?: Machine): Promise<ServiceReport> {
  const files = fileStates(supervisor, machine);
  const installed = files.every(({ state }) => state !== 'absent');
  const starts = supervisor.packaged ?? (installed ? supervisor.startedBy() : null);
  return {
    supervisor: supervisor.name, installed, files, packaged: supervisor.packaged?.file ?? null,
    node: starts?.node ?? null, program: starts?.program ?? null,
    missing: starts === null ? [] : [starts.node, starts.program].filter((path) => !existsSync(path)),
    state: await supervisor.state(),
  };
}

/** Of every file of the service: is it there, and is it what would be written now. */
export function fileStates(supervisor: Supervisor, machine?: Machine): ServiceReport['files'] {
  return supervisor.files(wantedProgram(supervisor, machine)).map((file) => ({ path: file.path, state: stateOf(file) }));
}

/** What would be written now, to tell an older file; where nothing can be, every file of ours counts as older. */
function wantedProgram(supervisor: Supervisor, machine: Machine | undefined): ServiceProgram {
  try {
    return supervisor.packaged === null ? serviceProgram(machine) : NO_PROGRAM;
  } catch (error) {
    if (error instanceof ValetkeyError) return NO_PROGRAM;
    throw error;
  }
}
