/**
 * The admin's policy file: a path that is compiled in, which no variable moves (FC-09). It counts only if
 * nobody but root can change what stands there: a regular file of root's, not writable by others, and so are
 * all directories above it, without a symbolic link anywhere. Else nothing is allowed at all: a policy that
 * somebody could have swapped says nothing.
 */
import { lstat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BrokerError } from '../../core/errors.ts';
import type { ReadFile, TextFile } from '../files.ts';

/** macOS has /etc behind a symbolic link. Windows has no place yet whose owner can be checked. */
export function adminPolicyFile(platform: string): string | null {
  if (platform === 'win32') return null;
  return platform === 'darwin' ? '/Library/Application Support/valetkey/policy.toml' : '/etc/valetkey/policy.toml';
}

const ROOT = 0;

export type Standing = { readonly path: string; readonly kind: 'file' | 'directory' | 'link' | 'other'; readonly uid: number; readonly mode: number };

/** @param places - the file, and every directory above it. Null: only root can change what stands there. */
export function trustFault(places: readonly Standing[]): { readonly path: string; readonly why: string } | null {
  for (const [i, { path, kind, uid, mode }] of places.entries()) {
    if (kind === 'link') return { path, why: 'is a symbolic link' };
    if (kind !== (i === 0 ? 'file' : 'directory')) return { path, why: i === 0 ? 'is not a regular file' : 'is not a directory' };
    if (uid !== ROOT) return { path, why: `belongs to the user with id ${uid}, not to root` };
    if ((mode & 0o022) !== 0) return { path, why: `can be written by others (mode ${(mode & 0o7777).toString(8)})` };
  }
  return null;
}

const errnoOf = (error: unknown): string => (error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown');

async function look(path: string): Promise<Standing | null> {
  try {
    const stat = await lstat(path);
    return { path, kind: stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : 'other', uid: stat.uid, mode: stat.mode };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw new BrokerError('policy_untrusted', `${path} cannot be looked at (${errnoOf(error)})`, { cause: error });
  }
}

async function above(path: string): Promise<readonly Standing[]> {
  const parent = dirname(path);
  const place = await look(parent);
  return [...(place === null ? [] : [place]), ...(parent === '/' ? [] : await above(parent))];
}

/** Null: there is none. Throws BrokerError policy_untrusted. */
export async function readAdminPolicy(path: string, readFile: ReadFile): Promise<TextFile | null> {
  const file = await look(path);
  if (file === null) {
    // Without its directory nothing was ever put there. With it, whoever can write there can also take the file away.
    if (await look(dirname(path)) === null) return null;
    refuse(trustFault([{ path, kind: 'file', uid: ROOT, mode: 0o644 }, ...await above(path)]));
    return null;
  }
  refuse(trustFault([file, ...await above(path)]));
  let read;
  try {
    read = await readFile(path);
  } catch (error) {
    throw new BrokerError('policy_untrusted', error instanceof BrokerError ? error.message : `${path} cannot be read`, { cause: error });
  }
  // Nobody but root could put another in its place meanwhile; what was opened is looked at all the same.
  if (read === null) throw new BrokerError('policy_untrusted', `${path} vanished while it was read`);
  refuse(trustFault([{ ...file, uid: read.uid, mode: read.mode }]));
  return read;
}

function refuse(fault: ReturnType<typeof trustFault>): void {
  if (fault !== null) throw new BrokerError('policy_untrusted', `${fault.path} ${fault.why}; until that is mended nothing is allowed`);
}
