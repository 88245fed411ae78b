/** Directories, socket and configuration file: whose they are, and who else could change them. */
import { lstatSync, realpathSync } from 'node:fs';
import type { Paths } from '../../shared/paths.ts';
import { SOCKET_PATH_MAX } from '../../shared/paths.ts';
import { failure, ok, warning } from './finding.ts';
import type { Finding } from './finding.ts';

type Expected = { readonly check: string; readonly path: string; readonly mode: number; readonly why: string };

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

/** Fewer bits than expected are fine; more are not. */
function lookAt({ check, path, mode, why }: Expected, uid: number): Finding {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return ok(check, `${path} is not there yet`);
  if (stats.isSymbolicLink()) return failure(check, `${path} is a symbolic link`, why, `rm ${path}`);
  if (stats.uid !== uid) return failure(check, `${path} belongs to user ${stats.uid}`, why, `ls -ld ${path}`);
  if ((stats.mode & 0o777 & ~mode) !== 0) return failure(check, `${path} has mode ${octal(stats.mode)}`, why, `chmod ${octal(mode)} ${path}`);
  return ok(check, `${path} is private`);
}

const SYNCED = /\/(?:Dropbox|OneDrive[^/]*|iCloud Drive|Library\/Mobile Documents|Library\/CloudStorage|Google ?Drive|Nextcloud|ownCloud|Syncthing|Sync)(?:\/|$)/i;

/** A copy of the sealed grants on another machine is an old generation there: used, it signs the user out here. */
export function checkSynced(directory: string): Finding {
  const real = lstatSync(directory, { throwIfNoEntry: false }) === undefined ? directory : realpathSync(directory);
  return SYNCED.test(real)
    ? warning('synced_folder', `${real} is in a folder that is copied to other machines`, 'Sealed grants must not travel, and an old copy that comes back loses a sign-in', 'export XDG_STATE_HOME=$HOME/.local/state')
    : ok('synced_folder', 'the state is not in a synced folder');
}

export function checkPaths(paths: Paths, uid: number): readonly Finding[] {
  const length = Buffer.byteLength(paths.socket);
  return [
    lookAt({ check: 'runtime_directory', path: paths.runtimeDir, mode: 0o700, why: 'Whoever can write there can put another socket in place' }, uid),
    lookAt({ check: 'socket', path: paths.socket, mode: 0o600, why: 'Clients send nothing to a socket that others may use' }, uid),
    lookAt({ check: 'state_directory', path: paths.stateDir, mode: 0o700, why: 'The sealed grants and the audit log are there' }, uid),
    lookAt({ check: 'config_file', path: paths.configFile, mode: 0o644, why: 'Whoever can write it chooses the issuers' }, uid),
    length > SOCKET_PATH_MAX
      ? failure('socket_path', `${paths.socket} has ${length} bytes`, `A socket path holds at most ${SOCKET_PATH_MAX}; longer ones are cut silently`, 'export XDG_RUNTIME_DIR=/run/user/$(id -u)')
      : ok('socket_path', `the socket path has ${length} bytes`),
    checkSynced(paths.stateDir),
  ];
}
