/**
 * One laptop for the proof by destruction: private directories, the faulty build of the daemon as a process, a
 * person who signs in at a terminal by script, and an authorization server behind the fault shim.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import { callApi } from '../support/api.ts';
import type { ApiReply } from '../support/api.ts';
import { CLOCK_FILE, FaultDesk } from '../support/fault-build.ts';
import type { FaultBuild, Hit } from '../support/fault-build.ts';
import { FaultShim } from '../support/fault-shim.ts';
import { exposed } from '../support/state-files.ts';
import { profileToml } from '../support/in-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const UP_MS = 30_000;
const SAID_MAX = 8_192;

/** The person: a process with a terminal, as the chooser wants one. Signs in wherever it is told to, and says yes. */
const PERSON = `
import { connect } from 'node:net';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { followLogin } from ${JSON.stringify(join(ROOT, 'dist/demo/browser.js'))};
const call = (socketPath, method, path, body) => new Promise((resolve, reject) => {
  const req = request({ socketPath, method, path, agent: false, headers: { 'content-type': 'application/json' } }, (res) => {
    let text = '';
    res.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
    res.on('end', () => resolve({ status: res.statusCode, body: text === '' ? null : JSON.parse(text) }));
    res.on('error', reject);
  });
  req.on('error', reject);
  req.end(body === undefined ? undefined : JSON.stringify(body));
});
async function signIn({ socket, profile, login }) {
  const started = await call(socket, 'POST', '/v1/logins', { profile, browser: 'manual' });
  if (started.status !== 200) return started.body;
  const followed = followLogin(started.body.start_url, { login }).catch((cause) => cause);
  const ended = await call(socket, 'GET', '/v1/logins/' + started.body.id + '?wait_s=10');
  await followed;
  return ended.body;
}
const control = connect(process.argv[2]);
createInterface({ input: control }).on('line', async (line) => {
  const ask = JSON.parse(line);
  const answer = await (ask.request === undefined ? signIn(ask) : call(ask.socket, ...ask.request)).catch((cause) => ({ state: 'broken', error: String(cause) }));
  control.write(JSON.stringify({ id: ask.id, answer }) + '\\n');
});
control.on('close', () => process.exit());
`;

export type SignedIn = { readonly state?: string; readonly code?: string; readonly detail?: string; readonly error?: string };

/** One for all laptops of a test process. */
export class Person {
  readonly #child: ChildProcess;
  readonly #control: Socket;
  readonly #dir: string;
  readonly #waiting = new Map<number, (answer: unknown) => void>();
  #asked = 0;

