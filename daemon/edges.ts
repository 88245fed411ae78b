/**
 * The real world: every edge of the daemon for production, made in the order in which one needs the other.
 * Tests make their own.
 */
import { hostname, userInfo } from 'node:os';
import { resolvePaths } from '../shared/paths.ts';
import type { Paths } from '../shared/paths.ts';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../shared/version.ts';
import { openAudit } from './audit/open-audit.ts';
import { createCallers } from './callers/callers.ts';
import { runLoginctl } from './callers/logind.ts';
import { readTextFile, writeConfigFile } from './config/files.ts';
import { openConfigStore } from './config/store.ts';
import { BrokerError } from './core/errors.ts';
import type { Config } from './core/domain.ts';
import { cleanText } from './core/text.ts';
import type { Edges } from './daemon.ts';
import { createIssuer } from './issuer/issuer.ts';
import { createLog } from './log.ts';
import type { DaemonLog } from './log.ts';
import { createLoopback } from './loopback/loopback.ts';
import { createClock } from './platform/clock.ts';
import { hardenProcess, refuseUnsafeEnvironment } from './platform/harden.ts';
import { tryLock } from './platform/lock.ts';
import type { Lock } from './platform/lock.ts';
import { peerOf } from './platform/peer.ts';
import { ensurePrivateDir } from './platform/private-dir.ts';
import { createRandom } from './platform/random.ts';
import { readRootFacts, refuseForeignRoot } from './platform/root.ts';
import { checkSocketPath } from './platform/socket-path.ts';
import { ownerOf } from './platform/tcp-owner.ts';
import { openVault } from './vault/open-vault.ts';

export type World = {
  readonly edges: Edges;
  readonly log: DaemonLog;
  /** The last things to let go of. */
  readonly close: () => Promise<void>;
};

/** Where the daemon's bus and directories came from, for status: variables that decide whom it talks to. */
const SHOWN_VARIABLES = ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Throws BrokerError with the reason why this process may not be the daemon; already_running where another is. */
export async function openWorld(env: Environment, execArgv: readonly string[]): Promise<World> {
  const warnings = [...refuseUnsafeEnvironment(env, execArgv)];
  const { homedir: home, uid } = userInfo();
  const paths = resolvePaths({ platform: process.platform, home, uid, env });
  const asRoot = refuseForeignRoot(readRootFacts(env, env['XDG_RUNTIME_DIR'] ?? home));
  if (asRoot !== null) warnings.push(asRoot);
  hardenProcess();
  checkSocketPath(paths.socket);
  ensurePrivateDir(paths.stateDir, uid);
  ensurePrivateDir(paths.runtimeDir, uid);
  const lock = tryLock(paths.lockFile);
  if (lock === null) throw new BrokerError('already_running', `another valetkeyd of this user holds ${paths.lockFile}`);
  try {
    return await openUnderLock(env, paths, home, uid, warnings, lock);
  } catch (cause) {
    lock.release();
    throw cause;
  }
}

async function openUnderLock(env: Environment, paths: Paths, home: string, uid: number, warnings: readonly string[], lock: Lock): Promise<World> {
  const clock = createClock();
  const random = createRandom();
  const startedAt = clock.now();
  const config = await openConfigStore({ file: paths.configFile, home, uid, clock, readFile: readTextFile, writeFile: writeConfigFile });
  const startedBy = cleanText(env['VALETKEY_STARTED_BY'] ?? 'a person or a supervisor', 64);
  const log = openLog(config.current(), env['VALETKEY_STARTED_BY'] === undefined ? null : paths.logFile);
  const audit = await openAudit({ dir: paths.auditDir, clock, log });
  const vault = await openVault({ stateDir: paths.stateDir, backend: config.current().vault.backend, clock, random, log });
  const issuer = createIssuer({ clock, random, log });
  lock.write({ v: 1, pid: process.pid, socket: paths.socket, version: BUILD_VERSION, protocol: PROTOCOL_VERSION, started_at: startedAt });
  return {
    log,
    edges: {
      clock, random, log, uid, config, vault, audit, issuer,
      machine: cleanText(hostname(), 64),
      socket: paths.socket,
      facts: {
        pid: process.pid, startedAtMs: startedAt, startedBy, socket: paths.socket, stateDir: paths.stateDir, warnings,
        environment: Object.fromEntries(SHOWN_VARIABLES.map((name) => [name, env[name] ?? null])),
      },
      callers: createCallers({ loginctl: runLoginctl }),
      peerOf,
      createLoopback: (onRefused) => createLoopback({ random, log, ownerOf, onRefused }),
    },
    close: async () => {
      await issuer.close();
      lock.release();
      log.flush();
    },
  };
}

/** A daemon that a client started has no standard error that lasts. */
function openLog(config: Config, fallback: string | null): DaemonLog {
  return createLog({ ...config.log, file: config.log.file ?? fallback, stderr: process.stderr });
}
