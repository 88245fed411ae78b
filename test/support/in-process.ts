/**
 * The whole daemon in this process, on a real socket, with real adapters but for the facts about the
 * caller's login session: a test runner has no desktop and no terminal, so a test says what it has.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAudit } from '../../daemon/audit/open-audit.ts';
import { createCallers } from '../../daemon/callers/callers.ts';
import { digestOfScript } from '../../daemon/callers/script-bytes.ts';
import { readTextFile, writeConfigFile } from '../../daemon/config/files.ts';
import { createPolicyFiles } from '../../daemon/config/policy/files.ts';
import { openConfigStore } from '../../daemon/config/store.ts';
import type { Caller, SessionFacts } from '../../daemon/core/domain.ts';
import type { Callers, Clock } from '../../daemon/core/ports.ts';
import type { EpochMs } from '../../shared/names.ts';
import { startDaemon } from '../../daemon/daemon.ts';
import type { Daemon, Edges } from '../../daemon/daemon.ts';
import { createAssertions } from '../../daemon/federation/assertions.ts';
import { createIssuer } from '../../daemon/issuer/issuer.ts';
import { createLoopback } from '../../daemon/loopback/loopback.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { peerOf, pinOf } from '../../daemon/platform/peer.ts';
import { ensurePrivateDir } from '../../daemon/platform/private-dir.ts';
import { createRandom } from '../../daemon/platform/random.ts';
import { createSupervisor } from '../../daemon/platform/supervisor.ts';
import { ownerOf } from '../../daemon/platform/tcp-owner.ts';
import { createLockoutMark } from '../../daemon/vault/lockout-mark.ts';
import { openVault } from '../../daemon/vault/open-vault.ts';
import { followLogin } from '../../demo/browser.ts';
import type { BrowseOptions, Visit } from '../../demo/browser.ts';
import { callApi } from './api.ts';
import type { ApiReply } from './api.ts';
import { someDesktop, someFacts } from './builders.ts';
import { FakeAudit, LogSink } from './fakes.ts';

export type InProcess = {
  readonly daemon: Daemon;
  readonly socket: string;
  readonly stateDir: string;
  readonly runtimeDir: string;
  readonly configFile: string;
  readonly log: LogSink;
  readonly audit: FakeAudit;
  /** What the test says of the caller's login session; may be changed at any time. */
  facts: SessionFacts;
  /** How far the daemon's clock is ahead of the real one. */
  skipMs: number;
  /** By how much somebody set its time of day. */
  setMs: number;
  /** Another one, and an empty runtime directory, are a reboot. */
  bootId: string;
  /** Changes what attest() says of this process, e.g. its terminal. */
  caller: Parameters<typeof Object.assign>[1];
  /** The processes that the test speaks of need not exist. */
  isPlay: boolean;
  api(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<ApiReply>;
  /** Starts a login, lets the scripted browser finish it, and returns the login's end. */
  signIn(profile: string, login: string, ask?: Record<string, unknown>): Promise<{ end: ApiReply; visit: Visit }>;
  config(toml: string): Promise<void>;
  /** Writes a policy file; the admin's needs no root here, its owner is tested with the real one. */
  policy(source: 'admin' | 'user', toml: string): Promise<void>;
  /** Ends the daemon and starts another on the same state. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

export type InProcessOptions = {
  readonly config: string;
  readonly backend?: 'memory' | 'passphrase' | 'keychain';
  readonly edges?: Partial<Edges>;
  readonly issuerTimeoutMs?: number;
  /** The audit log is a file under stateDir, and `audit` stays empty. */
  readonly keepsAudit?: boolean;
};

