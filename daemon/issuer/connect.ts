/**
 * A connection to an issuer that is ready to be written to: name found, TCP made, the profile's proxy passed by
 * CONNECT, certificates verified. Whatever fails in here, nothing of the request was sent. Every socket is given
 * to `keep` as soon as it exists, and whoever gave that destroys it.
 */
import { request } from 'node:http';
import { connect, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { BrokerError } from '../core/errors.ts';
import { WireFault } from './failures.ts';

/** Happy eyeballs: after this long the next address is tried. Node's 250 ms give up on addresses that are merely far. */
const NEXT_ADDRESS_AFTER_MS = 500;
const MAX_PROXY_HEADER_BYTES = 16_384;

/** `lookup`: the addresses of the host are known already; else its name is looked up. */
export type Way = { readonly proxy: string | null; readonly trust: () => SecureContext; readonly keep: (socket: Socket) => void; readonly lookup?: LookupFunction };

export async function openConnection(url: URL, { proxy, trust, keep, lookup }: Way): Promise<Socket> {
  const socket = proxy === null ? await openTcp(url, keep, lookup) : await passProxy(proxyUrl(proxy), url, trust, keep);
  return url.protocol === 'https:' ? openTls(socket, url, trust, keep) : socket;
}

function openTcp(url: URL, keep: Way['keep'], lookup?: LookupFunction): Promise<Socket> {
  return opened('connect', keep, connect({
    host: hostOf(url), port: portOf(url), noDelay: true,
    autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
    ...(lookup === undefined ? {} : { lookup }),
  }));
}

/** By the host's name where it has one, else by its address; HTTP/1.1 is all that is spoken here. */
function openTls(socket: Socket, url: URL, trust: Way['trust'], keep: Way['keep']): Promise<Socket> {
  const host = hostOf(url);
  return opened('secureConnect', keep, connectTls({
    socket, host, secureContext: trust(), rejectUnauthorized: true, ALPNProtocols: ['http/1.1'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
  }));
}

async function passProxy(proxy: URL, url: URL, trust: Way['trust'], keep: Way['keep']): Promise<Socket> {
  // To a proxy that is not there, the way is closed like any other: refused, dns, unreachable.
  const socket = await openTcp(proxy, keep);
  try {
    const secured = proxy.protocol === 'https:' ? await openTls(socket, proxy, trust, keep) : socket;
    await askToConnect(secured, `${url.hostname}:${portOf(url)}`);
    return secured;
  } catch (cause) {
    throw new WireFault('VALETKEY_PROXY', 'the proxy does not pass on', cause);
  }
}

/** RFC 9110, section 9.3.6: any 2xx opens the tunnel, and what follows is the other end's. */
function askToConnect(socket: Socket, authority: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request({
      createConnection: () => socket, method: 'CONNECT', path: authority, headers: { host: authority }, setHost: false,
      maxHeaderSize: MAX_PROXY_HEADER_BYTES, insecureHTTPParser: false,
    });
    asking.once('connect', ({ statusCode = 0 }, _socket, head) => {
      if (statusCode < 200 || statusCode > 299) reject(new WireFault('VALETKEY_PROXY', `the proxy answers ${statusCode}`));
      // In TLS and in HTTP the client speaks first: these bytes are the proxy's.
      else if (head.length > 0) reject(new WireFault('VALETKEY_PROXY', 'the proxy speaks in the tunnel'));
      else resolve();
    });
    asking.once('error', reject);
    asking.end();
  });
}

function opened(event: 'connect' | 'secureConnect', keep: Way['keep'], socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new WireFault('VALETKEY_CLOSED', 'the connection closed before it was open')));
    socket.once(event, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    keep(socket);
  });
}

/** What config/ lets through; anything else was put there by hand. */
function proxyUrl(proxy: string): URL {
  const url = URL.canParse(proxy) ? new URL(proxy) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw new BrokerError('config_invalid', 'the proxy of the profile is not an http or https URL');
  if (url.username !== '' || url.password !== '') throw new BrokerError('config_invalid', 'the proxy of the profile holds a name or password');
  return url;
}

/** An IPv6 address without its brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}
