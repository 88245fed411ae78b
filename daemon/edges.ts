/**
 * The real world: every edge of the daemon for production, made in the order in which one needs the other.
 * Tests make their own.
 */
import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../shared/version.ts';
import { openAudit } from './audit/open-audit.ts';
import { createCallers } from './callers/callers.ts';
import { runLoginctl } from './callers/logind.ts';
import { digestOfScript } from './callers/script-bytes.ts';
import type { Claim, Environment } from './claim.ts';
import { readTextFile, writeConfigFile } from './config/files.ts';
import { createReadHooks } from './config/hooks.ts';
import { adminPolicyFile, readAdminPolicy } from './config/policy/admin-file.ts';
import { createPolicyFiles } from './config/policy/files.ts';
import { openConfigStore } from './config/store.ts';
import { later } from './core/later.ts';
import type { ConfigStore } from './core/ports.ts';
import { cleanText } from './core/text.ts';
import type { Edges } from './daemon.ts';
import { createDesktop, PROGRAM_FOLDERS } from './desktop/desktop.ts';
import { rootsProgram } from './desktop/root-owned.ts';
import { createAssertions } from './federation/assertions.ts';
import { createRunHook } from './hooks/run-hook.ts';
import { createIssuer } from './issuer/issuer.ts';
import { createLog } from './log.ts';
import type { DaemonLog } from './log.ts';
import { readBootId } from './platform/boot-id.ts';
import { createClock } from './platform/clock.ts';
import { collectGarbage } from './platform/collect.ts';
import { isSocketAnswered } from './platform/forwarded-socket.ts';
import { createKeptKey } from './platform/kept-key.ts';
import { createListeners } from './platform/listeners.ts';
import { createLoad } from './platform/load.ts';
import { createLoginSessions, SYSTEM_BUS } from './platform/login-sessions.ts';
import { loadNative } from './platform/native.ts';
import { createNotify } from './platform/notify.ts';
import { peerOf, pinOf } from './platform/peer.ts';
import { ensurePrivateDir } from './platform/private-dir.ts';
import { createRandom } from './platform/random.ts';
import { readRecordedProgram } from './platform/recorded-program.ts';
import { startSuccessor } from './platform/successor.ts';
import { createSupervisor } from './platform/supervisor.ts';
import { ownerOf } from './platform/tcp-owner.ts';
import { createKeychainTrial } from './vault/keychain-trial.ts';
import { createLockoutMark } from './vault/lockout-mark.ts';
import { openVault } from './vault/open-vault.ts';

export type World = {
  readonly edges: Edges;
  readonly log: DaemonLog;
  /** The data key's descriptor, which outlives this world. */
  readonly keptKey: () => number | null;
  /** Lets go of everything but the lock; what a stopped daemon has closed already stays so. */
  readonly close: () => Promise<void>;
};

/** Where the daemon's bus and directories came from, for status: variables that decide whom it talks to. */
const SHOWN_VARIABLES = ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'] as const;

/** Where systems have nice(1); those that are not root's are nobody's to start hooks by. */
const NICE = ['/usr/bin/nice', '/bin/nice', '/run/current-system/sw/bin/nice'] as const;

const OWN_CLI = ['main.js', 'valetkey.cjs'].map((file) => fileURLToPath(new URL(`../client/${file}`, import.meta.url)));

/** A listener for sign-ins, with its pages and node:http. */
const loopbackModule = later(() => import('./loopback/loopback.ts'));

/** What has to be sound before the daemon before this one ends. Throws config_invalid and the like. */
export async function checkWorld({ paths, home, uid }: Claim): Promise<void> {
  await openConfigStore({ file: paths.configFile, home, uid, clock: createClock(), readFile: readTextFile, writeFile: writeConfigFile });
}

