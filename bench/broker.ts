/**
 * The built daemon, started as a user starts it, by the CLI, with a vault under a passphrase and everything on
 * that a release has on; only the limits of a process are raised. A scripted browser signs in.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endProcess, isRunning, Unexpected, waitUntil } from './stage.ts';
import type { Environment, Ran, Stage } from './stage.ts';

/** What npm puts on the PATH. */
export const CLI = fileURLToPath(new URL('../client/valetkey.cjs', import.meta.url));
/** The C launcher, where it was built. */
export const LAUNCHER = fileURLToPath(new URL('../launcher/valetkey', import.meta.url));
const BROWSER = fileURLToPath(new URL('../demo/browser-bin.js', import.meta.url));

/** A daemon that is only just starting shows up in its lock file by then. */
const START_LIMIT_MS = 2_000;
const PASSPHRASE = 'bench-passphrase-EXAMPLE';
/** The most that the configuration allows: what is measured is the daemon, not its limits. */
const RAISED = ['[limits]', 'requests_per_second = 10000', 'burst = 100000', 'connections_per_process = 1024'];

/** Of each profile its issuer, and lines of its own. */
export type Profiles = Readonly<Record<string, { readonly issuer: string; readonly more?: readonly string[] }>>;

export class Broker {
  readonly #stage: Stage;
  readonly #node: string;
  readonly env: Environment;
  readonly socket: string;
  #pid = 0;
  #isStarting = false;
  lines: 'spoken' | 'not spoken' = 'not spoken';

  constructor(stage: Stage, node: string, place: string) {
    this.#stage = stage;
    this.#node = node;
    this.env = { ...stage.env, ...stage.places(place) };
    this.socket = join(this.env['XDG_RUNTIME_DIR'] ?? '', 'valetkey/socket');
    stage.onClose(() => this.stop());
  }

  get pid(): number {
    return this.#pid;
  }

  get grantsDirectory(): string {
    return join(this.env['XDG_STATE_HOME'] ?? '', 'valetkey/grants');
  }

  /** How its process was started, word for word. */
  get commandLine(): readonly string[] {
    return readFileSync(`/proc/${this.#pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  }

  configure(profiles: Profiles, limits: 'raised' | 'default'): void {
    const directory = join(this.env['XDG_CONFIG_HOME'] ?? '', 'valetkey');
    const text = [
      'v = 1', '[vault]', 'backend = "passphrase"', ...(limits === 'raised' ? RAISED : []),
      ...Object.entries(profiles).flatMap(([name, { issuer, more = [] }]) => [
        `[profiles.${name}]`, `issuer = ${JSON.stringify(issuer)}`, 'client_id = "valetkey"', 'redirect_path = "/callback"',
        'scopes = ["openid", "profile", "email", "offline_access", "read"]', 'allow_loopback_http = true',
        `browser = ${JSON.stringify([process.execPath, BROWSER, '--login', 'ada', '{url}'])}`, ...more,
      ]), '',
    ].join('\n');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, 'config.toml'), text, { mode: 0o600 });
  }

  async cli(args: readonly string[], input = ''): Promise<Ran> {
    const ran = await this.#stage.run(this.#node, [CLI, ...args], { env: this.env, input });
    if (ran.code !== 0) throw new Unexpected(`valetkey ${args.join(' ')} ended with status ${ran.code}: ${ran.stderr.trim()}`);
    return ran;
  }

  /** From the lock file: also known where whoever started it was interrupted. */
  #recordedPid(): number {
    const lock = join(this.env['XDG_STATE_HOME'] ?? '', 'valetkey/lock');
    return existsSync(lock) ? Number(/"pid":\s*(\d+)/.exec(readFileSync(lock, 'utf8'))?.[1] ?? 0) : 0;
  }

  async start(): Promise<void> {
    this.#isStarting = true;
    await this.cli(['daemon', 'start']);
    this.#isStarting = false;
    this.#pid = this.#recordedPid();
    if (!isRunning(this.#pid)) throw new Unexpected('the daemon does not run');
  }

  /** As `words` start it, which asks nothing of it; see commandLine. */
  async serve([file = '', ...args]: readonly string[]): Promise<void> {
    this.#pid = await this.#stage.serve(file, args, this.socket, this.env);
  }

  /** Makes the vault where there is none. */
  async unlock(): Promise<void> {
    const isNew = !existsSync(join(this.env['XDG_STATE_HOME'] ?? '', 'valetkey/vault.json'));
    await this.cli(['unlock', ...(isNew ? ['--create'] : []), '--passphrase-stdin'], `${PASSPHRASE}\n`);
  }

  reload(): Promise<unknown> {
    return this.cli(['daemon', 'reload']);
  }

  /** At a pseudo-terminal: a sign-in wants a person. */
  async signIn(profile: string): Promise<void> {
    const command = [this.#node, CLI, 'login', profile].map((word) => `'${word}'`).join(' ');
    const ran = await this.#stage.run('script', ['-qec', command, '/dev/null'], { env: this.env, limitMs: 30_000 });
    if (ran.code !== 0) throw new Unexpected(`the sign-in of ${profile} ended with status ${ran.code}: ${ran.stdout.trim()}`);
  }

  residentMb(): number {
    return residentMb(this.#pid);
  }

  async stop(): Promise<void> {
    // The CLI may have been interrupted while its daemon was only just starting.
    if (this.#isStarting) await waitUntil(() => this.#recordedPid() > 0, START_LIMIT_MS);
    const pid = this.#isStarting ? this.#recordedPid() : this.#pid;
    this.#pid = 0;
    this.#isStarting = false;
    if (pid === 0) return;
    await endProcess(pid);
    await waitUntil(() => !isRunning(pid), 1_000);
  }
}

export function residentMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kb === undefined) throw new Unexpected(`the memory of process ${pid} cannot be read`);
  return Number(kb) / 1024;
}
