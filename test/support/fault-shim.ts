/**
 * A network that misbehaves, between the daemon and a real authorization server: a proxy on a loopback port
 * that loses, delays, duplicates, truncates, drips, holds, resets or refuses, as a script or a seed says. It
 * keeps its own ledger of what came in and what went on, so that nothing has to be taken on the daemon's word.
 */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf } from '../../demo/issuer-endpoints.ts';
import type { Endpoint } from '../../demo/issuer-endpoints.ts';

export type Harm =
  | { readonly kind: 'pass' }
  /** The connection ends before anything was passed on. */
  | { readonly kind: 'reset_before' }
  /** The issuer answers, and the answer is thrown away: by a clean end of the connection, or a reset. */
  | { readonly kind: 'lose'; readonly how: 'end' | 'reset' }
  | { readonly kind: 'slow'; readonly ms: number }
  /** Announces the whole answer, sends this share of its body, and hangs up. */
  | { readonly kind: 'truncate'; readonly share: number }
  | { readonly kind: 'drip'; readonly pieces: number; readonly everyMs: number }
  /** The same answer twice on one connection: the second must not pass for the answer to what comes next. */
  | { readonly kind: 'answer_twice' }
  /** A proxy that repeats a POST: the issuer sees it twice, the client gets the first answer. */
  | { readonly kind: 'send_twice' }
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  /** Begins an answer that never ends, of as many bytes a second as the client takes. */
  | { readonly kind: 'flood' }
  /** The issuer answers at once; its answer goes on when the test says so. */
  | { readonly kind: 'hold'; readonly held: Held };

