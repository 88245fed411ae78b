/** A daemon's stand-in on a Unix socket in a private directory, and what it was sent. */
import { chmodSync, mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../../shared/version.ts';

export type Seen = { readonly verb: string; readonly path: string; readonly body: unknown };
export type Answer = (seen: Seen, response: ServerResponse, request: IncomingMessage) => void;

export type StandIn = {
  readonly directory: string;
  readonly socket: string;
  readonly seen: readonly Seen[];
  readonly connections: () => number;
  dropConnections(): void;
  close(): Promise<void>;
};

export function reply(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', [PROTOCOL_HEADER]: String(PROTOCOL_VERSION) });
  response.end(JSON.stringify(body));
}

const made: string[] = [];
// Of each test file that imports this.
afterAll(() => made.splice(0).forEach((directory) => rmSync(directory, { recursive: true, force: true })));

export function privateDirectory(): string {
  const base = mkdtempSync(join(tmpdir(), 'valetkey-test-'));
  made.push(base);
  chmodSync(base, 0o700);
  return base;
}

export async function standIn(answer: Answer, base = privateDirectory(), name = 'run'): Promise<StandIn> {
  const directory = join(base, name);
  mkdirSync(directory, { mode: 0o700 });
  const socket = join(directory, 'socket');
  const seen: Seen[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const one = { verb: request.method ?? '', path: request.url ?? '', body: text === '' ? null : JSON.parse(text) as unknown };
      seen.push(one);
      answer(one, response, request);
    });
  });
  server.on('connection', (connection) => {
    connections += 1;
    open.add(connection);
    connection.once('close', () => open.delete(connection));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  chmodSync(socket, 0o600);
  return {
    directory, socket, seen,
    connections: () => connections,
    dropConnections: () => open.forEach((connection) => connection.destroy()),
    async close() {
      open.forEach((connection) => connection.destroy());
      await new Promise((resolve) => server.close(resolve));
      rmSync(base, { recursive: true, force: true });
    },
  };
}
