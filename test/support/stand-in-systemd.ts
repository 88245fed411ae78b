/**
 * What systemd does for the daemon, by hand: holds its socket, hears its notifications, keeps what it hands over
 * (SCM_RIGHTS out, LISTEN_FDS in), and starts it again with all of that. A file descriptor store without systemd.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { loadNative } from '../../daemon/platform/native.ts';
import { closeFd, unixAddress } from '../../daemon/platform/sockets.ts';

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const native = loadNative();

type Kept = { readonly name: string; readonly fd: number };
export type SystemdOptions = {
  /** Where clients connect. */
  readonly socket: string;
  /** NOTIFY_SOCKET, as sd_notify(3) writes it. */
  readonly notify: string;
  readonly env: Readonly<Record<string, string>>;
  readonly program: readonly string[];
};

/** A bound socket: 1 is SOCK_STREAM, 2 SOCK_DGRAM. */
export function boundSocket(type: 1 | 2, name: string): number {
  const fd = native.call('int socket(int, int, int)', AF_UNIX, type | SOCK_CLOEXEC, 0);
  const address = unixAddress(name);
  if (fd < 0 || address === null || native.call('int bind(int, const void *, unsigned int)', fd, address, address.length) < 0) throw new Error(`no socket at ${name}`);
  return fd;
}

export function listeningSocket(path: string): number {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fd = boundSocket(1, path);
  chmodSync(path, 0o600);
  if (native.call('int listen(int, int)', fd, 64) < 0) throw new Error('it does not listen');
  return fd;
}

export class StandInSystemd {
  readonly #options: SystemdOptions;
  readonly #hears: number;
  readonly #timer: NodeJS.Timeout;
  readonly listener: number;
  /** All assignments, in the order in which they came. */
  readonly said: string[] = [];
  kept: Kept[] = [];
  child: ChildProcess | null = null;
  stderr = '';

  constructor(options: SystemdOptions) {
    this.#options = options;
    this.listener = listeningSocket(options.socket);
    this.#hears = boundSocket(2, options.notify);
    this.#timer = setInterval(() => this.#hear(), 5);
  }

  /** Resolves when it says that it is ready; rejects when it ends before. */
  async start(more: Readonly<Record<string, string>> = {}): Promise<ChildProcess> {
    const before = this.count('READY=1');
    const child = this.launch(more);
    await expect.poll(() => child.exitCode !== null || child.signalCode !== null || this.count('READY=1') > before).toBe(true);
    if (this.count('READY=1') === before) throw new Error(`it ended with ${child.exitCode ?? child.signalCode}: ${this.stderr}`);
    return child;
  }

  launch(more: Readonly<Record<string, string>> = {}, fds: readonly number[] = [this.listener, ...this.kept.map(({ fd }) => fd)]): ChildProcess {
    const env = { ...this.#options.env, LISTEN_FDS: String(fds.length), LISTEN_FDNAMES: ['valetkeyd.socket', ...this.kept.map(({ name }) => name)].join(':'), NOTIFY_SOCKET: this.#options.notify, ...more };
    // Only the process itself knows its pid before it runs.
    const child = spawn('/bin/sh', ['-c', 'LISTEN_PID=${LISTEN_PID:-$$} exec "$@"', 'sh', ...this.#options.program], { cwd: '/', env, stdio: ['ignore', 'ignore', 'pipe', ...fds] });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { this.stderr += text; });
    this.child = child;
    return child;
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    const { child } = this;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const gone = once(child, 'close');
    child.kill(signal);
    await gone;
    this.#hear();
    return child.exitCode;
  }

  count(assignment: string): number {
    return this.said.filter((each) => each === assignment).length;
  }

  async close(): Promise<void> {
    await this.end('SIGKILL');
    clearInterval(this.#timer);
    for (const fd of [this.listener, this.#hears, ...this.kept.map((each) => each.fd)]) closeFd(fd, native);
    for (const path of [this.#options.socket, this.#options.notify]) if (path.startsWith('/')) rmSync(path, { force: true });
  }

  #hear(): void {
    for (let message = receive(this.#hears); message !== null; message = receive(this.#hears)) {
      const lines = message.text.split('\n');
      this.said.push(...lines);
      const name = lines.find((line) => line.startsWith('FDNAME='))?.slice('FDNAME='.length) ?? '';
      if (lines.includes('FDSTORE=1') && message.fd !== null) this.kept.push({ name, fd: message.fd });
      if (lines.includes('FDSTOREREMOVE=1')) {
        for (const each of this.kept) if (each.name === name) closeFd(each.fd, native);
        this.kept = this.kept.filter((each) => each.name !== name);
      }
    }
  }
}

/** recvmsg(2), with the descriptor that came along. */
function receive(fd: number): { readonly text: string; readonly fd: number | null } | null {
  const message = Buffer.alloc(4096);
  const [VECTOR, CONTROL, BODY] = [56, 72, 128] as const;
  const start = native.call('uintptr_t memcpy(void *, const void *, size_t)', message, message, 0);
  message.writeBigUInt64LE(BigInt(start + VECTOR), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(BigInt(start + BODY), VECTOR);
  message.writeBigUInt64LE(BigInt(message.length - BODY), VECTOR + 8);
  message.writeBigUInt64LE(BigInt(start + CONTROL), 32);
  message.writeBigUInt64LE(24n, 40);
  const length = native.call('long recvmsg(int, void *, int)', fd, message, MSG_DONTWAIT);
  if (length < 0) return null;
  const came = message.readBigUInt64LE(40) > 0n ? message.readInt32LE(CONTROL + 16) : null;
  if (came !== null) native.call('int fcntl(int, int, ...)', came, 2, 'int', 1); // FD_CLOEXEC: the next daemon gets it on purpose only
  return { text: message.subarray(BODY, BODY + length).toString(), fd: came };
}
