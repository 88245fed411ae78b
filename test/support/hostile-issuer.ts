/**
 * A reverse proxy in front of the embedded issuer that misbehaves on demand. Discovery names the proxy's own
 * origin, so a client never sees the issuer itself. Faults are laid down per endpoint and taken up in the
 * order in which they were laid; without one, a request passes untouched. Every request is logged with its
 * time, its parameters and what was done to it.
 */
import { once } from 'node:events';
import { createServer, request as forwardRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer, IssuerOptions } from '../../demo/issuer.ts';
import { endpointOf } from '../../demo/issuer-endpoints.ts';
import type { Endpoint } from '../../demo/issuer-endpoints.ts';
import { listening } from './listening.ts';

type Json = Record<string, unknown>;

export type Fault =
  /** Waits, then does the next thing: `then`, or passes the request on. */
  | { readonly kind: 'delay'; readonly ms: number; readonly then?: Fault }
  /** Passes the request on and sends the answer in pieces. */
  | { readonly kind: 'drip'; readonly bytes: number; readonly everyMs: number }
  /** Answers without the issuer. */
  | { readonly kind: 'answer'; readonly status: number; readonly headers?: OutgoingHttpHeaders; readonly body?: string }
  /** A body of this many zero bytes inside a JSON string, as it is or gzipped. */
  | { readonly kind: 'huge'; readonly bytes: number; readonly gzip: boolean }
  /** Passes the request on, announces the whole answer, and hangs up in the middle. */
  | { readonly kind: 'truncated' }
  | { readonly kind: 'drop_before' }
  /** Passes the request on and hangs up instead of answering: the answer is lost. */
  | { readonly kind: 'drop_after' }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Passes the request on twice and gives the first answer. */
  | { readonly kind: 'duplicate' }
  /** Another Date, or none, on the answer of the issuer. */
  | { readonly kind: 'dated'; readonly date: string | null }
  | { readonly kind: 'edit_json'; readonly edit: (body: Json) => Json | Promise<Json> }
  /** Changes a redirect that leaves the issuer: the authorization response. Those between its own pages pass. */
  | { readonly kind: 'edit_location'; readonly edit: (target: URL) => void };

export type LoggedRequest = {
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly params: Readonly<Record<string, string>>;
  /** Milliseconds of the monotonic clock, for gaps between requests. */
  readonly atMs: number;
  readonly fault: Fault['kind'] | null;
};

export type FaultHandle = {
  /** How often it was taken up so far. */
  readonly hits: number;
  cancel(): void;
};

export type HostileIssuer = {
  /** The issuer identifier: the proxy's. */
  readonly url: string;
  /** What stands behind it. */
  readonly issuer: EmbeddedIssuer;
  readonly log: readonly LoggedRequest[];
  /** @param times - how often; default once. */
  fault(endpoint: Endpoint, fault: Fault, times?: number): FaultHandle;
  requestsTo(endpoint: Endpoint): readonly LoggedRequest[];
  close(): Promise<void>;
};

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store' };

