/**
 * The built daemon as a process of an unprivileged user, with a passphrase vault on a disk of the test's
 * choice, against the embedded issuer, which rotates and ends a grant at the second use of a refresh token.
 * What the daemon says is one thing; verdict() is what the issuer saw.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import { startHostileIssuer } from './hostile-issuer.ts';
import type { HostileIssuer } from './hostile-issuer.ts';
import { profileToml } from './in-process.ts';
import { Ledger } from './ledger.ts';
import { readablePlace } from './readable-place.ts';
import { exposed } from './state-files.ts';
import { startPerson } from './disk-person.ts';
import type { Person, Reply, Uid } from './disk-person.ts';

/** A browser that is named is what makes a sign-in possible in a container; the caller opens it, so nobody here does. */
const BROWSER = 'browser = ["/bin/true", "{url}"]';
const PASSPHRASE = 'correct horse battery EXAMPLE';
const SECOND_MS = 8_000;
/** Root passes file modes, so nothing of this is done as root. */
export const NOBODY: Uid = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

export type RigOptions = {
  /** An empty directory that becomes $XDG_STATE_HOME; a disk of the test's own. */
  readonly stateHome?: string;
  /** Put before the command line of the daemon: a loader, prlimit, a limiter. */
  readonly through?: readonly string[];
  /** Flags of Node that the daemon takes. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: string;
  /** Profiles besides `work`. */
  readonly profiles?: (issuer: string) => readonly string[];
  readonly backend?: 'passphrase' | 'keychain';
  readonly issuer?: IssuerOptions;
  /** Default: nobody where the test runs as root. */
  readonly as?: Uid;
};

export type Verdict = {
  /** Refresh tokens that were sent again after an answer had come: what must never be. */
  readonly secondUses: number;
  readonly grantsRevoked: number;
  readonly refreshes: number;
  readonly signIns: number;
};

export type Rig = {
  readonly base: string;
  readonly stateDir: string;
  readonly grantsDir: string;
  readonly runDir: string;
  readonly socket: string;
  readonly issuer: EmbeddedIssuer;
  /** What stands before the issuer and misbehaves when it is told to. */
  readonly shim: HostileIssuer;
  readonly person: Person;
  readonly as: Uid;
  readonly pid: () => number;
  /** What all daemons of this rig wrote on standard error. */
  readonly log: () => string;
  start(): Promise<void>;
  /** Starts and opens the vault. */
  restart(): Promise<void>;
  unlock(): Promise<Reply>;
  /** Another daemon on the same directories, which ought to leave. */
  startSecond(): Promise<{ readonly code: number | null; readonly said: string }>;
  kill(): Promise<void>;
  /** SIGTERM; milliseconds until it was gone. */
  stop(): Promise<number>;
  signIn(profile?: string): Promise<Reply>;
  token(ask?: object): Promise<Reply>;
  status(): Promise<Reply>;
  verdict(): Verdict;
  /** Files and directories below the state directory that others could read. */
  openToOthers(): readonly string[];
  leave(): Promise<void>;
};

/** Why no daemon can be started here; null where one can. */
export function rigObstacle(): string | null {
  const { status } = spawnSync(process.execPath, [readablePlace().daemon, '--version'], { env: { PATH: process.env['PATH'] ?? '' }, cwd: '/', ...NOBODY });
  return status === 0 ? null : `uid ${NOBODY.uid ?? 'of the tests'} cannot run ${process.execPath} on ${readablePlace().daemon}`;
}

