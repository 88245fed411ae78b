/**
 * The first steps of a start, before anything else is loaded: may this process be the daemon at all, and is
 * it the one? Of fifty that are started at once, forty-nine leave here, cheaply.
 */
import { userInfo } from 'node:os';
import { resolvePaths } from '../shared/paths.ts';
import type { Paths } from '../shared/paths.ts';
import { BrokerError } from './core/errors.ts';
import { hardenProcess, refuseUnsafeEnvironment } from './platform/harden.ts';
import { takeInherited } from './platform/inherited.ts';
import type { Inherited } from './platform/inherited.ts';
import { tryLock } from './platform/lock.ts';
import type { Lock } from './platform/lock.ts';
import { boundYoungGeneration, shareArenas } from './platform/memory.ts';
import { loadNative } from './platform/native.ts';
import { takeHandOver } from './platform/predecessor.ts';
import type { Predecessor } from './platform/predecessor.ts';
import { ensurePrivateDir } from './platform/private-dir.ts';
import { readRootFacts, refuseForeignRoot } from './platform/root.ts';
import { checkSocketPath } from './platform/socket-path.ts';
import { takeOver } from './platform/take-over.ts';

/** What the supervisor said in it is taken out. */
export type Environment = Record<string, string | undefined>;

/** The right to be the daemon of this user. */
export type Claim = {
  readonly paths: Paths;
  readonly home: string;
  readonly uid: number;
  readonly warnings: readonly string[];
  readonly lock: Lock;
  readonly inherited: Inherited;
  /** The daemon that this one takes over from; null: there is none. */
  readonly predecessor: Predecessor | null;
};

/**
 * Rejects with the reason why this process may not be the daemon; already_running where another is.
 * @param takesOver - the word of the daemon that started this one in its own place; null: none did
 */
export async function claimDaemon(env: Environment, execArgv: readonly string[], takesOver: string | null): Promise<Claim> {
  const warnings = [...refuseUnsafeEnvironment(env, execArgv)];
  const { homedir: home, uid } = userInfo();
  const paths = resolvePaths({ platform: process.platform, home, uid, env });
  const asRoot = refuseForeignRoot(readRootFacts(env, env['XDG_RUNTIME_DIR'] ?? home));
  if (asRoot !== null) warnings.push(asRoot);
  hardenProcess();
  const native = loadNative();
  shareArenas(native);
  boundYoungGeneration();
  checkSocketPath(paths.socket);
  ensurePrivateDir(paths.stateDir, uid);
  ensurePrivateDir(paths.runtimeDir, uid);
  const inherited = takeInherited(env, { socket: paths.socket, uid }, native);
  if (takesOver !== null) {
    const handed = takeHandOver(takesOver, { socket: paths.socket, uid, lockFile: paths.lockFile }, inherited, native);
    return { paths, home, uid, warnings, ...handed };
  }
  // Clients connect to the socket that the supervisor holds, so whoever was started without it cannot be reached there.
  const lock = tryLock(paths.lockFile) ?? (inherited.listener === null ? null : await takeOver(paths.lockFile));
  if (lock === null) throw new BrokerError('already_running', `another valetkeyd of this user holds ${paths.lockFile}`);
  return { paths, home, uid, warnings, lock, inherited, predecessor: null };
}
