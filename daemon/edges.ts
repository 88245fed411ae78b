/**
 * The real world: every edge of the daemon for production, made in the order in which one needs the other.
 * Tests make their own.
 */
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { BUILD_VERSION, PROTOCOL_VERSION } from '../shared/version.ts';
import { openAudit } from './audit/open-audit.ts';
import { createCallers } from './callers/callers.ts';
import { runLoginctl } from './callers/logind.ts';
import type { Claim, Environment } from './claim.ts';
import { readTextFile, writeConfigFile } from './config/files.ts';
import { openConfigStore } from './config/store.ts';
import { cleanText } from './core/text.ts';
import type { Edges } from './daemon.ts';
import { createIssuer } from './issuer/issuer.ts';
import { createLog } from './log.ts';
import type { DaemonLog } from './log.ts';
import { createLoopback } from './loopback/loopback.ts';
import { createClock } from './platform/clock.ts';
import { peerOf } from './platform/peer.ts';
import { createRandom } from './platform/random.ts';
import { ownerOf } from './platform/tcp-owner.ts';
import { openVault } from './vault/open-vault.ts';

export type World = {
  readonly edges: Edges;
  readonly log: DaemonLog;
  /** The last thing to let go of, but for the lock. */
  readonly close: () => Promise<void>;
};

/** Where the daemon's bus and directories came from, for status: variables that decide whom it talks to. */
const SHOWN_VARIABLES = ['XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'XDG_CONFIG_HOME', 'DBUS_SESSION_BUS_ADDRESS'] as const;

export async function openWorld({ paths, home, uid, warnings, lock }: Claim, env: Environment): Promise<World> {
  const clock = createClock();
  const random = createRandom();
  const startedAt = clock.now();
  const starter = env['VALETKEY_STARTED_BY'];
  const config = await openConfigStore({ file: paths.configFile, home, uid, clock, readFile: readTextFile, writeFile: writeConfigFile });
  const { log: logOptions, vault: { backend } } = config.current();
  // A daemon that a client started has no standard error that lasts.
  const log = createLog({ ...logOptions, file: logOptions.file ?? (starter === undefined ? null : paths.logFile), stderr: process.stderr });
  const audit = await openAudit({ dir: paths.auditDir, clock, log });
  const vault = await openVault({ stateDir: paths.stateDir, backend, clock, random, log });
  const issuer = createIssuer({ clock, random, log });
  lock.write({ v: 1, pid: process.pid, socket: paths.socket, version: BUILD_VERSION, protocol: PROTOCOL_VERSION, started_at: startedAt });
  return {
    log,
    edges: {
      clock, random, log, uid, config, vault, audit, issuer, peerOf,
      machine: cleanText(hostname(), 64),
      socket: paths.socket,
      facts: {
        pid: process.pid, startedAtMs: startedAt, socket: paths.socket, stateDir: paths.stateDir, warnings,
        startedBy: cleanText(starter ?? 'a person or a supervisor', 64),
        environment: Object.fromEntries(SHOWN_VARIABLES.map((name) => [name, env[name] ?? null])),
      },
      callers: createCallers({ loginctl: runLoginctl, ownCli: fileURLToPath(new URL('../client/main.js', import.meta.url)) }),
      createLoopback: (onRefused) => createLoopback({ random, log, ownerOf, onRefused }),
    },
    close: async () => {
      await issuer.close();
      log.flush();
    },
  };
}