  private constructor(child: ChildProcess, control: Socket, dir: string) {
    this.#child = child;
    this.#control = control;
    this.#dir = dir;
    createInterface({ input: control }).on('line', (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: unknown };
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    });
  }

  static async appear(): Promise<Person> {
    const dir = mkdtempSync(join(tmpdir(), 'valetkey-person-'));
    const program = join(dir, 'person.mjs');
    writeFileSync(program, PERSON);
    const server = createServer();
    server.listen(join(dir, 'control'));
    const command = [process.execPath, program, join(dir, 'control')].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: { PATH: process.env['PATH'] ?? '', SHELL: '/bin/sh', TERM: 'xterm' }, stdio: ['pipe', 'ignore', 'ignore'] });
    const [control] = await Promise.race([once(server, 'connection'), once(child, 'exit').then(() => { throw new Error('the person at the terminal did not come up'); })]) as [Socket];
    server.close();
    return new Person(child, control, dir);
  }

  signIn(socket: string, profile: string, login = 'alice'): Promise<SignedIn> {
    return this.#ask({ socket, profile, login }) as Promise<SignedIn>;
  }

  /** A request from the person's terminal. */
  request(socket: string, method: string, path: string, body: object): Promise<Pick<ApiReply, 'status' | 'body'>> {
    return this.#ask({ socket, request: [method, path, body] }) as Promise<Pick<ApiReply, 'status' | 'body'>>;
  }

  #ask(ask: object): Promise<unknown> {
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#control.write(`${JSON.stringify({ id, ...ask })}\n`);
    });
  }

  async leave(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#control.destroy();
    await gone;
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export type Issuer = { readonly issuer: EmbeddedIssuer; readonly shim: FaultShim; close(): Promise<void> };

/** @param front - what stands before the shim: takes its origin, and gives the one that everybody is to use */
export async function startShimmed(options: IssuerOptions = {}, front: (origin: string) => Promise<string> = async (origin) => origin): Promise<Issuer> {
  const shim = await FaultShim.start();
  // The daemon's clock may run hours ahead, to be past a back-off: its ID tokens must live as long.
  const issuer = await startIssuer({ lifetimes: { accessTokenS: 600, idTokenS: 30 * 86_400 }, ...options, publicOrigin: await front(shim.origin) });
  shim.upstream = issuer.origin;
  return {
    issuer, shim,
    async close() {
      await shim.close();
      await issuer.close();
    },
  };
}

export type Running = { readonly child: ChildProcess; readonly exited: Promise<string>; readonly stderr: () => string };

/** Where the key of the vault is: a file in the keychain's place, a passphrase, or the keychain on this session bus. */
export type KeyPlace = 'file' | 'passphrase' | { readonly bus: string };
const PASSPHRASE = 'correct horse battery EXAMPLE';

export type LaptopOptions = {
  /** Name -> issuer; default: `work`. */
  readonly profiles?: ReadonlyMap<string, string>;
  /** More lines of each profile, and of the configuration. */
  readonly more?: string;
  readonly top?: string;
  readonly key?: KeyPlace;
  /** Its clocks can be set, by `setClock`. */
  readonly hasOwnClock?: true;
};

export class Laptop {
  readonly base: string;
  readonly desk: FaultDesk;
  readonly stateDir: string;
  readonly socket: string;
  readonly #build: FaultBuild;
  readonly #person: Person;
  readonly #more: string;
  readonly #key: KeyPlace;
  readonly #clockFile: string | null;
  #said = '';
  /** Put before the command line of the next daemon. */
  through: readonly string[] = [];
  running: Running | null = null;

  constructor(build: FaultBuild, person: Person, issuerUrl: string, options: LaptopOptions = {}) {
    this.base = mkdtempSync(join(tmpdir(), 'vk-chaos-'));
    for (const name of ['run', 'state', 'config/valetkey']) mkdirSync(join(this.base, name), { recursive: true, mode: 0o700 });
    this.desk = new FaultDesk(join(this.base, 'faults'));
    this.stateDir = join(this.base, 'state/valetkey');
    this.socket = join(this.base, 'run/valetkey/socket');
    this.#build = build;
    this.#person = person;
    this.#more = options.more ?? '';
    this.#key = options.key ?? 'file';
    this.#clockFile = options.hasOwnClock === true ? join(this.base, 'clock.json') : null;
    this.setClock({ wallMs: 0, bootMs: 0 });
    const profiles = [...(options.profiles ?? new Map([['work', issuerUrl]]))].map(([name, issuer]) => profileToml(name, issuer, this.#more)).join('\n');
    writeFileSync(join(this.base, 'config/valetkey/config.toml'), `[vault]\nbackend = "${this.#key === 'passphrase' ? 'passphrase' : 'keychain'}"\n${options.top ?? ''}\n${profiles}`, { mode: 0o600 });
  }

  /** What a program of this laptop's user has in its environment. */
  get env(): Readonly<Record<string, string>> {
    return {
      PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/',
      XDG_RUNTIME_DIR: join(this.base, 'run'), XDG_STATE_HOME: join(this.base, 'state'), XDG_CONFIG_HOME: join(this.base, 'config'),
    };
  }

  /** How far its clocks are ahead of the machine's, from now on. */
  setClock(ahead: { readonly wallMs: number; readonly bootMs: number }): void {
    if (this.#clockFile === null) return;
    // In one step: the daemon reads it at any moment.
    writeFileSync(`${this.#clockFile}.new`, JSON.stringify(ahead));
    renameSync(`${this.#clockFile}.new`, this.#clockFile);
  }

  launch(): Running {
    if (this.running !== null && this.running.child.exitCode === null && this.running.child.signalCode === null) throw new Error('a daemon runs already');
    const clock = this.#clockFile === null ? {} : { [CLOCK_FILE]: this.#clockFile };
    const bus = typeof this.#key === 'string' ? {} : { DBUS_SESSION_BUS_ADDRESS: this.#key.bus };
    const [command = process.execPath, ...args] = [...this.through, process.execPath, this.#build.daemon];
    const child = spawn(command, args, { env: { ...this.env, ...bus, ...clock, VALETKEY_TEST_FAULTS: this.desk.dir }, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      this.#said = (this.#said + chunk).slice(-SAID_MAX);
    });
    const exited = new Promise<string>((resolve) => { child.once('exit', (code, signal) => resolve(signal ?? String(code))); });
    this.running = { child, exited, stderr: () => text };
    return this.running;
  }

  /** Milliseconds until it answered; null where it ended before. */
  async up(): Promise<number | null> {
    const { exited } = this.running ?? this.launch();
    let over = false;
    void exited.then(() => { over = true; });
    const from = performance.now();
    while (performance.now() - from < UP_MS) {
      if (over) return null;
      try {
        if ((await this.api('GET', '/v1/status')).status === 200) return performance.now() - from;
      } catch {
        await sleep(8); // not yet
      }
    }
    throw new Error(`the daemon is not up after ${UP_MS} ms: ${this.running?.stderr() ?? ''}`);
  }

  /** Up, and its vault open; null where it ended before. */
  async start(): Promise<number | null> {
    this.launch();
    const ms = await this.up();
    if (ms === null || this.#key !== 'passphrase') return ms;
    const create = !existsSync(join(this.stateDir, 'vault.json'));
    const unlocked = await this.api('POST', '/v1/unlock', { passphrase: PASSPHRASE, ...(create ? { create } : {}) }).catch(() => null); // it died meanwhile
    if (unlocked === null) await this.running?.exited;
    else if (unlocked.status !== 200) throw new Error(`the vault does not open: ${unlocked.text}`);
    return unlocked === null ? null : ms;
  }

  api(method: string, path: string, body?: unknown): Promise<ApiReply> {
    return callApi(this.socket, method, path, body);
  }

  token(ask: object = {}): Promise<ApiReply> {
    return this.api('POST', '/v1/token', { profile: 'work', ...ask });
  }

  signIn(profile = 'work', login = 'alice'): Promise<SignedIn> {
    return this.#person.signIn(this.socket, profile, login);
  }

  asPerson(method: string, path: string, body: object): Promise<Pick<ApiReply, 'status' | 'body'>> {
    return this.#person.request(this.socket, method, path, body);
  }

  /** As SIGKILL does; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.running?.child.kill('SIGKILL');
    await this.running?.exited;
    this.running = null;
  }

  /** The last that its daemons said, those before the one that runs included. */
  said(lines: number): string {
    return this.#said.split('\n').slice(-lines).join('\n');
  }

  hits(): readonly Hit[] {
    return this.desk.take();
  }

  /** What others could read of what the daemon wrote. */
  exposed(): readonly string[] {
    return [...exposed(join(this.base, 'state')), ...exposed(join(this.base, 'run'))];
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.base, { recursive: true, force: true });
  }
}
