import { userInfo } from 'node:os';
import { resolvePaths } from '../shared/paths.ts';
import type { Paths } from '../shared/paths.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type Owner = { readonly uid: number; readonly home: string };

/** This user as the user database has it: $HOME may be somebody else's under sudo or su. */
export function localOwner(): Owner {
  try {
    const { uid, homedir } = userInfo();
    return { uid, home: homedir };
  } catch (cause) {
    throw ValetkeyError.local('platform_unsupported', 'the user database does not know this user', {
      cause, hint: 'Give the user id of this process an entry in /etc/passwd',
    });
  }
}

export function localPaths(owner: Owner = localOwner(), env: Readonly<Record<string, string | undefined>> = process.env): Paths {
  return resolvePaths({ platform: process.platform, home: owner.home, uid: owner.uid, env });
}
