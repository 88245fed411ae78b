/**
 * Two hundred callers in four processes that all ask at the same moment, in one of the ways in which callers do:
 * over HTTP on kept connections, in frames with all ids in flight on one connection, in frames with a connection
 * for each request, or as two hundred processes of the C launcher.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const PROCESSES = 4;
const CLIENTS = 50;
export const CALLERS = PROCESSES * CLIENTS;

export type Manner = 'http' | 'frames' | 'frames, a connection each' | 'launcher';
type Place = { readonly socket: string; readonly env: Readonly<Record<string, string>>; readonly launcher: string };

/** What each program has before its own ask(body), which resolves to the tokens, or to what came instead. */
const HEAD = `
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
const [, place, clients] = process.argv;
const each = (one) => Promise.all(Array.from({ length: Number(clients) }, (_, n) => one(n)));
const frame = (id, data) => JSON.stringify({ type: 'token', id, protocol: 1, data }) + '\\n';
/** @returns resolves when so many frames came */
const frames = (socket, count) => new Promise((resolve) => {
  let text = '';
  const told = () => text.split('\\n').slice(0, -1).map((line) => JSON.parse(line));
  socket.setEncoding('utf8').on('data', (chunk) => { text += chunk; if (told().length >= count) resolve(told()); });
  socket.on('error', (cause) => resolve([String(cause)])).on('close', () => resolve(told()));
});
const tokenIn = (answer) => answer?.data?.access_token ?? JSON.stringify(answer);
`;

const ASK: Readonly<Record<Manner, string>> = {
  http: `
const agent = new Agent({ keepAlive: true, maxSockets: Number(clients) });
const ask = (body) => each(() => new Promise((resolve) => {
  const req = request({ socketPath: place, agent, method: 'POST', path: '/v1/token', headers: { 'content-type': 'application/json' } }, (res) => {
    let text = '';
    res.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
    res.on('end', () => resolve(res.statusCode === 200 ? JSON.parse(text).access_token : text));
  });
  req.on('error', (cause) => resolve(String(cause)));
  req.end(JSON.stringify(body));
}));`,
  frames: `
const ask = async (body) => {
  const socket = connect(place);
  const came = frames(socket, Number(clients));
  for (let id = 1; id <= Number(clients); id += 1) socket.write(frame(id, body));
  const answers = await came;
  socket.destroy();
  const ids = new Set(answers.map(({ id }) => id));
  return ids.size === Number(clients) ? answers.map(tokenIn) : ['ids: ' + [...ids].join()];
};`,
  'frames, a connection each': `
const ask = (body) => each(async (n) => {
  const socket = connect(place);
  socket.write(frame(n, body));
  const [answer] = await frames(socket, 1);
  socket.destroy();
  return answer?.id === n ? tokenIn(answer) : JSON.stringify(answer);
});`,
  launcher: `
const ask = ({ profile, min_ttl_s }) => each(() => new Promise((resolve) => {
  const child = spawn(place, ['token', profile, '--min-ttl', String(min_ttl_s)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  child.on('error', (cause) => resolve(String(cause)));
  child.on('close', () => resolve(text.trim()));
}));`,
};

const TAIL = `
createInterface({ input: process.stdin }).on('line', async (line) => {
  process.stdout.write(JSON.stringify(await ask(JSON.parse(line))) + '\\n');
}).on('close', () => process.exit());
`;

export class Crowd {
  readonly #children: readonly ChildProcess[];
  readonly #lines: readonly AsyncIterator<string>[];

  constructor(manner: Manner, { socket, env, launcher }: Place) {
    const place = manner === 'launcher' ? launcher : socket;
    this.#children = Array.from({ length: PROCESSES }, () => spawn(process.execPath, ['--input-type=module', '-e', HEAD + ASK[manner] + TAIL, place, String(CLIENTS)], { env, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] }));
    this.#lines = this.#children.map((child) => {
      if (child.stdout === null) throw new Error('a crowd without a voice');
      return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    });
  }

  /** One answer a caller: its token, or what came instead. */
  async ask(body: { readonly profile: string; readonly min_ttl_s: number }): Promise<readonly string[]> {
    for (const child of this.#children) child.stdin?.write(`${JSON.stringify(body)}\n`);
    const answers = await Promise.all(this.#lines.map(async (lines) => JSON.parse((await lines.next()).value as string) as readonly string[]));
    return answers.flat();
  }

  async leave(): Promise<void> {
    await Promise.all(this.#children.map(async (child) => {
      const gone = once(child, 'exit');
      child.stdin?.end();
      await gone;
    }));
  }
}
