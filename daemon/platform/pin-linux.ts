/**
 * SO_PEERPIDFD (Linux 6.5): a descriptor of the very process that called connect(). While it lives, its number
 * can be nobody else's. Made for one look at a process that is not known yet, and closed after it.
 */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Pin } from '../core/ports.ts';
import type { Native } from './native.ts';

const GETSOCKOPT = 'int getsockopt(int, int, int, void *, void *)';
const POLL = 'int poll(void *, unsigned long, int)';
const CLOSE = 'int close(int)';
const SOL_SOCKET = 1;
// asm-generic/socket.h
const SO_PEERPIDFD = 77;
/** struct pollfd { int fd; short events; short revents; } */
const POLLIN = 1;
const INTERRUPTED = constants.errno.EINTR;

const GONE: Pin = { isAlive: () => false, close: () => undefined };
/** The kernel does not know the option: so it is of all connections. */
const UNKNOWN_OPTION = new Set(['ENOPROTOOPT', 'EOPNOTSUPP', 'ENOSYS']);
/** The process was collected already: so the kernel says of it before Linux 6.16. */
const ENDED = new Set(['ESRCH', 'EINVAL', 'ENODATA']);
/** Start times have to do; /proc cannot be read for long without descriptors either, and that is told. */
const SHORT = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

const option = new Int32Array(1);
const length = new Uint32Array(1);
const pollfd = new Int32Array(2);
const OPTION_BYTES = new Uint8Array(option.buffer);
const LENGTH_BYTES = new Uint8Array(length.buffer);
const POLL_BYTES = new Uint8Array(pollfd.buffer);
const absent = new WeakSet<Native>();

/** Null where the kernel has no such descriptor to give. The kernel makes it close-on-exec. */
export function pinOfLinux(fd: number, native: Native): Pin | null {
  if (absent.has(native)) return null;
  option[0] = -1;
  length[0] = OPTION_BYTES.byteLength;
  const result = native.call(GETSOCKOPT, fd, SOL_SOCKET, SO_PEERPIDFD, OPTION_BYTES, LENGTH_BYTES);
  if (result < 0) {
    const why = getSystemErrorName(result);
    if (ENDED.has(why)) return GONE;
    if (SHORT.has(why)) return null;
    if (!UNKNOWN_OPTION.has(why)) throw new BrokerError('peer_credentials_unavailable', `SO_PEERPIDFD failed with ${why}`);
    absent.add(native);
    return null;
  }
  return pinOn(option[0], native);
}

function pinOn(pidfd: number, native: Native): Pin {
  let open = true;
  return {
    isAlive() {
      if (!open) return false;
      for (;;) {
        pollfd[0] = pidfd;
        pollfd[1] = POLLIN; // both shorts: what is asked for, and no answer yet
        // Readable once the process has ended (pidfd_open(2)).
        const result = native.call(POLL, POLL_BYTES, 1, 0);
        // A signal that comes at this moment says nothing of the process, though nothing was waited for (poll(2)).
        if (result !== -INTERRUPTED) return result === 0;
      }
    },
    close() {
      if (!open) return;
      open = false;
      native.call(CLOSE, pidfd);
    },
  };
}
