import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Peer } from '../core/ports.ts';
import type { Native } from './native.ts';

const GETSOCKOPT = 'int getsockopt(int, int, int, void *, void *)';
const SOL_SOCKET = 1;
// asm-generic/socket.h; powerpc numbers its options by itself.
const SO_PEERCRED = process.arch === 'ppc64' ? 21 : 17;
/** (uid_t)-1: the socket has no peer that the kernel could name, as with TCP. */
const NO_UID = 0xffff_ffff;

/** struct ucred { pid_t pid; uid_t uid; gid_t gid; }, made once: this is asked for each connection, and nothing waits in between. */
const ucred = new Uint32Array(3);
const length = new Uint32Array(1);
const UCRED_BYTES = new Uint8Array(ucred.buffer);
const LENGTH_BYTES = new Uint8Array(length.buffer);

/** unix(7), SO_PEERCRED. A pid of 0 is a process of another pid namespace. */
export function peerOfLinux(fd: number, native: Native): Peer {
  ucred.fill(0);
  length[0] = ucred.byteLength;
  const result = native.call(GETSOCKOPT, fd, SOL_SOCKET, SO_PEERCRED, UCRED_BYTES, LENGTH_BYTES);
  if (result < 0) {
    throw new BrokerError('peer_credentials_unavailable', `SO_PEERCRED failed with ${getSystemErrorName(result)}`);
  }
  const [pid, uid] = ucred;
  if (length[0] !== ucred.byteLength || pid === undefined || uid === undefined || uid === NO_UID) {
    throw new BrokerError('peer_credentials_unavailable', 'the socket has no peer on this machine');
  }
  return { pid, uid };
}
