/**
 * The data key of a vault with a passphrase, for the daemon that comes after this one, so that nobody is asked again:
 * in the hands of systemd over a crash or a restart (its file descriptor store), in our own over an upgrade.
 *
 * It waits as an unread message in the queue of a Unix socket, and not in a memfd: every program of the user may
 * open /proc/PID/fd of the user's own systemd, and would read the key in a memfd there. A socket cannot be opened
 * so (ENXIO), and its queue is never swapped to a disk. What is in the queue is one for all holders: read here, it
 * is gone from systemd's hands, too, at once (decision 19).
 */
import type { KeptKey } from '../core/supervisor-port.ts';
import type { Native } from './native.ts';
import type { Notify } from './notify.ts';
import { closeFd, packetPair, receiveBytes, sendBytes } from './sockets.ts';

/** FDNAME: names the form of what is kept, too; another form gets another name. */
export const KEPT_KEY_NAME = 'data-key-1';
const KEY_BYTES = 32;

/** @param fd - as systemd gave it back; null: it keeps none. */
export function createKeptKey(fd: number | null, notify: Notify, native: Native): KeptKey & {
  /** For a successor; null while nothing is kept. */
  readonly descriptor: number | null;
} {
  let held = fd;
  const peek = (into: Buffer): boolean => held !== null && receiveBytes(held, into, true, native) === KEY_BYTES;
  const drop = (): void => {
    if (held === null) return;
    // One byte: the rest of the message is thrown away with it, and nothing is copied.
    receiveBytes(held, Buffer.alloc(1), false, native);
    notify(`FDSTOREREMOVE=1\nFDNAME=${KEPT_KEY_NAME}`, null);
    closeFd(held, native);
    held = null;
  };
  const holds = (key: Uint8Array): boolean => {
    const kept = Buffer.alloc(KEY_BYTES);
    const isSame = peek(kept) && kept.equals(key);
    kept.fill(0);
    return isSame;
  };
  return {
    take() {
      const key = Buffer.alloc(KEY_BYTES);
      return peek(key) ? key : null;
    },
    keep(key) {
      if (key.length !== KEY_BYTES) throw new Error(`a data key has ${KEY_BYTES} bytes`);
      if (holds(key)) return;
      drop();
      const pair = packetPair(native);
      if (typeof pair === 'number') return;
      const [near, far] = pair;
      const isSent = sendBytes(near, key, native) === KEY_BYTES;
      closeFd(near, native);
      if (!isSent) return closeFd(far, native);
      // Where nobody keeps it, it is for the daemon that takes over from this one.
      held = far;
      // Without its other end the socket would count as hung up, and systemd would drop it: FDPOLL=0.
      notify(`FDSTORE=1\nFDNAME=${KEPT_KEY_NAME}\nFDPOLL=0`, far);
    },
    drop,
    get descriptor() {
      return held;
    },
  };
}