/** One answer that waits at the shim. */
export class Held {
  #arrive: () => void = () => undefined;
  #release: () => void = () => undefined;
  /** Resolves when the issuer has answered. */
  readonly arrived = new Promise<void>((resolve) => { this.#arrive = resolve; });
  readonly released = new Promise<void>((resolve) => { this.#release = resolve; });

  arrive(): void {
    this.#arrive();
  }

  release(): void {
    this.#release();
  }
}

export type Passed = {
  readonly endpoint: Endpoint;
  readonly params: Readonly<Record<string, string>>;
  readonly atMs: number;
  readonly harm: Harm['kind'];
  /** How often it reached the issuer. */
  forwarded: number;
  /** What the issuer said; null: it was not asked, or did not say. */
  status: number | null;
  /** Whether a whole answer left for the client. */
  delivered: boolean;
};

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer };
const PASS: Harm = { kind: 'pass' };

export class FaultShim {
  /** Where the issuer really listens; set before the first request. */
  upstream = '';
  /** Decides for each request that no script claims. */
  judge: (passed: Passed) => Harm = () => PASS;
  /** A server that refuses a consumed refresh token and lets its family live: answered here, by the answers seen. */
  refusesReused = false;
  readonly log: Passed[] = [];
  readonly #script = new Map<Endpoint, Harm[]>();
  readonly #sockets = new Set<Socket>();
  readonly #consumed = new Set<string>();
  readonly #server: Server;
  #port = 0;

  private constructor() {
    this.#server = createServer((req, res) => {
      // Whoever hung up in the middle has its own entry in the log.
      this.#serve(req, res).catch(() => req.socket.destroy());
    });
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined); // resets are what this is for
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(): Promise<FaultShim> {
    const shim = new FaultShim();
    await shim.up();
    return shim;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** The next request to the endpoint that no other script claims meets this. */
  next(endpoint: Endpoint, ...harms: readonly Harm[]): void {
    this.#script.set(endpoint, [...(this.#script.get(endpoint) ?? []), ...harms]);
  }

  clear(): void {
    this.#script.clear();
    this.judge = () => PASS;
  }

  /** Connections are refused, as by a host that is there and a server that is not. */
  async down(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Every connection breaks, as when a network changes. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.down();
  }

  requests(endpoint: Endpoint, grantType: string | null = null): readonly Passed[] {
    return this.log.filter((each) => each.endpoint === endpoint && (grantType === null || each.params['grant_type'] === grantType));
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readAll(req);
    const isForm = /urlencoded/.test(req.headers['content-type'] ?? '');
    const endpoint = endpointOf(req.url ?? '/', '');
    const draft = { endpoint, params: isForm ? Object.fromEntries(new URLSearchParams(body.toString())) : {}, atMs: performance.now(), forwarded: 0, status: null, delivered: false };
    const harm = this.#script.get(endpoint)?.shift() ?? this.judge({ ...draft, harm: 'pass' });
    const passed: Passed = { ...draft, harm: harm.kind };
    this.log.push(passed);
    const refused = this.#reused(passed);
    const ask = (): Promise<Answer> => (refused ? Promise.resolve(REUSED) : this.#forward(req, body, passed));
    const { socket } = req;
    switch (harm.kind) {
      case 'reset_before':
        socket.resetAndDestroy();
        return;
      case 'status':
        give(res, { status: harm.status, headers: { 'content-type': 'text/plain', ...harm.headers }, body: Buffer.from(harm.body ?? '') });
        passed.delivered = true;
        return;
      case 'lose':
        await ask();
        if (harm.how === 'reset') socket.resetAndDestroy();
        else socket.end();
        return;
      case 'truncate': {
        const { status, headers, body: answer } = await ask();
        res.writeHead(status, { ...kept(headers), 'content-length': answer.length });
        res.write(answer.subarray(0, Math.floor(answer.length * harm.share)), () => socket.destroy());
        return;
      }
      case 'drip': {
        const { status, headers, body: answer } = await ask();
        res.writeHead(status, { ...kept(headers), 'content-length': answer.length });
        const size = Math.ceil(answer.length / harm.pieces);
        for (let at = 0; at < answer.length && !socket.destroyed; at += size) {
          res.write(answer.subarray(at, at + size));
          await sleep(harm.everyMs);
        }
        res.end();
        passed.delivered = !socket.destroyed;
        return;
      }
      case 'answer_twice': {
        const { status, headers, body: answer } = await ask();
        const head = [`HTTP/1.1 ${status} Again`, ...Object.entries({ ...kept(headers), 'content-length': answer.length }).map(([name, value]) => `${name}: ${String(value)}`), '', ''].join('\r\n');
        const whole = Buffer.concat([Buffer.from(head), answer]);
        socket.write(Buffer.concat([whole, whole]));
        passed.delivered = true;
        await sleep(20);
        socket.destroy();
        return;
      }
      case 'send_twice': {
        const first = await ask();
        await this.#forward(req, body, passed);
        give(res, first);
        break;
      }
      case 'flood':
        await ask();
        res.writeHead(200, { 'content-type': 'application/json' });
        while (!socket.destroyed) {
          res.write('{"access_token":'.repeat(1_000));
          await sleep(1);
        }
        return;
      case 'slow':
        await sleep(harm.ms);
        give(res, await ask());
        break;
      case 'hold': {
        const answer = await ask();
        harm.held.arrive();
        await harm.held.released;
        if (socket.destroyed) return;
        give(res, answer);
        break;
      }
      case 'pass':
        give(res, await ask());
        break;
    }
    passed.delivered = !socket.destroyed;
  }

  #reused({ endpoint, params }: Passed): boolean {
    return this.refusesReused && endpoint === 'token' && this.#consumed.has(params['refresh_token'] ?? '');
  }

  /** The Host header stays as it came: the issuer makes its URLs from it. */
  async #forward(req: IncomingMessage, body: Buffer, passed: Passed): Promise<Answer> {
    passed.forwarded += 1;
    const answer = await new Promise<Answer>((resolve, reject) => {
      const upstream = request(`${this.upstream}${req.url ?? '/'}`, { method: req.method ?? 'GET', headers: req.headers, agent: false }, (res) => {
        readAll(res).then((whole) => resolve({ status: res.statusCode ?? 502, headers: res.headers, body: whole }), reject);
      });
      upstream.on('error', reject);
      upstream.end(body);
    });
    passed.status ??= answer.status;
    const sent = passed.params['refresh_token'];
    if (passed.endpoint === 'token' && sent !== undefined && answer.status === 200 && !answer.body.includes(`"${sent}"`)) this.#consumed.add(sent);
    return answer;
  }
}

const REUSED: Answer = { status: 400, headers: { 'content-type': 'application/json' }, body: Buffer.from('{"error":"invalid_grant","error_description":"the refresh token was used before"}') };

/** Of one hop only (RFC 9110, section 7.6.1), or made anew. */
function kept({ connection: _c, 'keep-alive': _k, 'transfer-encoding': _t, 'content-length': _l, ...rest }: IncomingHttpHeaders): IncomingHttpHeaders {
  return rest;
}

function give(res: ServerResponse, { status, headers, body }: Answer): void {
  res.writeHead(status, { ...kept(headers), 'content-length': body.length });
  res.end(body);
}

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
