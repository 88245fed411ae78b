/**
 * Who is at the other end of a Unix socket, as the kernel tells: the process that called connect(). It says
 * nothing of whoever holds the descriptor now (requirements, section 24), and is asked before any byte is
 * parsed (IP-05).
 */
import type { Peer, Pin } from '../core/ports.ts';
import { loadNative } from './native.ts';
import type { Native } from './native.ts';
import { peerOfDarwin } from './peer-darwin.ts';
import { peerOfLinux } from './peer-linux.ts';
import { pinOfLinux } from './pin-linux.ts';

/** Throws BrokerError peer_credentials_unavailable where the kernel does not tell, or the descriptor is closed. */
export function peerOf(fd: number, native: Native = loadNative()): Peer {
  return native.platform === 'linux' ? peerOfLinux(fd, native) : peerOfDarwin(fd, native);
}

/** A descriptor of the process that connected; null where the kernel has none to give (Linux before 6.5, macOS). */
export function pinOf(fd: number, native: Native = loadNative()): Pin | null {
  return native.platform === 'linux' ? pinOfLinux(fd, native) : null;
}
