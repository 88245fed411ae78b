/**
 * A real dbus-daemon of a test's own in the place of the system bus, and on it a program that speaks as systemd-logind
 * does: it lists sessions, tells their properties, and emits the signals that it is told to. Its writer of messages is
 * apart from the daemon's, and the bus between them checks every message by the specification.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageLength, readMessage } from '../../daemon/platform/bus-message.ts';

/** Why no bus can be started here; null where one can. */
export function busObstacle(): string | null {
  return spawnSync('sh', ['-c', 'command -v dbus-daemon']).status === 0 ? null : 'not installed: dbus-daemon (Debian: apt-get install dbus)';
}

export type Value = number | boolean | string | readonly Value[];

class Writer {
  bytes = Buffer.alloc(0);

  pad(to: number): void {
    this.raw(Buffer.alloc((to - (this.bytes.length % to)) % to));
  }
  raw(more: Buffer): void {
    this.bytes = Buffer.concat([this.bytes, more]);
  }
  u32(value: number): void {
    this.pad(4);
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    this.raw(bytes);
  }

  /** @returns the signature behind the first type */
  write(signature: string, value: Value): string {
    const type = signature.charAt(0);
    const rest = signature.slice(1);
    if (type === 'y') this.raw(Buffer.from([Number(value)]));
    else if (type === 'u') this.u32(Number(value));
    else if (type === 'b') this.u32(value === true ? 1 : 0);
    else if (type === 's' || type === 'o') {
      this.u32(Buffer.byteLength(String(value)));
      this.raw(Buffer.from(`${String(value)}\0`));
    } else if (type === 'g') this.raw(Buffer.from(`${String.fromCharCode(String(value).length)}${String(value)}\0`));
    else if (type === 'v') {
      const [inner, content] = value as readonly [string, Value];
      this.write('g', inner);
      this.write(inner, content);
    } else if (type === 'a') return this.#array(rest, value as readonly Value[]);
    else if (type === '(' || type === '{') return this.#struct(rest, value as readonly Value[]);
    else throw new Error(`cannot write ${type}`);
    return rest;
  }

  #array(element: string, values: readonly Value[]): string {
    const inner = new Writer();
    const first = element.charAt(0);
    const alignment = first === '(' || first === '{' ? 8 : ['u', 's', 'o', 'b', 'a'].includes(first) ? 4 : 1;
    let rest = skip(element);
    for (const value of values) rest = inner.write(element, value);
    this.u32(inner.bytes.length);
    this.pad(alignment);
    this.raw(inner.bytes); // aligned alike: what it holds begins at a multiple of its own alignment
    return rest;
  }

  #struct(members: string, values: readonly Value[]): string {
    this.pad(8);
    let rest = members;
    for (const value of values) rest = this.write(rest, value);
    return rest.slice(1);
  }
}

function skip(signature: string): string {
  const first = signature.charAt(0);
  if (first === 'a') return skip(signature.slice(1));
  if (first !== '(' && first !== '{') return signature.slice(1);
  let rest = signature.slice(1);
  while (!/^[)}]/.test(rest)) rest = skip(rest);
  return rest.slice(1);
}

export type Sent = {
  readonly type: 1 | 2 | 3 | 4;
  readonly path?: string;
  readonly interface?: string;
  readonly member?: string;
  readonly error?: string;
  readonly replySerial?: number;
  readonly destination?: string;
  readonly signature?: string;
  readonly body?: readonly Value[];
};

export function encode(serial: number, { type, path, interface: name, member, error, replySerial, destination, signature = '', body = [] }: Sent): Buffer {
  const content = new Writer();
  let rest = signature;
  for (const value of body) rest = content.write(rest, value);
  const fields: Value[] = [];
  if (path !== undefined) fields.push([1, ['o', path]]);
  if (name !== undefined) fields.push([2, ['s', name]]);
  if (member !== undefined) fields.push([3, ['s', member]]);
  if (error !== undefined) fields.push([4, ['s', error]]);
  if (replySerial !== undefined) fields.push([5, ['u', replySerial]]);
  if (destination !== undefined) fields.push([6, ['s', destination]]);
  if (signature !== '') fields.push([8, ['g', signature]]);
  const header = new Writer();
  header.raw(Buffer.from(['l'.charCodeAt(0), type, 0, 1]));
  header.u32(content.bytes.length);
  header.u32(serial);
  header.write('a(yv)', fields);
  header.pad(8);
  return Buffer.concat([header.bytes, content.bytes]);
}

