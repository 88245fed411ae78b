/**
 * Which addresses a token may be sent to, as the network sees them and whatever a name says: looked at once, and the
 * connection goes to what was looked at (DNS rebinding). An IPv4 address in IPv6 clothes is the IPv4 address.
 */
import { lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { AnswerRefused } from './failures.ts';

const list = (...nets: readonly (readonly [string, number])[]): BlockList => {
  const made = new BlockList();
  for (const [net, bits] of nets) made.addSubnet(net, bits, net.includes(':') ? 'ipv6' : 'ipv4');
  return made;
};

const LOOPBACK = list(['127.0.0.0', 8], ['::1', 128]);
/** RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193. */
const PRIVATE = list(['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['100.64.0.0', 10], ['fc00::', 7]);
/**
 * Nobody's API: this host, link-local (where clouds keep their metadata), multicast, documentation, reserved
 * (RFC 6890), and the metadata of clouds that is elsewhere. Tunnels (RFC 4380, RFC 3056, RFC 6052) lead to addresses
 * that nobody looked at.
 */
const NEVER = list(
  ['0.0.0.0', 8], ['169.254.0.0', 16], ['192.0.0.0', 24], ['192.0.2.0', 24], ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4],
  ['100.100.100.200', 32], ['168.63.129.16', 32],
  ['::', 128], ['fe80::', 10], ['fec0::', 10], ['ff00::', 8], ['100::', 64], ['2001:db8::', 32], ['2001::', 32], ['2002::', 16], ['64:ff9b::', 96], ['64:ff9b:1::', 48], ['fd00:ec2::254', 128],
);
const MAPPED = /^::(?:ffff:)?(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i;

/** What the kernel would connect to. */
function unmapped(address: string): string {
  const [, dotted, high, low] = MAPPED.exec(address) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return address;
  const bits = (Number.parseInt(high, 16) << 16 | Number.parseInt(low, 16)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
}

/** What may be spoken to besides the public network. */
export type Reach = { readonly allowPrivate: boolean; readonly allowLoopback: boolean };

/** Why nothing may be sent there; null: it may. `address` without brackets. */
export function refusedAddress(address: string, { allowPrivate, allowLoopback }: Reach): string | null {
  const plain = unmapped(address.replace(/%.*$/, ''));
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(plain) === 0) return 'is no address';
  if (LOOPBACK.check(plain, family)) return allowLoopback ? null : 'is this machine';
  if (NEVER.check(plain, family)) return 'is of a network where no API is';
  return PRIVATE.check(plain, family) && !allowPrivate ? 'is of a private network' : null;
}

export type Resolve = (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

export const resolveByName: Resolve = (host) => new Promise((resolve, reject) => {
  lookup(host, { all: true, verbatim: true }, (error, found) => (error === null ? resolve(found) : reject(error)));
});

/**
 * The addresses of a host, all of them allowed, as the lookup of the one connection that is made.
 * @throws AnswerRefused fetch_refused; what the resolver throws
 */
export async function pinnedLookup(host: string, reach: Reach, resolve: Resolve): Promise<{ readonly lookup: LookupFunction; readonly addresses: readonly string[] }> {
  const literal = isIP(host);
  // A name that leads to this machine was never meant: who means it writes the address.
  const found = literal === 0 ? await resolve(host) : [{ address: host, family: literal }];
  const allowed: Reach = literal === 0 ? { ...reach, allowLoopback: false } : reach;
  for (const { address } of found) {
    const why = refusedAddress(address, allowed);
    // One that may not be is enough: who mixes them in does so for a reason.
    if (why !== null) throw new AnswerRefused('fetch_refused', `${host} is at ${address}, which ${why}`);
  }
  return {
    addresses: found.map(({ address }) => address),
    lookup: (_name, options, callback) => {
      if (options.all === true) return callback(null, [...found]);
      const [first] = found;
      return callback(first === undefined ? Object.assign(new Error('no address'), { code: 'ENOTFOUND' }) : null, first?.address ?? '', first?.family);
    },
  };
}
