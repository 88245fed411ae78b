/**
 * A daemon's stand-in that speaks both dialects on one socket, as far as `token` needs them, in private XDG
 * directories. What it says in the line dialect can be anything; HTTP is what the whole CLI then asks by.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const TOKEN = 'at-EXAMPLE';

export const data = {
  profile: 'work', access_token: TOKEN, token_type: 'Bearer', expires_at: 1_790_000_000, scope: 'a b', resource: null as string | null, source: 'cache', granted_beyond: [] as string[],
};

/** One line of the daemon, without its end. */
export function frame(body: object = data, changes: object = {}): string {
  return JSON.stringify({ type: 'token', id: 1, status: 200, protocol: 1, build: '0.1.0', data: body, ...changes });
}

export type Script = {
  /** What is written on a connection whose first byte is `{`; an array piece by piece; null says nothing. Default: the good reply. */
  readonly line?: string | Buffer | readonly string[] | null;
  /** Waits before it answers a line. */
  readonly afterMs?: number;
  /** Ends the connection after that. */
  readonly ends?: boolean;
  /** Default: the good reply. `null` ends the connection without an answer. */
  readonly http?: { readonly status: number; readonly body: object } | null;
};

export type Seen = { readonly lines: unknown[]; readonly http: unknown[] };

export type LineStandIn = {
  readonly base: string;
  readonly socket: string;
  readonly env: Readonly<Record<string, string>>;
  /** What came since the last call. */
  seen(): Seen;
  play(script: Script): void;
  close(): Promise<void>;
};

export function privateHome(): { readonly base: string; readonly env: Readonly<Record<string, string>> } {
  const base = mkdtempSync(join(tmpdir(), 'valetkey-line-'));
  for (const name of ['run', 'state', 'config']) mkdirSync(join(base, name), { mode: 0o700 });
  return { base, env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: '/nonexistent', NO_COLOR: '1', XDG_RUNTIME_DIR: join(base, 'run'), XDG_STATE_HOME: join(base, 'state'), XDG_CONFIG_HOME: join(base, 'config') } };
}

export function writeLockRecord(base: string, text: string, mode = 0o600): void {
  mkdirSync(join(base, 'state/valetkey'), { mode: 0o700, recursive: true });
  writeFileSync(join(base, 'state/valetkey/lock'), text);
  chmodSync(join(base, 'state/valetkey/lock'), mode);
}

export async function lineStandIn(): Promise<LineStandIn> {
  const { base, env } = privateHome();
  mkdirSync(join(base, 'run/valetkey'), { mode: 0o700 });
  const socket = join(base, 'run/valetkey/socket');
  let script: Script = {};
  let seen: Seen = { lines: [], http: [] };
  const open = new Set<Socket>();
  const http = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.http.push(JSON.parse(Buffer.concat(chunks).toString() || 'null'));
      if (script.http === null) return void request.socket.destroy();
      const { status, body } = script.http ?? { status: 200, body: data };
      response.writeHead(status, { 'content-type': 'application/json', 'valetkey-protocol': '1' });
      return void response.end(JSON.stringify(body));
    });
  });
  async function answerLine(connection: Socket): Promise<void> {
    const { line = `${frame()}\n`, ends = false, afterMs = 0 } = script;
    await new Promise((resolve) => { setTimeout(resolve, afterMs); });
    const pieces = line === null ? [] : typeof line === 'string' || Buffer.isBuffer(line) ? [line] : line;
    for (const piece of pieces) {
      connection.write(piece);
      await new Promise((resolve) => { setImmediate(resolve); });
    }
    if (ends) connection.end();
  }
  const server = createServer((connection) => {
    open.add(connection);
    connection.on('error', () => undefined); // a client that has heard enough
    connection.once('close', () => open.delete(connection));
    connection.once('data', (chunk) => {
      if (chunk[0] === 0x7b) {
        seen.lines.push(JSON.parse(chunk.toString()));
        void answerLine(connection);
        return;
      }
      connection.pause();
      connection.unshift(chunk);
      http.emit('connection', connection);
      connection.resume();
    });
  });
  await new Promise<void>((resolve) => { server.listen(socket, resolve); });
  chmodSync(socket, 0o600);
  return {
    base, socket, env,
    seen() {
      const before = seen;
      seen = { lines: [], http: [] };
      return before;
    },
    play: (next) => { script = next; },
    async close() {
      open.forEach((connection) => connection.destroy());
      await new Promise((resolve) => { server.close(resolve); });
      rmSync(base, { recursive: true, force: true });
    },
  };
}
