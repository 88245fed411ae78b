/** Listening sockets that this process makes by itself, since Node removes the path of those that it made when it closes them. */
import { getSystemErrorName } from 'node:util';
import { BrokerError } from '../core/errors.ts';
import type { Listeners } from '../core/successor-port.ts';
import type { Native } from './native.ts';
import { closeFd, copyFd, listeningSocket } from './sockets.ts';

/** Null where the calls that it takes were never tried. */
export function createListeners(native: Native): Listeners | null {
  if (native.platform !== 'linux') return null;
  return {
    make(path) {
      // 0600 from the start, since a chmod afterwards would leave a window (IP-01). Nothing else is created meanwhile.
      const before = process.umask(0o177);
      const fd = listeningSocket(path, native);
      process.umask(before);
      return opened(fd, path);
    },
    copy: (fd) => opened(copyFd(fd, native), 'the socket'),
    close: (fd) => closeFd(fd, native),
  };
}

function opened(fd: number, what: string): number {
  if (fd >= 0) return fd;
  throw new BrokerError('runtime_dir_untrusted', `${what} cannot be listened on: ${getSystemErrorName(fd)}`);
}
