/** Experimental: written after macOS's getpeereid(3) and unix(4), and never run on macOS. */
import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Peer } from '../core/ports.ts';
import type { Native } from './native.ts';

const GETPEEREID = 'int getpeereid(int, void *, void *)';
const GETSOCKOPT = 'int getsockopt(int, int, int, void *, void *)';
// sys/un.h
const SOL_LOCAL = 0;
const LOCAL_PEERPID = 2;

export function peerOfDarwin(fd: number, native: Native): Peer {
  const uid = new Uint32Array(1);
  const gid = new Uint32Array(1);
  const pid = new Uint32Array(1);
  const length = new Uint32Array([pid.byteLength]);
  const result =
    native.call(GETPEEREID, fd, new Uint8Array(uid.buffer), new Uint8Array(gid.buffer)) ||
    native.call(GETSOCKOPT, fd, SOL_LOCAL, LOCAL_PEERPID, new Uint8Array(pid.buffer), new Uint8Array(length.buffer));
  if (result < 0 || uid[0] === undefined || pid[0] === undefined) {
    throw new BrokerError('peer_credentials_unavailable', `the peer's credentials cannot be read: ${getSystemErrorName(result)}`);
  }
  return { uid: uid[0], pid: pid[0] };
}