/** The faults by name. */
export const faults = {
  delay: (ms: number, then?: Fault): Fault => ({ kind: 'delay', ms, ...(then === undefined ? {} : { then }) }),
  drip: (bytes: number, everyMs: number): Fault => ({ kind: 'drip', bytes, everyMs }),
  /** @param retryAfter - seconds, or a date that is sent as an HTTP date. */
  status: (status: number, retryAfter?: number | Date): Fault => ({
    kind: 'answer', status, body: 'not now\n',
    headers: { 'content-type': 'text/plain', ...(retryAfter === undefined ? {} : { 'retry-after': typeof retryAfter === 'number' ? String(retryAfter) : retryAfter.toUTCString() }) },
  }),
  oauthError: (error: string, description = 'as the test wants it', status = 400): Fault => ({
    kind: 'answer', status, headers: JSON_HEADERS, body: JSON.stringify({ error, error_description: description }),
  }),
  slowDown: (): Fault => faults.oauthError('slow_down'),
  malformed: (): Fault => ({ kind: 'answer', status: 200, headers: JSON_HEADERS, body: '{"access_token": "cut-off-EXAMPLE", ' }),
  html: (status = 200): Fault => ({ kind: 'answer', status, headers: { 'content-type': 'text/html' }, body: '<!doctype html><title>Captive portal</title>' }),
  json: (body: unknown, status = 200): Fault => ({ kind: 'answer', status, headers: JSON_HEADERS, body: JSON.stringify(body) }),
  huge: (bytes = 64 * 1024 * 1024): Fault => ({ kind: 'huge', bytes, gzip: false }),
  gzipBomb: (bytes = 256 * 1024 * 1024): Fault => ({ kind: 'huge', bytes, gzip: true }),
  redirect: (status: 301 | 302 | 303 | 307 | 308, to: string): Fault => ({ kind: 'answer', status, headers: { location: to } }),
  truncated: (): Fault => ({ kind: 'truncated' }),
  dropBefore: (): Fault => ({ kind: 'drop_before' }),
  lostAnswer: (): Fault => ({ kind: 'drop_after' }),
  hang: (): Fault => ({ kind: 'hang' }),
  duplicate: (): Fault => ({ kind: 'duplicate' }),
  dated: (date: Date | string | null): Fault => ({ kind: 'dated', date: date instanceof Date ? date.toUTCString() : date }),
  editJson: (edit: (body: Json) => Json | Promise<Json>): Fault => ({ kind: 'edit_json', edit }),
  /** Members are set; those that are undefined are taken away. */
  withMembers: (members: Json): Fault => ({ kind: 'edit_json', edit: (body) => ({ ...body, ...members }) }),
  editLocation: (edit: (target: URL) => void): Fault => ({ kind: 'edit_location', edit }),
  withoutIss: (): Fault => ({ kind: 'edit_location', edit: (target) => target.searchParams.delete('iss') }),
  wrongIss: (iss: string): Fault => ({ kind: 'edit_location', edit: (target) => target.searchParams.set('iss', iss) }),
  /** A well signed ID token with other claims: another nonce, another subject, expired, … */
  editIdToken: (issuer: EmbeddedIssuer, edit: (claims: Json) => Json, header: Readonly<Record<string, string>> = {}): Fault => ({
    kind: 'edit_json',
    edit: async (body) => {
      const claims = JSON.parse(Buffer.from(String(body['id_token']).split('.')[1] ?? '', 'base64url').toString()) as Json;
      return { ...body, id_token: await issuer.signJwt(edit(claims), header) };
    },
  }),
} as const;

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: Buffer };

async function readAll(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The Host header stays as it came: the issuer makes its URLs from it. */
function forward(origin: string, req: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const upstream = forwardRequest(`${origin}${req.url ?? '/'}`, { method: req.method ?? 'GET', headers: req.headers, agent: false }, (answer) => {
      readAll(answer).then((whole) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: whole }), reject);
    });
    upstream.on('error', reject);
    upstream.end(body);
  });
}

function give(res: ServerResponse, { status, headers, body }: Answer): void {
  const { 'transfer-encoding': _chunked, 'content-length': _length, connection: _connection, ...kept } = headers;
  res.writeHead(status, { ...kept, 'content-length': body.length }).end(body);
}

async function giveInPieces(res: ServerResponse, answer: Answer, bytes: number, everyMs: number): Promise<void> {
  const { 'transfer-encoding': _chunked, connection: _connection, ...kept } = answer.headers;
  res.writeHead(answer.status, { ...kept, 'content-length': answer.body.length });
  for (let at = 0; at < answer.body.length && !res.destroyed; at += bytes) {
    res.write(answer.body.subarray(at, at + bytes));
    await sleep(everyMs);
  }
  res.end();
}

async function giveHuge(res: ServerResponse, bytes: number, gzip: boolean): Promise<void> {
  res.writeHead(200, { ...JSON_HEADERS, ...(gzip ? { 'content-encoding': 'gzip' } : {}) });
  const piece = Buffer.alloc(64 * 1024, '0');
  const out = gzip ? createGzip() : res;
  if (out !== res) out.pipe(res);
  // The client hangs up long before the end, if it is any good.
  out.on('error', () => out.destroy());
  const gone = once(res, 'close').then(() => false);
  out.write('{"access_token":"');
  for (let sent = 0; sent < bytes && !res.destroyed; sent += piece.length) {
    if (!out.write(piece) && !await Promise.race([once(out, 'drain').then(() => true), gone])) return;
  }
  if (!res.destroyed) out.end('"}');
}