export async function startInProcess(options: InProcessOptions): Promise<InProcess> {
  const root = await mkdtemp(join(tmpdir(), 'vk-'));
  const stateDir = join(root, 'state');
  const configFile = join(root, 'config.toml');
  const uid = process.getuid?.() ?? 0;
  ensurePrivateDir(stateDir, uid);
  ensurePrivateDir(join(root, 'run'), uid);
  const log = new LogSink();
  const self: InProcess = {
    daemon: undefined as never, socket: join(root, 'run', 'socket'), stateDir, runtimeDir: join(root, 'run'), configFile, log, audit: new FakeAudit(), facts: someFacts(), skipMs: 0, setMs: 0, bootId: 'boot-1', caller: {}, isPlay: false,
    api: (method, path, body, headers) => callApi(self.socket, method, path, body, headers),
    async signIn(profile, login, ask = {}) {
      const started = await self.api('POST', '/v1/logins', { profile, ...ask });
      if (started.status !== 200) throw new Error(`login did not start: ${started.text}`);
      const visit = await followLogin(started.body.start_url, { login } satisfies BrowseOptions);
      return { end: await self.api('GET', `/v1/logins/${started.body.id}?wait_s=10`), visit };
    },
    config: (toml) => writeFile(configFile, toml, { mode: 0o600 }),
    policy: (source, toml) => writeFile(join(root, `${source}-policy.toml`), toml, { mode: 0o600 }),
    async restart() {
      await self.daemon.stop('restart');
      forgetCallers();
      Object.assign(self, { daemon: await launch() });
    },
    async stop() {
      await self.daemon.stop('the test is over');
      forgetCallers();
      await rm(root, { recursive: true, force: true });
    },
  };
  let forgetCallers = (): void => undefined;
  await self.config(options.config);

  async function launch(): Promise<Daemon> {
    const real = createClock();
    const clock: Clock = { ...real, bootId: self.bootId, now: () => (real.now() + self.skipMs + self.setMs) as EpochMs, boottimeMs: () => real.boottimeMs() + self.skipMs, sleep: (ms, signal) => real.sleep(ms, signal) };
    const random = createRandom();
    const kernel = createCallers({ loginctl: async () => null, ownCli: [] });
    // In a process of its own its descriptors would end with it.
    forgetCallers = () => kernel.close();
    const callers: Callers = {
      ...kernel,
      attest: async (peer, pin) => {
        const caller = await kernel.attest(peer, pin);
        return caller === null ? null : { ...asPerson(caller), ...self.caller };
      },
      stillSame: (caller) => self.isPlay || kernel.stillSame(caller),
      isRunning: (process) => self.isPlay || kernel.isRunning(process),
      session: async () => self.facts,
    };
    const config = await openConfigStore({ file: configFile, home: root, uid, clock, readFile: readTextFile, writeFile: writeConfigFile });
    const issuer = createIssuer({ clock, random, log }, options.issuerTimeoutMs === undefined ? undefined : { timeoutMs: options.issuerTimeoutMs, patienceMs: options.issuerTimeoutMs });
    return startDaemon({
      clock, random, log, uid, machine: 'test-machine', socket: self.socket, prepareRuntimeDir: () => ensurePrivateDir(join(root, 'run'), uid), supervisor: createSupervisor({ listener: null, holdsListener: false, watchdogMs: null }, () => false), config, callers, desktop: someDesktop(), hooks: { read: async () => [], run: async () => null }, peerOf, pinOf, issuer, resources: issuer, scriptDigestOf: (caller) => digestOfScript(caller, clock), assertions: createAssertions({ clock, home: root, uid }), isBrokerForwarded: async () => false,
      policyFiles: createPolicyFiles({ userFile: join(root, 'user-policy.toml'), adminFile: join(root, 'admin-policy.toml'), uid, readFile: readTextFile, readAdmin: (path, read) => read(path) }),
      vault: await openVault({ stateDir, runtimeDir: join(root, 'run'), bootId: self.bootId, backend: options.backend ?? 'memory', keptKey: null, clock, random, log }),
      loginSessions: { watch: async () => undefined },
      collectGarbage: () => undefined,
      listeners: null, mustOpen: false, successors: { failed: null, key: null, start: async () => null },
      load: () => ({ residentBytes: 1, cpuS: 0, loopDelay: null }),
      lockout: createLockoutMark({ stateDir, clock, random, log }),
      tryKeychain: async () => 'works',
      audit: options.keepsAudit === true ? await openAudit({ dir: join(stateDir, 'audit'), clock, log }) : self.audit,
      createLoopback: (onRefused) => createLoopback({ random, log, ownerOf, onRefused }),
      facts: { pid: process.pid, startedAtMs: clock.now(), startedBy: 'a test', socket: self.socket, stateDir, warnings: [], environment: {} },
      ...options.edges,
    });
  }
  Object.assign(self, { daemon: await launch() });
  return self;
}

/** Tests are about the callers that they name, and not about who runs them: who is not named is a person's program. */
export function asPerson(caller: Caller): Caller {
  // In place: what is learnt of a process later, its digest, is put where this stands.
  Object.assign(caller.origin, { class: 'human', isOrphan: false, agent: null, agentProcess: null } satisfies Partial<Caller['origin']>);
  return caller;
}

/** One test process plays hundreds of callers. */
export const MANY_CALLERS = '[limits]\nconnections_per_process = 1000\n';

/** A profile of the embedded issuer, as a person would write it. */
export function profileToml(name: string, issuer: string, more = ''): string {
  return `[profiles.${name}]\nissuer = "${issuer}"\nclient_id = "valetkey"\nscopes = ["openid", "email", "offline_access"]\nredirect_path = "/callback"\nallow_loopback_http = true\n${more}\n`;
}
