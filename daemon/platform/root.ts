/**
 * Root is refused where it is somebody else's: under sudo, by setuid, or with the home or runtime directory of
 * another user (PH-07). Where root is the login user itself, as in containers, it works, with a warning.
 */
import { statSync } from 'node:fs';
import { BrokerError } from '../core/errors.ts';

export type RootFacts = {
  readonly uid: number;
  readonly euid: number;
  readonly gid: number;
  readonly egid: number;
  /** SUDO_USER, DOAS_USER or PKEXEC_UID, whichever is set first. */
  readonly behalf: { readonly variable: string; readonly value: string } | null;
  /** Null where there is no such directory. */
  readonly homeOwner: number | null;
  readonly runtimeDirOwner: number | null;
};

/** @returns a warning for status and doctor, or null. Throws BrokerError run_as_root. */
export function refuseForeignRoot(facts: RootFacts): string | null {
  if (facts.uid !== facts.euid || facts.gid !== facts.egid) {
    throw new BrokerError('run_as_root', 'real and effective user or group differ (setuid or setgid)', {
      hint: 'Take the setuid and setgid bits off valetkeyd and node',
    });
  }
  if (facts.euid !== 0) return null;
  if (facts.behalf !== null && facts.behalf.value !== 'root' && facts.behalf.value !== '0') {
    throw new BrokerError('run_as_root', `${facts.behalf.variable} says that this root is another user`);
  }
  if (isForeign(facts.homeOwner)) throw new BrokerError('run_as_root', `HOME belongs to uid ${facts.homeOwner}`);
  if (isForeign(facts.runtimeDirOwner)) {
    throw new BrokerError('run_as_root', `the runtime directory belongs to uid ${facts.runtimeDirOwner}`);
  }
  return 'valetkeyd runs as root: every process of root can ask it for tokens';
}

function isForeign(owner: number | null): boolean {
  return owner !== null && owner !== 0;
}

/** @param runtimeBase - the directory that holds the runtime directory, e.g. XDG_RUNTIME_DIR. */
export function readRootFacts(env: Readonly<Record<string, string | undefined>>, runtimeBase: string): RootFacts {
  const variable = ['SUDO_USER', 'DOAS_USER', 'PKEXEC_UID'].find((name) => env[name] !== undefined);
  const home = env['HOME'];
  return {
    uid: process.getuid?.() ?? -1,
    euid: process.geteuid?.() ?? -1,
    gid: process.getgid?.() ?? -1,
    egid: process.getegid?.() ?? -1,
    behalf: variable === undefined ? null : { variable, value: env[variable] ?? '' },
    homeOwner: home === undefined ? null : ownerOf(home),
    runtimeDirOwner: ownerOf(runtimeBase),
  };
}

function ownerOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.uid ?? null;
}
