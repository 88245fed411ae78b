/**
 * The systemd user units, where there are some: whether what they start is still there, and whether they are what this
 * build would write. An upgrade of Node may have moved the one, and a hand the other.
 */
import { accessSync, constants, existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { FileState } from '../service/own-file.ts';
import { failure, ok, warning, word } from './finding.ts';
import type { Finding } from './finding.ts';

export type Unit = {
  readonly file: string;
  /** Absolute paths of its ExecStart that are not there, or cannot be run. */
  readonly missing: readonly string[];
  /** A service that starts nothing. */
  readonly isEmpty: boolean;
  /** A link to /dev/null, as systemctl mask makes it. */
  readonly isMasked: boolean;
  /** Where the person's own settings beside the unit say what is started. */
  readonly isDropIn: boolean;
};

/** Every file of the service of this user, as `valetkey service` sees it. */
export type ServiceFiles = readonly { readonly path: string; readonly state: FileState }[];

/** The first of each name that is there, as systemd takes it. */
export function readUnits(directories: readonly string[], home: string): readonly Unit[] {
  return ['valetkeyd.service', 'valetkeyd.socket'].flatMap((name) => {
    const file = directories.map((directory) => join(directory, name)).find((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
    return file === undefined ? [] : [readUnit(file, dropIns(directories, name), home)];
  });
}

/** systemctl --user edit: later names win. */
function dropIns(directories: readonly string[], name: string): readonly string[] {
  return directories.map((directory) => join(directory, `${name}.d`)).filter((path) => existsSync(path))
    .flatMap((directory) => readdirSync(directory).filter((file) => file.endsWith('.conf')).map((file) => join(directory, file)))
    .toSorted((a, b) => (basename(a) < basename(b) ? -1 : 1));
}

function readUnit(file: string, beside: readonly string[], home: string): Unit {
  const whole = { file, missing: [], isEmpty: false, isMasked: false, isDropIn: false };
  if (lstatSync(file).isSymbolicLink() && readlinkSync(file) === '/dev/null') return { ...whole, isMasked: true };
  let texts: readonly string[];
  try {
    texts = [file, ...beside].map((path) => readFileSync(path, 'utf8'));
  } catch {
    return { ...whole, missing: [file] };
  }
  const [command, last] = commandIn(texts);
  // The prefixes of an executable; quotes and %h are all that our own units have of the rest.
  const words = (command.replace(/^[-@:+!]+/, '').match(/"[^"]*"|\S+/g) ?? []).map((each) => each.replaceAll('"', '').replaceAll('%h', home));
  const paths = words.filter((each) => each.startsWith('/'));
  return { ...whole, missing: paths.filter((path, at) => !isThere(path, at === 0)), isEmpty: file.endsWith('.service') && paths.length === 0, isDropIn: last > 0 };
}

/** The last ExecStart, and in which of the texts it stands. */
function commandIn(texts: readonly string[]): readonly [string, number] {
  // A backslash at the end of a line goes on with the next (systemd.syntax(7)).
  const all = texts.flatMap((text, at) => text.replaceAll(/\\\n/g, ' ').split('\n').filter((line) => /^ExecStart\s*=/.test(line)).map((line) => [line.replace(/^ExecStart\s*=\s*/, '').trim(), at] as const));
  return all.at(-1) ?? ['', 0];
}

function isThere(path: string, mustRun: boolean): boolean {
  try {
    accessSync(path, mustRun ? constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Of what `valetkey service install` recorded, what is not there. A record that cannot be read is the daemon's to tell. */
export function missingOfRecord(file: string): readonly string[] {
  try {
    const record: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof record !== 'object' || record === null) return [];
    const [node, program] = ['node' in record ? record.node : null, 'program' in record ? record.program : null];
    return [node, program].flatMap((path) => (typeof path === 'string' && !isThere(path, path === node) ? [path] : []));
  } catch {
    return []; // there is none, or it is not this user's
  }
}

const WHY = 'Systemd cannot start the daemon';
const INSTALL = 'valetkey service install';

/** What makes the unit whole again: an installation leaves alone what is not its own, so that has to go out of the way. */
function mend({ file, isDropIn }: Unit, state: FileState | null): string {
  if (isDropIn) return `systemctl --user edit ${word(basename(file))}`;
  if (state === 'edited' || state === 'foreign') return aside(file);
  if (state === null && /^\/(?:usr\/)?lib\//.test(file)) return 'sudo apt-get install --reinstall valetkey';
  return INSTALL;
}

/** systemd does not read a file of this name, and nothing of the person's is lost. */
function aside(file: string): string {
  return `mv ${word(file)} ${word(`${file}.mine`)} && ${INSTALL}`;
}

/** @param service - empty where nothing of the service is this user's own */
export function checkUnits(units: readonly Unit[], service: ServiceFiles, record: { readonly file: string; readonly missing: readonly string[] }): readonly Finding[] {
  const found = checkFiles(units, service);
  // The same program stands in both, and one command mends both.
  if (record.missing.length === 0 || found.some(({ level }) => level === 'error')) return found;
  return [...found, warning('unit_file', `${record.file} names ${record.missing.join(' and ')}, which is not there`, 'valetkey daemon upgrade has nothing to start', INSTALL)];
}

function checkFiles(units: readonly Unit[], service: ServiceFiles): readonly Finding[] {
  const [first] = units;
  if (first === undefined) return [ok('unit_file', 'no unit of systemd is installed: clients start the daemon')];
  const stateOf = (path: string): FileState | null => service.find((each) => each.path === path)?.state ?? null;
  const broken = units.flatMap((unit) => {
    const { file, missing, isEmpty, isMasked } = unit;
    if (isMasked) return [failure('unit_file', `${file} is masked`, WHY, `systemctl --user unmask ${word(basename(file))}`)];
    if (missing.length > 0) return [failure('unit_file', `${file} names ${missing.join(' and ')}, which is not there`, WHY, mend(unit, stateOf(file)))];
    return isEmpty ? [failure('unit_file', `${file} starts nothing`, WHY, mend(unit, stateOf(file)))] : [];
  });
  if (broken.length > 0) return broken;
  const stale = service.flatMap(({ path, state }) => checkState(path, state));
  return stale.length > 0 ? stale : [ok('unit_file', `${first.file}: what it starts is there`)];
}

/** Of what works as it is. A file that was never ours is the person's affair. */
function checkState(path: string, state: FileState): readonly Finding[] {
  switch (state) {
    case 'absent': return [warning('unit_file', `${path} is missing`, 'The service is installed in part: its socket is not there at the next login', INSTALL)];
    case 'older': return [warning('unit_file', `${path} is of an earlier installation`, 'What this build would start, and the sandbox that it brings, are not in force', INSTALL)];
    case 'edited': return [warning('unit_file', `${path} was changed by hand`, 'No installation brings it up to date, and none takes it away', aside(path), `Settings of your own belong beside it: systemctl --user edit ${basename(path)}`)];
    case 'ours': case 'foreign': return [];
  }
}
