/** Directories, socket and the files of the configuration: whose they are, who else could change them, and whether they can be read. */
import { lstatSync } from 'node:fs';
import type { Paths } from '../../shared/paths.ts';
import { SOCKET_PATH_MAX } from '../../shared/paths.ts';
import { failure, ok, word } from './finding.ts';
import type { Finding, FindingId } from './finding.ts';

type Expected = { readonly id: FindingId; readonly path: string; readonly mode: number; readonly why: string };

export type Place = Expected & { readonly found: { readonly uid: number; readonly mode: number; readonly isLink: boolean } | null };

export function readPlaces(paths: Paths): readonly Place[] {
  const expected: readonly Expected[] = [
    { id: 'runtime_directory', path: paths.runtimeDir, mode: 0o700, why: 'Whoever can write there can put another socket in its place' },
    { id: 'socket', path: paths.socket, mode: 0o600, why: 'Clients send nothing to a socket that others may use' },
    { id: 'state_directory', path: paths.stateDir, mode: 0o700, why: 'The sealed grants and the audit log are there' },
    { id: 'config_file', path: paths.configFile, mode: 0o644, why: 'Whoever can write it chooses the issuers' },
  ];
  const places = expected.map((each) => ({ ...each, found: look(each.path) }));
  // Most people have neither, and nothing is to be said of a file that is not there.
  const more = [
    { id: 'config_file', path: paths.policyFile, mode: 0o644, why: 'Whoever can write it decides who gets tokens' },
    { id: 'config_file', path: paths.hooksFile, mode: 0o644, why: 'Whoever can write it has the daemon run commands' },
  ] as const;
  return [...places, ...more.map((each) => ({ ...each, found: look(each.path) })).filter(({ found }) => found !== null)];
}

/** Null: it is not there. */
function look(path: string): Place['found'] {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats === undefined ? null : { uid: stats.uid, mode: stats.mode & 0o777, isLink: stats.isSymbolicLink() };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** What is behind the link takes its place: sign-ins and the audit log are there. */
export function inPlaceOf(link: string): string {
  return `behind=$(readlink -e ${word(link)}) && rm ${word(link)} && mv "$behind" ${word(link)}`;
}

/** Fewer bits than expected are fine; more are not. */
export function checkPlace({ id, path, mode, why, found }: Place, uid: number): Finding {
  if (found === null) return ok(id, `${path} is not there yet`);
  // Of a configuration that is a link, the file behind it is looked at by the daemon.
  if (found.isLink && id === 'config_file') return ok(id, `${path} is a link`);
  if (found.isLink) return failure(id, `${path} is a symbolic link`, why, id === 'state_directory' ? inPlaceOf(path) : `rm ${word(path)}`);
  if (found.uid !== uid) return failure(id, `${path} belongs to user ${found.uid}`, why, `sudo chown -R ${uid} ${word(path)}`);
  if ((found.mode & ~mode) !== 0) return failure(id, `${path} has mode ${octal(found.mode)}`, why, `chmod ${octal(mode)} ${word(path)}`);
  // The daemon that runs has read it before; the next one does not start.
  if (id === 'config_file' && (found.mode & 0o400) === 0) return failure(id, `${path} cannot be read: its mode is ${octal(found.mode)}`, 'The daemon reads it at its next start, and at each reload', `chmod u+r ${word(path)}`);
  return ok(id, `${path} is private`);
}

export function checkSocketPath(socket: string): Finding {
  const length = Buffer.byteLength(socket);
  return length > SOCKET_PATH_MAX
    ? failure('socket_path', `${socket} has ${length} bytes`, `A socket path holds at most ${SOCKET_PATH_MAX}; longer ones are cut silently`, 'export XDG_RUNTIME_DIR=/run/user/$(id -u)')
    : ok('socket_path', `it has ${length} bytes of ${SOCKET_PATH_MAX}`);
}
