/**
 * A process of its own that asks the daemon over the socket, as the user whose daemon it is: the door lets
 * nobody else in, and a sign-in needs a caller at a desktop. One JSON document a line, both ways.
 */
import { spawn } from 'node:child_process';
import { chownSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { readablePlace } from './readable-place.ts';

// oxlint-disable-next-line no-explicit-any -- a test reads whatever it expects of a reply
export type Reply = { readonly status: number; readonly body: any; readonly ms: number; readonly failed: string | null };

export type Person = {
  readonly pid: number;
  /** The variables that make a process one of this person's desktop. */
  readonly desktop: Readonly<Record<string, string>>;
  ask(method: string, path: string, body?: unknown): Promise<Reply>;
  /** Signs in there with the scripted browser: the listener takes nobody else's. */
  browse(url: string, login: string): Promise<void>;
  /** Writes these bytes and returns the first that come back. */
  say(text: string): Promise<string>;
  /** Connections that say nothing and stay, until the door refuses; how many were open at the end. */
  hold(connections: number): Promise<number>;
  letGo(): Promise<void>;
  leave(): Promise<void>;
};

export type Uid = { readonly uid?: number; readonly gid?: number };

/** Runs in a process of its own from its text; it may use nothing of this file. */
const PROGRAM = `
const { request } = require('node:http');
const { connect } = require('node:net');
const socketPath = process.argv[1];
const held = new Set();
const tell = (answer) => process.stdout.write(JSON.stringify(answer) + '\\n');
function ask({ id, method, path, body }) {
  const began = performance.now();
  const end = (answer) => tell({ id, ms: performance.now() - began, failed: null, status: 0, body: null, ...answer });
  const payload = body === undefined ? null : JSON.stringify(body);
  const headers = payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  const req = request({ socketPath, method, path, agent: false, headers }, (res) => {
    const chunks = [];
    res.on('data', (chunk) => chunks.push(chunk));
    res.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      end({ status: res.statusCode, body: /json/.test(res.headers['content-type'] ?? '') ? JSON.parse(text) : text });
    });
    res.on('error', (error) => end({ failed: error.code ?? error.message }));
  });
  req.on('error', (error) => end({ failed: error.code ?? error.message }));
  req.end(payload);
}
function say({ id, text }) {
  let heard = '';
  const socket = connect(socketPath).setTimeout(5000).setEncoding('utf8');
  socket.on('timeout', () => socket.destroy());
  socket.on('data', (chunk) => { heard += chunk; socket.destroy(); });
  socket.on('error', () => undefined);
  socket.on('close', () => tell({ id, heard }));
  socket.write(text);
}
function hold({ id, connections }) {
  let settled = 0;
  // What is refused is closed a moment after it was accepted, and a busy machine takes its time.
  const calm = (before, tries) => setTimeout(() => (held.size === before || tries === 0 ? tell({ id, held: held.size }) : calm(held.size, tries - 1)), 250);
  const settle = () => { settled += 1; if (settled === connections) calm(-1, 12); };
  for (let i = 0; i < connections; i += 1) {
    const socket = connect(socketPath);
    let counted = false;
    const once = () => { if (!counted) { counted = true; settle(); } };
    socket.on('connect', () => { held.add(socket); once(); });
    socket.on('error', once);
    socket.on('close', () => { held.delete(socket); once(); });
  }
}
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const asked = JSON.parse(line);
  if (asked.do === 'browse') import(process.argv[2]).then(({ followLogin }) => followLogin(asked.url, { login: asked.login })).catch(() => null).then(() => tell({ id: asked.id }));
  else if (asked.do === 'say') say(asked);
  else if (asked.do === 'hold') hold(asked);
  else if (asked.do === 'letGo') { for (const socket of held) socket.destroy(); held.clear(); tell({ id: asked.id }); }
  else ask(asked);
}).on('close', () => process.exit());
`;

/** @param runDir - of the same user; a display server's socket is put there, which makes this a desktop */
export async function startPerson(socket: string, runDir: string, as: Uid, name = 'person'): Promise<Person> {
  const display = join(runDir, `wayland-${name}`);
  const screen = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve) => { screen.listen(display, resolve); });
  if (as.uid !== undefined) chownSync(display, as.uid, as.gid ?? as.uid);
  const desktop = { WAYLAND_DISPLAY: display, XDG_RUNTIME_DIR: runDir };
  const env = { PATH: process.env['PATH'] ?? '', ...desktop };
  const child = spawn(process.execPath, ['-e', PROGRAM, socket, pathToFileURL(readablePlace().browser).href], { env, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'], ...as });
  const waiting = new Map<number, (answer: Record<string, unknown>) => void>();
  let last = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, ...answer } = JSON.parse(line) as Record<string, unknown> & { readonly id: number };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  child.stdin.on('error', () => undefined); // it was ended
  const gone = new Promise<void>((resolve) => { child.once('exit', () => resolve()); });
  void gone.then(() => { for (const answer of waiting.values()) answer({ status: 0, body: null, ms: 0, failed: 'the person left', held: 0 }); });
  const send = (message: object): Promise<Record<string, unknown>> => new Promise((resolve) => {
    last += 1;
    waiting.set(last, resolve);
    child.stdin.write(`${JSON.stringify({ ...message, id: last })}\n`);
  });
  return {
    pid: child.pid ?? 0,
    desktop,
    ask: async (method, path, body) => await send({ method, path, body }) as Reply,
    browse: async (url, login) => void await send({ do: 'browse', url, login }),
    say: async (words) => String((await send({ do: 'say', text: words }))['heard'] ?? ''),
    hold: async (connections) => Number((await send({ do: 'hold', connections }))['held']),
    letGo: async () => void await send({ do: 'letGo' }),
    async leave() {
      child.kill('SIGKILL');
      await gone;
      await new Promise<void>((resolve) => { screen.close(() => resolve()); });
    },
  };
}