/** Where a redirect to another host or port goes; null for every other answer. */
function leavingTarget(answer: Answer, ownHost: string | undefined): URL | null {
  const { location } = answer.headers;
  if (location === undefined || !URL.canParse(location)) return null;
  const target = new URL(location);
  return target.host === ownHost ? null : target;
}

async function commit(fault: Fault | null, origin: string, req: IncomingMessage, res: ServerResponse, body: Buffer, putBack: () => void): Promise<void> {
  if (fault === null) return give(res, await forward(origin, req, body));
  switch (fault.kind) {
    case 'delay':
      await sleep(fault.ms);
      return commit(fault.then ?? null, origin, req, res, body, putBack);
    case 'answer': {
      const text = Buffer.from(fault.body ?? '');
      res.writeHead(fault.status, { ...fault.headers, 'content-length': text.length }).end(text);
      return;
    }
    case 'huge':
      return giveHuge(res, fault.bytes, fault.gzip);
    case 'drip':
      return giveInPieces(res, await forward(origin, req, body), fault.bytes, fault.everyMs);
    case 'hang':
      return;
    case 'drop_before':
      res.destroy();
      return;
    case 'drop_after':
      await forward(origin, req, body);
      res.destroy();
      return;
    case 'truncated': {
      const answer = await forward(origin, req, body);
      res.writeHead(answer.status, { 'content-type': answer.headers['content-type'] ?? 'application/json', 'content-length': answer.body.length });
      res.write(answer.body.subarray(0, answer.body.length >> 1), () => res.destroy());
      return;
    }
    case 'duplicate': {
      const first = await forward(origin, req, body);
      await forward(origin, req, body);
      return give(res, first);
    }
    case 'dated': {
      const { headers: { date: _date, ...headers }, ...answer } = await forward(origin, req, body);
      res.sendDate = false;
      return give(res, { ...answer, headers: { ...headers, ...(fault.date === null ? {} : { date: fault.date }) } });
    }
    case 'edit_json': {
      const answer = await forward(origin, req, body);
      const edited = await fault.edit(JSON.parse(answer.body.toString()) as Json);
      return give(res, { ...answer, body: Buffer.from(JSON.stringify(edited)) });
    }
    case 'edit_location': {
      const answer = await forward(origin, req, body);
      const target = leavingTarget(answer, req.headers.host);
      if (target === null) {
        putBack();
        return give(res, answer);
      }
      fault.edit(target);
      return give(res, { ...answer, headers: { ...answer.headers, location: target.href } });
    }
  }
}

export async function startHostileIssuer(options: IssuerOptions = {}): Promise<HostileIssuer> {
  const log: LoggedRequest[] = [];
  const laid = new Map<Endpoint, { readonly fault: Fault; left: number; hits: number }[]>();
  const server = createServer();
  const { port, close } = await listening(server);
  const publicOrigin = `http://127.0.0.1:${port}`;
  const issuer = await startIssuer({ ...options, publicOrigin });

  server.on('request', (req, res) => {
    const serve = async (): Promise<void> => {
      const atMs = performance.now();
      const url = req.url ?? '/';
      const endpoint = endpointOf(url, options.path ?? '');
      const body = await readAll(req);
      const params = { ...Object.fromEntries(new URL(url, publicOrigin).searchParams), ...Object.fromEntries(new URLSearchParams(body.toString())) };
      const queue = laid.get(endpoint) ?? [];
      const next = queue.find((entry) => entry.left > 0);
      const take = (times: number): void => {
        if (next === undefined) return;
        next.left -= times;
        next.hits += times;
      };
      take(1);
      log.push({ endpoint, method: req.method ?? '', url, headers: req.headers, params, atMs, fault: next?.fault.kind ?? null });
      await commit(next?.fault ?? null, issuer.origin, req, res, body, () => take(-1));
    };
    // Whatever goes wrong between the two ends is a connection that breaks; nothing here is worth a message.
    serve().catch(() => res.destroy());
  });

  return {
    url: issuer.url,
    issuer,
    log,
    fault(endpoint, fault, times = 1) {
      const entry = { fault, left: times, hits: 0 };
      laid.set(endpoint, [...laid.get(endpoint) ?? [], entry]);
      return {
        get hits() {
          return entry.hits;
        },
        cancel() {
          entry.left = 0;
        },
      };
    },
    requestsTo: (endpoint) => log.filter((each) => each.endpoint === endpoint),
    async close() {
      await close();
      await issuer.close();
    },
  };
}
