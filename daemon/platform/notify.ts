/**
 * sd_notify(3): tells systemd how the daemon is, by datagrams to the socket that it named. Whoever does not
 * listen is not worth a failure: a daemon that serves goes on also where nobody hears of it.
 */
import { closeFd, datagramSocket, sendDatagram, unixAddress } from './sockets.ts';
import type { Native } from './native.ts';

/** @param along - a descriptor that goes with the message. @returns whether it was sent. */
export type Notify = (state: string, along: number | null) => boolean;

/** A manager that hangs holds the event loop up for so long. */
const WAIT_S = 1;

/** @param name - NOTIFY_SOCKET; a leading @ stands for an abstract name. Null where nobody asked to be told. */
export function createNotify(name: string | null, native: Native): Notify {
  const address = name === null || native.platform !== 'linux' ? null : unixAddress(name);
  if (address === null) return () => false;
  return (state, along) => {
    const fd = datagramSocket(WAIT_S, native);
    if (fd < 0) return false;
    try {
      return sendDatagram(fd, address, state, along, native) >= 0;
    } finally {
      closeFd(fd, native);
    }
  };
}
