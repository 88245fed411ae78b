/**
 * Where the program that is run finds its APIs: a listener each, on an ephemeral port of 127.0.0.1 or a socket in a
 * directory of this user's own, for as long as the program runs. It is this process that listens, and never the daemon.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import { tokenOrigin } from '../bound-fetch.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { isFromBelow } from './peers.ts';
import { createProxy } from './proxy.ts';
import type { ProxyDeps } from './proxy.ts';

/** `variable` is to hold the base URL of the API of `profile`, or the path of a socket. */
export type Injection = { readonly variable: string; readonly profile: ProfileView; readonly by: 'url' | 'socket' };

export type Injected = { readonly env: Readonly<Record<string, string>>; close(): void };

export type InjectDeps = Pick<ProxyDeps, 'fetch' | 'key' | 'warn'> & {
  /** Of this user alone; directories for sockets are made in it. */
  readonly runtimeDir: string;
};

const CONNECTIONS = 64;
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const HEADER_BYTES = 16_384;
/** What fits into the address of a socket everywhere (unix(7)). */
const SOCKET_PATH_MAX = 103;

/** The API of a profile: its resource, else the only origin to which its token may go. @throws ValetkeyError bad_request */
export function baseOf({ name, resource, fetch_origins: origins }: ProfileView): URL {
  if (resource !== null && origins.includes(tokenOrigin(resource) ?? '')) return new URL(resource);
  const [only, ...more] = origins;
  if (only === undefined || more.length > 0) {
    throw ValetkeyError.local('bad_request', `the profile ${name} names ${more.length === 0 ? 'no API' : 'several APIs, and none of them as its resource'}`, { hint: `Name it in the profile: resource = "https://api.example.com/v1", or one origin in fetch_origins` });
  }
  return new URL(only);
}

/** @throws ValetkeyError bad_request, platform_unsupported */
export async function inject(injections: readonly Injection[], deps: InjectDeps): Promise<Injected> {
  const open: (() => void)[] = [];
  const close = (): void => {
    for (const each of open.splice(0)) each();
  };
  try {
    const entries = [];
    for (const injection of injections) {
      const listening = await (injection.by === 'url' ? onPort(injection, deps) : onSocket(injection, deps));
      open.push(listening.close);
      entries.push([injection.variable, listening.address] as const);
    }
    return { env: Object.fromEntries(entries), close };
  } catch (error) {
    close();
    throw error;
  }
}

type Listening = { readonly address: string; readonly close: () => void };

async function onPort({ profile }: Injection, deps: InjectDeps): Promise<Listening> {
  // Elsewhere nothing tells whose a connection is, and any user of the machine may come to a port.
  if (process.platform !== 'linux') throw ValetkeyError.local('platform_unsupported', 'a base URL on 127.0.0.1 takes the connection table of Linux', { hint: 'Use --inject-socket, which needs none' });
  const base = baseOf(profile);
  let port = 0;
  const server = serve({ ...deps, profile, origin: base.origin, host: () => `127.0.0.1:${port}`, isOwn: ({ socket }) => isFromBelow(process.pid, socket.remotePort ?? 0, port) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
  return { address: `http://127.0.0.1:${port}${base.pathname === '/' ? '' : base.pathname}`, close: () => end(server) };
}

async function onSocket({ profile }: Injection, deps: InjectDeps): Promise<Listening> {
  const directory = mkdtempSync(join(deps.runtimeDir, 'run-'));
  const path = join(directory, 'socket');
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  try {
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX) throw ValetkeyError.local('bad_request', `the path ${dirname(path)} is too long for a socket`, { hint: 'Use --inject' });
    // Who may enter the directory is this user.
    const server = serve({ ...deps, profile, origin: baseOf(profile).origin, host: () => null, isOwn: () => true });
    server.listen(path);
    await once(server, 'listening');
    return { address: path, close: () => { end(server); remove(); } };
  } catch (error) {
    remove();
    throw error;
  }
}

function serve(deps: ProxyDeps): Server {
  const server = createServer({ headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, maxHeaderSize: HEADER_BYTES, insecureHTTPParser: false }, createProxy(onceAConnection(deps)));
  server.maxConnections = CONNECTIONS;
  // The program, and not this listener, says how long there is something to wait for.
  server.unref();
  return server;
}

/** Of a kept connection the process is looked for once. */
function onceAConnection(deps: ProxyDeps): ProxyDeps {
  const own = new WeakMap<object, boolean>();
  return {
    ...deps,
    isOwn(request) {
      const known = own.get(request.socket) ?? deps.isOwn(request);
      own.set(request.socket, known);
      return known;
    },
  };
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}
