/**
 * One `[profiles.NAME]` table with the files that it names: a Profile, or the fault in it. Throws BrokerError
 * config_untrusted where somebody else could change a file that decides whom the daemon trusts.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { parseProfileName } from '../../shared/names.ts';
import { profileTable } from '../../shared/profile-schemas.ts';
import type { Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { certificatesOf, pemOf } from './certificates.ts';
import { isFault } from './fault.ts';
import type { Fault } from './fault.ts';
import type { ReadFile, TextFile } from './files.ts';
import { makeProfile } from './profile.ts';
import { shapeFault } from './shape.ts';

export type ProfileDeps = {
  /** Who must own the files. Null where the platform has no user ids. */
  readonly uid: number | null;
  /** What `~/` stands for. */
  readonly home: string;
  readonly readFile: ReadFile;
};

/** A fault's path begins at the top of the file. */
export async function readProfile(deps: ProfileDeps, written: string, table: unknown): Promise<Profile | Fault> {
  const path = ['profiles', written];
  const name = parseProfileName(written);
  if (name === null) return { path, problem: 'is not a profile name: a-z, 0-9, dot, dash and underscore, a letter or digit first, 64 at most' };
  const shape = shapeFault(profileTable, table, path);
  if (shape !== null) return shape;
  const parsed = v.parse(profileTable, table);
  if (parsed.ca_file === undefined) return below(path, makeProfile(name, parsed, null));
  const caFile = resolvePath(parsed.ca_file, deps.home, [...path, 'ca_file']);
  if (typeof caFile !== 'string') return caFile;
  const caPem = await readAuthorities(deps, caFile, [...path, 'ca_file']);
  return typeof caPem === 'string' ? below(path, makeProfile(name, { ...parsed, ca_file: caFile }, caPem)) : caPem;
}

const below = (path: readonly string[], made: Profile | Fault): Profile | Fault => (isFault(made) ? { ...made, path: [...path, ...made.path] } : made);

/** Throws config_untrusted. */
export async function readAuthorities(deps: ProfileDeps, file: string, path: readonly string[]): Promise<string | Fault> {
  const read = await deps.readFile(file);
  if (read === null) return { path, problem: `names ${file}, which does not exist` };
  // Whoever can change this file can stand between the daemon and the issuer. Root may: it keeps /etc.
  refuseForeign(file, read, deps.uid === null ? null : [deps.uid, 0]);
  const certificates = certificatesOf(read.text);
  return certificates === null ? { path, problem: `names ${file}, which is not a PEM file of readable certificates` } : pemOf(certificates);
}

/** Absolute, or below the home directory: a relative path would depend on who started the daemon. */
export function resolvePath(text: string, home: string, path: readonly string[]): string | Fault {
  if (text.includes('\0')) return { path, problem: 'must not hold a NUL' };
  if (text.startsWith('~/')) return join(home, text.slice(2));
  return text.startsWith('/') || /^[A-Za-z]:[\\/]/.test(text) ? text : { path, problem: 'must be an absolute path, or begin with ~/' };
}

/** @param owners - null: the platform has none. */
export function refuseForeign(file: string, { uid, mode }: Pick<TextFile, 'uid' | 'mode'>, owners: readonly number[] | null, code: 'config_untrusted' | 'policy_untrusted' = 'config_untrusted'): void {
  if (owners === null) return;
  if (!owners.includes(uid)) {
    throw new BrokerError(code, `${file} belongs to the user with id ${uid}`, { hint: `See who owns it: ls -l ${file}` });
  }
  if ((mode & 0o022) !== 0) {
    throw new BrokerError(code, `${file} can be written by others (mode ${(mode & 0o777).toString(8)})`, { hint: `Run: chmod go-w ${file}` });
  }
}
