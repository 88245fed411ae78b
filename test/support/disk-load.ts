/**
 * Callers that ask without end, in a process of their own: kept and fresh connections, requests that are cut in
 * the middle, event streams that are opened and dropped, sign-ins that are begun and cancelled, a profile
 * that nobody signed in to, nonsense, and the line dialect where the daemon speaks it.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Uid } from './disk-person.ts';

export type Load = {
  readonly child: ChildProcess;
  /** Answers by what was asked and how it ended. */
  readonly done: Promise<Readonly<Record<string, number>>>;
  /** How many answers came so far. */
  readonly count: () => number;
};

const PROGRAM = `
const { Agent, request } = require('node:http');
const { connect } = require('node:net');
const [socketPath, total, seed, dialect] = [process.argv[1], +process.argv[2], +process.argv[3], process.argv[4] === 'true'];
let state = seed >>> 0;
const fraction = () => { state = (Math.imul(state ^ (state >>> 15), 2246822507) + 0x6d2b79f5) >>> 0; return ((state ^ (state >>> 13)) >>> 0) / 4294967296; };
const kept = new Agent({ keepAlive: true, maxSockets: 4 });
const tally = {};
let done = 0;
const count = (what) => { tally[what] = (tally[what] ?? 0) + 1; done += 1; if (done % 50 === 0) console.log(JSON.stringify({ done })); };
function http(what, method, path, body, { agent = kept, cut = false } = {}) {
  return new Promise((resolve) => {
    const payload = body === undefined ? null : JSON.stringify(body);
    const req = request({ socketPath, method, path, agent, headers: payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) } }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        let parsed = null;
        try { parsed = JSON.parse(text); } catch { parsed = null; }
        count(what + ' ' + (res.statusCode === 200 ? 'ok' : parsed?.code ?? res.statusCode));
        resolve(parsed);
      });
      res.on('error', () => { count(what + ' broken'); resolve(null); });
    });
    req.on('error', () => { count(what + (cut ? ' cut' : ' broken')); resolve(null); });
    req.end(payload);
    if (cut) setTimeout(() => req.destroy(), Math.floor(fraction() * 4));
  });
}
function stream() {
  return new Promise((resolve) => {
    const req = request({ socketPath, path: '/v1/events', agent: false }, (res) => {
      res.on('data', () => undefined);
      res.on('error', () => undefined);
      setTimeout(() => { req.destroy(); count('stream ' + (res.statusCode === 200 ? 'ok' : res.statusCode)); resolve(); }, Math.floor(fraction() * 20));
    });
    req.on('error', () => resolve());
    req.end();
  });
}
async function signIn() {
  const login = await http('login', 'POST', '/v1/logins', { profile: 'spare' });
  if (login?.id !== undefined) await http('cancel', 'DELETE', '/v1/logins/' + login.id);
}
let line = null;
let waiting = new Map();
let last = 0;
function speak() {
  if (line === null) {
    line = connect(socketPath);
    let text = '';
    line.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      for (let at = text.indexOf('\\n'); at >= 0; at = text.indexOf('\\n')) {
        const frame = JSON.parse(text.slice(0, at));
        text = text.slice(at + 1);
        const resolve = waiting.get(frame.id);
        waiting.delete(frame.id);
        if (resolve !== undefined) { count('line ' + (frame.data?.access_token === undefined ? frame.data?.code ?? 'other' : 'ok')); resolve(); }
      }
    });
    const gone = () => { line = null; const left = [...waiting.values()]; waiting = new Map(); for (const resolve of left) { count('line broken'); resolve(); } };
    line.on('close', gone).on('error', () => undefined);
  }
  return new Promise((resolve) => {
    last += 1;
    waiting.set(last, resolve);
    line.write(JSON.stringify({ type: 'token', id: last, data: { profile: 'work' } }) + '\\n');
    if (fraction() < 0.01) line.destroy();
  });
}
function one() {
  const at = fraction();
  if (dialect && at < 0.4) return speak();
  if (at < 0.80) return http('token', 'POST', '/v1/token', { profile: 'work' });
  if (at < 0.88) return http('fresh', 'POST', '/v1/token', { profile: 'work' }, { agent: false });
  if (at < 0.91) return http('cut', 'POST', '/v1/token', { profile: 'work', force: fraction() < 0.2 }, { agent: false, cut: true });
  if (at < 0.94) return http('refresh', 'POST', '/v1/token', { profile: 'work', force: true });
  if (at < 0.955) return http('absent', 'POST', '/v1/token', { profile: 'spare', force: true, wait_s: 2 });
  if (at < 0.97) return http('status', 'GET', '/v1/status');
  if (at < 0.98) return http('nonsense', 'POST', '/v1/token', { profile: 'no-such-profile', wait_s: 'x' });
  if (at < 0.99) return stream();
  return signIn();
}
async function lane() { while (done < total) await one(); }
Promise.all(Array.from({ length: 8 }, lane)).then(() => { console.log(JSON.stringify({ done, tally })); process.exit(); });
`;

/** @param desktop - where the callers' display server is: a sign-in needs one */
export function startLoad(socket: string, requests: number, seed: number, speaksLines: boolean, as: Uid, desktop: Readonly<Record<string, string>>): Load {
  const child = spawn(process.execPath, ['-e', PROGRAM, socket, String(requests), String(seed), String(speaksLines)], { env: { PATH: process.env['PATH'] ?? '', ...desktop }, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'], ...as });
  let last: { readonly done: number; readonly tally?: Readonly<Record<string, number>> } = { done: 0 };
  createInterface({ input: child.stdout }).on('line', (line) => { last = JSON.parse(line) as typeof last; });
  const done = new Promise<Readonly<Record<string, number>>>((resolve, reject) => {
    child.once('close', (code) => (last.tally === undefined ? reject(new Error(`the callers ended early, with status ${String(code)}`)) : resolve(last.tally)));
  });
  return { child, done, count: () => last.done };
}
