/**
 * Binds the literal 127.0.0.1, or [::1] on a machine without IPv4 loopback (RFC 8252, sections 7.3 and 8.3):
 * never a wildcard, never the name `localhost`, at most ten times.
 */
import { once } from 'node:events';
import type { Server } from 'node:net';
import { BrokerError } from '../core/errors.ts';

export type Bound = { readonly address: '127.0.0.1' | '::1'; readonly port: number };
/** Listens on one address and port (0: any free one) and answers the port, or throws a system error. */
export type Listen = (address: Bound['address'], port: number) => Promise<number>;

const MAX_TRIES = 10;
/** Somebody has the port, or it is below 1024: the next may do. */
const TAKEN: ReadonlySet<string> = new Set(['EADDRINUSE', 'EACCES']);
/** The machine has no such address. */
const ABSENT: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** @param ports - tried in order; empty: the system chooses (RFC 8252: the issuer must allow any port). */
export async function bindLoopback(listen: Listen, ports: readonly number[]): Promise<Bound> {
  const candidates = ports.length === 0 ? Array.from({ length: MAX_TRIES }, () => 0) : ports.slice(0, MAX_TRIES);
  const onIpv4 = await bindOne(listen, '127.0.0.1', candidates);
  if (onIpv4.kind === 'bound') return onIpv4.bound;
  // Only a missing address leads to ::1. Where ports are taken, somebody else may be listening there for our
  // redirects, and an issuer that compares the URI knows nothing of ::1.
  if (!ABSENT.has(codeOf(onIpv4.cause))) throw exhausted('127.0.0.1', candidates, onIpv4.cause);
  const onIpv6 = await bindOne(listen, '::1', candidates);
  if (onIpv6.kind === 'bound') return onIpv6.bound;
  throw exhausted(ABSENT.has(codeOf(onIpv6.cause)) ? '127.0.0.1 or [::1]' : '[::1]', candidates, onIpv6.cause);
}

async function bindOne(
  listen: Listen, address: Bound['address'], candidates: readonly number[],
): Promise<{ readonly kind: 'bound'; readonly bound: Bound } | { readonly kind: 'failed'; readonly cause: unknown }> {
  let cause: unknown = null;
  for (const candidate of candidates) {
    try {
      return { kind: 'bound', bound: { address, port: await listen(address, candidate) } };
    } catch (error) {
      cause = error;
      if (!TAKEN.has(codeOf(error))) break;
    }
  }
  return { kind: 'failed', cause };
}

/** The real thing: no SO_REUSEPORT, no dual stack. */
export function listenWith(server: Server): Listen {
  return async (host, port) => {
    server.listen({ host, port, exclusive: true, ipv6Only: true });
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('a TCP server has no TCP address');
    return address.port;
  };
}

function exhausted(where: string, candidates: readonly number[], cause: unknown): BrokerError {
  const wanted = candidates[0] === 0 ? `a free port, ${candidates.length} tries` : `port ${candidates.join(', ')}`;
  return new BrokerError('loopback_exhausted', `The sign-in could not listen on ${where} (${wanted}): ${codeOf(cause)}`, { cause });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
}