/** @param after - what became of an upgrade, where this process takes up its work again or takes over from another */
export async function openWorld({ paths, home, uid, warnings, lock, inherited }: Claim, env: Environment, after: { readonly mustOpen: boolean; readonly failed: string | null }): Promise<World> {
  const clock = createClock();
  const random = createRandom();
  const startedAt = clock.now();
  const starter = env['VALETKEY_STARTED_BY'];
  const native = loadNative();
  const notify = createNotify(inherited.notifySocket, native);
  const stored = await openConfigStore({ file: paths.configFile, home, uid, clock, readFile: readTextFile, writeFile: writeConfigFile });
  const { log: logSettings, vault: { backend } } = stored.current();
  // A daemon that a client started has no standard error that lasts.
  const log = createLog({ ...logSettings, file: logSettings.file ?? (starter === undefined ? null : paths.logFile), stderr: process.stderr });
  const config = followedBy(log, stored);
  const policyFiles = createPolicyFiles({ userFile: paths.policyFile, adminFile: adminPolicyFile(process.platform), uid, readFile: readTextFile, readAdmin: readAdminPolicy });
  const audit = await openAudit({ dir: paths.auditDir, clock, log });
  /** What is open so far, the last first. */
  const open: (() => Promise<void>)[] = [() => audit.close()];
  const close = async (): Promise<void> => {
    for (const end of open.splice(0)) await end().catch((cause: unknown) => log.error('close_failed', {}, cause));
    log.flush();
  };
  const [, script] = process.argv;
  const running = script === undefined ? null : realpathSync(script);
  const keptKey = createKeptKey(inherited.keptKey, notify, native);
  try {
    const vault = await openVault({ stateDir: paths.stateDir, runtimeDir: paths.runtimeDir, bootId: readBootId(), backend, keptKey, clock, random, log });
    open.unshift(async () => {
      if (vault.status().state === 'open') await vault.end();
    });
    const issuer = createIssuer({ clock, random, log });
    open.unshift(() => issuer.close());
    const callers = createCallers({ loginctl: runLoginctl, ownCli: OWN_CLI });
    open.unshift(async () => callers.close());
    lock.write({ v: 1, pid: process.pid, socket: paths.socket, version: BUILD_VERSION, protocol: PROTOCOL_VERSION, started_at: startedAt });
    return {
      log,
      keptKey: () => keptKey.descriptor,
      edges: {
        clock, random, log, uid, config, policyFiles, vault, collectGarbage, audit, load: createLoad(clock), issuer, resources: issuer, assertions: createAssertions({ clock, home, uid }), callers, peerOf, pinOf,
        scriptDigestOf: (caller) => digestOfScript(caller, clock),
        lockout: createLockoutMark({ stateDir: paths.stateDir, clock, random, log }),
        tryKeychain: createKeychainTrial({ clock, random, account: `doctor-${process.pid}` }),
        loginSessions: createLoginSessions({ socket: SYSTEM_BUS, clock, log, uid }),
        isBrokerForwarded: () => isSocketAnswered(paths.forwardedSocket, uid),
        machine: cleanText(hostname(), 64),
        desktop: createDesktop({ uid, clock, peerOf, loginctl: runLoginctl, platform: process.platform, folders: PROGRAM_FOLDERS, trusted: rootsProgram }),
        hooks: {
          read: createReadHooks({ file: paths.hooksFile, uid, readFile: readTextFile }),
          run: createRunHook({ clock, home, runtimeDir: env['XDG_RUNTIME_DIR'] ?? null, nice: await firstOf(NICE) }),
        },
        socket: paths.socket,
        prepareRuntimeDir: () => ensurePrivateDir(paths.runtimeDir, uid),
        supervisor: createSupervisor(inherited, notify),
        listeners: createListeners(native),
        mustOpen: after.mustOpen,
        successors: {
          failed: after.failed,
          get key() {
            return keptKey.descriptor;
          },
          start: async (listener) => {
            const program = readRecordedProgram(paths.serviceFile, uid, running);
            if (program === null) return null;
            return startSuccessor(program, { listener: listener.fd, isHeld: listener.isHeld, lock: lock.descriptor, key: keptKey.descriptor }, inherited, home);
          },
        },
        facts: {
          pid: process.pid, startedAtMs: startedAt, socket: paths.socket, stateDir: paths.stateDir, warnings,
          startedBy: cleanText(starter ?? inherited.by ?? 'a person or a supervisor', 64),
          environment: Object.fromEntries(SHOWN_VARIABLES.map((name) => [name, env[name] ?? null])),
        },
        createLoopback: (onRefused) => ({
          open: async (options) => (await loopbackModule()).createLoopback({ random, log, ownerOf, onRefused }).open(options),
        }),
      },
      close,
    };
  } catch (cause) {
    // Its timers would keep a daemon alive that serves nobody.
    await close();
    throw cause;
  }
}

/** A reload brings the log its level at once; form and place wait for the next start, and the log says so. */
function followedBy(log: DaemonLog, config: ConfigStore): ConfigStore {
  const inForce = config.current().log;
  return {
    ...config,
    async reload() {
      const reloaded = await config.reload();
      const asked = config.current().log;
      log.setLevel(asked.level);
      const waiting = (['format', 'file'] as const).filter((key) => asked[key] !== inForce[key]);
      if (waiting.length > 0) log.warn('log_changes_at_next_start', { keys: waiting });
      return reloaded;
    },
  };
}

/** The first program that only root could have put there. */
async function firstOf(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    // By its own name: of busybox it is a link that says which of its programs is meant.
    if (await rootsProgram(path) !== null) return path;
  }
  return null;
}
