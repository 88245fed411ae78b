/** A real listener in this process, a fake kernel that says whose a connection is, and a plain HTTP client. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { Secret } from '../../daemon/core/secret.ts';
import type { LoopbackListener } from '../../daemon/core/loopback-port.ts';
import { createLoopback } from '../../daemon/loopback/loopback.ts';
import { LogSink } from './fakes.ts';

export const UID = 1000;
export const ISSUER = 'https://issuer.example';
export const AUTHORIZE = `${ISSUER}/authorize?client_id=cli&request_uri=urn:EXAMPLE`;
export const STATE = 'state-of-this-login-EXAMPLE';

export type Reply = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

export type Rig = {
  readonly listener: LoopbackListener;
  readonly log: LogSink;
  readonly refused: { readonly reason: string; readonly uid: number | null }[];
  /** Whose connections are from now on. */
  owner: number | null | Error;
  /** How often the kernel was asked, and what its answers wait for. */
  lookups: number;
  until: Promise<void>;
  arm(iss?: { readonly issuer: string; readonly required: boolean }): void;
  /** GETs a path of the listener on a connection of its own. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** Fetches /start and answers the cookie pair. */
  start(): Promise<string>;
  callbackPath(parameters?: Readonly<Record<string, string>>): string;
  /** Follows the callback's 303 to the clean page. */
  page(callback: Reply, cookie: string): Promise<Reply>;
};

export async function openRig(options: { readonly ports?: readonly number[]; readonly path?: string } = {}): Promise<Rig> {
  const log = new LogSink();
  const refused: Rig['refused'] = [];
  const path = options.path ?? '/callback/issuer-a';
  const loopback = createLoopback({
    random: { token: (bytes) => randomBytes(bytes).toString('base64url'), fraction: () => 0.5 },
    log,
    ownerOf: async () => {
      rig.lookups += 1;
      await rig.until;
      if (rig.owner instanceof Error) throw rig.owner;
      return rig.owner;
    },
    onRefused: (event) => refused.push(event),
  });
  const listener = await loopback.open({ ports: options.ports ?? [], path, uid: UID });
  const rig: Rig = {
    listener, log, refused, owner: UID, lookups: 0, until: Promise.resolve(),
    arm: (iss = { issuer: ISSUER, required: true }) => listener.arm(async () => AUTHORIZE, new Secret(STATE), iss),
    get: (target, headers) => httpGet(listener.port, target, headers),
    async start() {
      const { headers } = await rig.get(new URL(listener.startUrl).pathname);
      return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    },
    callbackPath: (parameters = { code: 'code-EXAMPLE', state: STATE, iss: ISSUER }) => `${path}?${new URLSearchParams(parameters)}`,
    page: (callback, cookie) => rig.get(new URL(callback.headers.location ?? '').pathname, { Cookie: cookie }),
  };
  return rig;
}

/** One GET, or another method, with headers as given; no redirect is followed. */
export function httpGet(port: number, path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent: false, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => { body += text; });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** Sends bytes as they are and answers all that comes until the peer closes. */
export function rawExchange(port: number, bytes: string, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, host, () => socket.write(bytes));
    socket.setEncoding('latin1');
    socket.on('data', (data) => { text += String(data); });
    socket.on('close', () => resolve(text));
    // Bytes that were not read make the close a reset; what was answered before counts.
    socket.on('error', (error: NodeJS.ErrnoException) => { if (error.code === 'ECONNREFUSED') reject(error); });
  });
}

/** Whether anything listens. */
export function isOpen(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
