/** The load generator in C, compiled here, against servers of this process: what it counts and from when on. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { Histogram } from '../../../bench/histogram.ts';
import type { Buckets } from '../../../bench/histogram.ts';

const source = (name: string): string => fileURLToPath(new URL(`../../../bench/c/${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'vk-load-'));
const program = join(directory, 'load');
const compiled = spawnSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source('load.c'), source('dialects.c'), '-ldl'], { encoding: 'utf8' });
const noCompiler = compiled.error !== undefined || process.platform !== 'linux';

type Report = { readonly requests: number; readonly errors: number; readonly firstError: string; readonly maxNs: number; readonly buckets: Buckets };

let server: Server | null = null;
let connections = 0;
const held = new Set<Socket>();

function serve(answer: (text: string, socket: Socket) => void): Promise<string> {
  const path = join(directory, `s${Math.random().toString(36).slice(2)}`);
  connections = 0;
  server = createServer((socket) => {
    connections += 1;
    held.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => held.delete(socket));
    socket.setEncoding('utf8').on('data', (text: string) => answer(text, socket));
  });
  return new Promise((resolve) => server?.listen(path, () => resolve(path)));
}

function load(socket: string, ...args: readonly string[]): Promise<Report> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['--socket', socket, '--data', '{"ask":1}', ...args]);
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => void (out += chunk));
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(out) as Report) : reject(new Error(`status ${code}`))));
  });
}

afterEach(() => {
  for (const socket of held) socket.destroy();
  server?.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe.skipIf(noCompiler)('load generator (left out where there is no C compiler for Linux)', () => {
  const token = '{"access_token":"x"}\n';

  it('compiles without a warning', () => {
    expect(compiled.stderr).toBe('');
  });

  it('makes a connection a request, or keeps those of its callers', async () => {
    const path = await serve((_text, socket) => socket.write(token));
    expect(await load(path, '--dialect', 'line', '--callers', '4', '--requests', '40')).toMatchObject({ requests: 40, errors: 0 });
    expect(connections).toBe(40);
    connections = 0;
    expect(await load(path, '--dialect', 'line', '--callers', '4', '--requests', '40', '--kept')).toMatchObject({ requests: 40, errors: 0 });
    expect(connections).toBe(4);
  });

  it('shares callers and requests among processes', async () => {
    const path = await serve((_text, socket) => socket.write(token));
    expect(await load(path, '--dialect', 'line', '--callers', '6', '--processes', '3', '--requests', '31', '--kept')).toMatchObject({ requests: 31, errors: 0 });
    expect(connections).toBe(6);
  });

  it('takes an HTTP reply for whole when all of its body came, in however many pieces', async () => {
    let bodies = '';
    const path = await serve((text, socket) => {
      bodies += text;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${token.length}\r\n\r\n${token.slice(0, 5)}`);
      setImmediate(() => socket.write(token.slice(5)));
    });
    expect(await load(path, '--dialect', 'http', '--requests', '3', '--kept')).toMatchObject({ requests: 3, errors: 0 });
    expect(bodies).toContain('POST /v1/token HTTP/1.1');
    expect(bodies.split('{"ask":1}')).toHaveLength(4);
  });

  it('counts a refusal, a reply without a token and a server that hangs up as errors, not as answers', async () => {
    let turn = 0;
    const path = await serve((_text, socket) => {
      turn += 1;
      if (turn === 1) socket.write('{"status":429}\n');
      else if (turn === 2) socket.destroy();
      else socket.write(token);
    });
    expect(await load(path, '--dialect', 'line', '--requests', '5')).toMatchObject({ requests: 3, errors: 2, firstError: expect.stringContaining('429') as string });
  });

  it('counts latency in the open loop from when a request was due: one stall is charged to all behind it', async () => {
    const stallMs = 300;
    let isFirst = true;
    const path = await serve((_text, socket) => {
      if (!isFirst) socket.write(token);
      else setTimeout(() => socket.write(token), stallMs);
      isFirst = false;
    });
    const { requests, buckets, maxNs } = await load(path, '--dialect', 'line', '--callers', '1', '--rate', '100', '--seconds', '0.3', '--kept');
    const latencies = new Histogram().add(buckets, maxNs);
    expect(requests).toBe(30);
    // Due every 10 ms behind a stall of 300 ms: the median waited about half of it. A closed loop would show one slow request.
    expect(latencies.percentile(0.5)).toBeGreaterThan((stallMs / 4) * 1e6);
    expect(maxNs).toBeGreaterThanOrEqual(stallMs * 0.99e6);
  });
});
