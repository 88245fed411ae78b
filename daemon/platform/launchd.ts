/**
 * Experimental: written after macOS's launch(3), and never run on macOS. launchd makes the socket that
 * launchd/dev.valetkey.agent.plist names, starts the daemon when somebody connects, and gives it the socket once,
 * when it is asked for.
 */
import { BrokerError } from '../core/errors.ts';
import type { Native } from './native.ts';

const ACTIVATE = 'int launch_activate_socket(const char *, void *, void *)';
const COPY = 'uintptr_t memcpy(void *, uintptr_t, size_t)';
const FREE = 'void free(uintptr_t)';
/** The label of the agent, and the key in its Sockets. */
const LABEL = 'dev.valetkey.agent';
const SOCKETS = 'Listeners';
const INT_BYTES = 4;

/** Null where launchd did not start this process. Throws BrokerError socket_path_invalid where it did and has no one socket for it. */
export function launchdListener(env: Readonly<Record<string, string | undefined>>, native: Native): number | null {
  if (native.platform !== 'darwin' || env['XPC_SERVICE_NAME'] !== LABEL) return null;
  const array = new BigUint64Array(1);
  const length = new BigUint64Array(1);
  // It returns an errno; nothing is said by -1.
  const failed = native.call(ACTIVATE, SOCKETS, new Uint8Array(array.buffer), new Uint8Array(length.buffer));
  if (failed !== 0 || length[0] !== 1n || array[0] === undefined) {
    throw new BrokerError('socket_path_invalid', `launchd passed on ${length[0] ?? 0n} sockets (${failed})`, { hint: 'Run: valetkey service install' });
  }
  const fds = new Int32Array(1);
  native.call(COPY, new Uint8Array(fds.buffer), Number(array[0]), INT_BYTES);
  native.call(FREE, Number(array[0]));
  return fds[0] ?? null;
}