/** A program on the bus, which may send whatever the bus lets it. */
export class Party {
  readonly #socket: Socket;
  #serial = 0;
  #bytes = Buffer.alloc(0);
  readonly #answers = new Map<number, (body: readonly unknown[]) => void>();
  /** Answers calls; null: none. */
  onCall: ((member: string, path: string, body: readonly unknown[]) => Pick<Sent, 'signature' | 'body' | 'error'> | null) | null = null;
  name = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
  }

  static async join(path: string): Promise<Party> {
    const socket = connect(path);
    const party = new Party(socket);
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid?.() ?? 0)).toString('hex')}\r\n`);
    await once(socket, 'data');
    socket.write('BEGIN\r\n');
    socket.on('data', (chunk) => party.#take(chunk));
    [party.name = ''] = (await party.callBus('Hello')) as [string];
    return party;
  }

  send(message: Sent): number {
    this.#serial += 1;
    this.#socket.write(encode(this.#serial, message));
    return this.#serial;
  }

  callBus(member: string, signature = '', body: readonly Value[] = []): Promise<readonly unknown[]> {
    const serial = this.send({ type: 1, destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', member, signature, body });
    return new Promise((resolve) => this.#answers.set(serial, resolve));
  }

  async own(name: string): Promise<void> {
    await this.callBus('RequestName', 'su', [name, 4]);
  }

  signal(path: string, name: string, member: string, signature = '', body: readonly Value[] = [], destination?: string): void {
    this.send({ type: 4, path, interface: name, member, signature, body, ...(destination === undefined ? {} : { destination }) });
  }

  leave(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (let length = messageLength(this.#bytes); length !== null && this.#bytes.length >= length; length = messageLength(this.#bytes)) {
      const whole = this.#bytes.subarray(0, length);
      this.#bytes = this.#bytes.subarray(length);
      const message = readMessage(whole);
      if (message.kind === 'return') this.#answers.get(message.replySerial)?.(message.body());
      if (message.kind !== 'call') continue;
      const answer = this.onCall?.(message.member, message.path, message.body()) ?? null;
      if (answer === null) continue;
      this.send({ type: answer.error === undefined ? 2 : 3, replySerial: whole.readUInt32LE(8), destination: message.sender, ...answer });
    }
  }
}

export type Session = { uid: number; type: string; class: string; locked: boolean };

const LOGIND = 'org.freedesktop.login1';

export class StandInLogind {
  readonly party: Party;
  readonly sessions = new Map<string, Session>();
  /** False: it answers nothing. */
  isAwake = true;

  private constructor(party: Party) {
    this.party = party;
    party.onCall = (member, path) => {
      if (!this.isAwake) return null;
      if (member === 'ListSessions') return { signature: 'a(susso)', body: [[...this.sessions].map(([id, { uid }]) => [id, uid, 'somebody', 'seat0', this.path(id)])] };
      const session = this.sessions.get(path.split('/').at(-1) ?? '');
      if (session === undefined) return { error: 'org.freedesktop.DBus.Error.UnknownObject' };
      return { signature: 'a{sv}', body: [[['Id', ['s', 'x']], ['VTNr', ['u', 2]], ['Type', ['s', session.type]], ['Class', ['s', session.class]], ['LockedHint', ['b', session.locked]], ['User', ['(uo)', [session.uid, '/org/x']]]]] };
    };
  }

  static async appear(socket: string): Promise<StandInLogind> {
    const logind = new StandInLogind(await Party.join(socket));
    await logind.party.own(LOGIND);
    return logind;
  }

  path(id: string): string {
    return `/org/freedesktop/login1/session/${id}`;
  }

  add(id: string, over: Partial<Session> = {}): void {
    this.sessions.set(id, { uid: process.getuid?.() ?? 0, type: 'wayland', class: 'user', locked: false, ...over });
    this.party.signal('/org/freedesktop/login1', `${LOGIND}.Manager`, 'SessionNew', 'so', [id, this.path(id)]);
  }

  remove(id: string): void {
    this.sessions.delete(id);
    this.party.signal('/org/freedesktop/login1', `${LOGIND}.Manager`, 'SessionRemoved', 'so', [id, this.path(id)]);
  }

  /** As loginctl lock-session and unlock-session. */
  say(id: string, member: 'Lock' | 'Unlock'): void {
    this.party.signal(this.path(id), `${LOGIND}.Session`, member);
  }

  /** As a desktop that sets its hint. */
  hint(id: string, locked: boolean): void {
    const session = this.sessions.get(id);
    if (session !== undefined) session.locked = locked;
    this.party.signal(this.path(id), 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', [`${LOGIND}.Session`, [['LockedHint', ['b', locked]]], []]);
  }

  sleeps(isStart: boolean): void {
    this.party.signal('/org/freedesktop/login1', `${LOGIND}.Manager`, 'PrepareForSleep', 'b', [isStart]);
  }
}

export class PrivateBus {
  readonly socket: string;
  readonly #dir: string;
  #child: ChildProcess | null = null;

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'vk-bus-'));
    this.socket = join(this.#dir, 'bus');
    writeFileSync(join(this.#dir, 'bus.conf'), `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${this.socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="false"/><allow receive_type="signal"/><allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/></policy></busconfig>`);
  }

  async start(): Promise<void> {
    this.#child = spawn('dbus-daemon', [`--config-file=${join(this.#dir, 'bus.conf')}`, '--nofork', '--nopidfile', '--nosyslog'], { env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
    // It is there a moment before somebody listens on it.
    for (let i = 0; i < 1_000 && !await this.#answers(); i += 1) await sleep(10);
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket, () => {
        socket.destroy();
        resolve(true);
      }).once('error', () => resolve(false));
    });
  }

  async stop(): Promise<void> {
    if (this.#child === null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    this.#child = null;
    await gone;
    rmSync(this.socket, { force: true });
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
