/** The systemd user units, where there are some: whether what they start is still there. An upgrade of Node may have moved it. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failure, ok, word } from './finding.ts';
import type { Finding } from './finding.ts';

export type Unit = {
  readonly file: string;
  /** Absolute paths of its ExecStart that are not there, or cannot be run. */
  readonly missing: readonly string[];
  /** A service that starts nothing. */
  readonly isEmpty: boolean;
};

/** The first of each name that is there, as systemd takes it. */
export function readUnits(directories: readonly string[], home: string): readonly Unit[] {
  return ['valetkeyd.service', 'valetkeyd.socket'].flatMap((name) => {
    const file = directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
    return file === undefined ? [] : [readUnit(file, home)];
  });
}

function readUnit(file: string, home: string): Unit {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return { file, missing: [file], isEmpty: false };
  }
  // A backslash at the end of a line goes on with the next (systemd.syntax(7)).
  const lines = text.replaceAll(/\\\n/g, ' ').split('\n');
  const command = lines.filter((line) => /^ExecStart\s*=/.test(line)).at(-1)?.replace(/^ExecStart\s*=\s*/, '').trim() ?? '';
  // The prefixes of an executable; quotes and %h are all that our own units have of the rest.
  const words = (command.replace(/^[-@:+!]+/, '').match(/"[^"]*"|\S+/g) ?? []).map((each) => each.replaceAll('"', '').replaceAll('%h', home));
  const paths = words.filter((each) => each.startsWith('/'));
  return { file, missing: paths.filter((path, at) => !isThere(path, at === 0)), isEmpty: file.endsWith('.service') && paths.length === 0 };
}

function isThere(path: string, mustRun: boolean): boolean {
  try {
    accessSync(path, mustRun ? constants.X_OK : constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param canInstall - this build has a verb that writes them anew */
export function checkUnits(units: readonly Unit[], canInstall: boolean): readonly Finding[] {
  const [first] = units;
  if (first === undefined) return [ok('unit_file', 'no unit of systemd is installed: clients start the daemon')];
  const command = (file: string): string => (canInstall ? 'valetkey service install' : `systemctl --user edit --full ${word(file.split('/').at(-1) ?? '')}`);
  const why = 'Systemd cannot start the daemon';
  const broken = units.filter(({ missing, isEmpty }) => missing.length > 0 || isEmpty);
  if (broken.length === 0) return [ok('unit_file', `${first.file}: what it starts is there`)];
  return broken.map(({ file, missing }) => failure('unit_file', missing.length === 0 ? `${file} starts nothing` : `${file} names ${missing.join(' and ')}, which is not there`, why, command(file)));
}