export async function openRig(options: RigOptions = {}): Promise<Rig> {
  const as = options.as ?? NOBODY;
  const own = (path: string): void => {
    chmodSync(path, 0o700);
    if (as.uid !== undefined) chownSync(path, as.uid, as.gid ?? as.uid);
  };
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'vk-')));
  own(base);
  const stateHome = options.stateHome ?? join(base, 'state');
  for (const dir of [join(base, 'run'), join(base, 'config'), join(base, 'config/valetkey'), stateHome]) {
    if (!existsSync(dir)) mkdirSync(dir);
    own(dir);
  }
  const shim = await startHostileIssuer(options.issuer);
  const { issuer } = shim;
  const ledger = new Ledger(issuer);
  const configFile = join(base, 'config/valetkey/config.toml');
  writeFileSync(configFile, `[vault]\nbackend = "${options.backend ?? 'passphrase'}"\n${options.config ?? ''}\n${[profileToml('work', shim.url, BROWSER), ...(options.profiles?.(shim.url) ?? [])].join('\n')}`);
  own(configFile);
  chmodSync(configFile, 0o600);
  const socket = join(base, 'run/valetkey/socket');
  const person = await startPerson(socket, join(base, 'run'), as);
  const env = { PATH: process.env['PATH'] ?? '', XDG_RUNTIME_DIR: join(base, 'run'), XDG_STATE_HOME: stateHome, XDG_CONFIG_HOME: join(base, 'config'), ...options.env };
  let child: ChildProcess | null = null;
  let text = '';

  const spawnDaemon = (): ChildProcess => {
    const [command = process.execPath, ...args] = [...(options.through ?? []), process.execPath, ...(options.flags ?? []), readablePlace().daemon];
    return spawn(command, args, { env, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], ...as });
  };
  const ended = async (signal: NodeJS.Signals): Promise<number> => {
    const dying = child;
    if (dying === null || dying.exitCode !== null || dying.signalCode !== null) return 0;
    const began = performance.now();
    const gone = new Promise<void>((resolve) => { dying.once('exit', () => resolve()); });
    dying.kill(signal);
    await gone;
    return performance.now() - began;
  };
  const rig: Rig = {
    base, socket, issuer, shim, person, as,
    stateDir: join(stateHome, 'valetkey'),
    grantsDir: join(stateHome, 'valetkey/grants'),
    runDir: join(base, 'run'),
    pid: () => child?.pid ?? 0,
    log: () => text,
    async start() {
      const started = spawnDaemon();
      started.stderr?.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      child = started;
      for (let tries = 0; tries < 500; tries += 1) {
        if (started.exitCode !== null || started.signalCode !== null) throw new Error(`the daemon ended at its start: ${text.slice(-600)}`);
        if (existsSync(socket) && (await person.ask('GET', '/v1/status')).status === 200) return;
        await sleep(20);
      }
      throw new Error(`the daemon did not listen within 10 s: ${text.slice(-600)}`);
    },
    async restart() {
      await rig.start();
      await rig.unlock();
    },
    async unlock() {
      const create = !existsSync(join(rig.stateDir, 'vault.json'));
      return person.ask('POST', '/v1/unlock', { passphrase: PASSPHRASE, ...(create ? { create } : {}) });
    },
    startSecond() {
      const second = spawnDaemon();
      let said = '';
      second.stderr?.setEncoding('utf8').on('data', (chunk: string) => { said += chunk; });
      const limit = setTimeout(() => second.kill('SIGKILL'), SECOND_MS);
      return new Promise((resolve) => {
        second.once('close', (code) => {
          clearTimeout(limit);
          resolve({ code, said });
        });
      });
    },
    kill: async () => void await ended('SIGKILL'),
    stop: () => ended('SIGTERM'),
    async signIn(profile = 'work') {
      const started = await person.ask('POST', '/v1/logins', { profile });
      if (started.status !== 200) return started;
      await person.browse(String(started.body.start_url), 'alice');
      return person.ask('GET', `/v1/logins/${String(started.body.id)}?wait_s=10`);
    },
    token: (ask = {}) => person.ask('POST', '/v1/token', { profile: 'work', ...ask }),
    status: () => person.ask('GET', '/v1/status'),
    verdict() {
      const revoked = issuer.events.filter(({ name }) => name === 'grant.revoked').length;
      return { secondUses: ledger.reuses(), grantsRevoked: revoked, refreshes: issuer.count('token', 'refresh_token'), signIns: issuer.count('token', 'authorization_code') };
    },
    openToOthers: () => exposed(rig.stateDir),
    async leave() {
      await ended('SIGKILL');
      await person.leave();
      await shim.close();
      rmSync(base, { recursive: true, force: true });
    },
  };
  return rig;
}
