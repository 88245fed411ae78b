/**
 * The socket's path fits into sun_path and names a file (IP-03). Node cuts longer paths without a word, and
 * takes a leading NUL for an abstract socket, which any user could reach.
 */
import { SOCKET_PATH_MAX } from '../../shared/paths.ts';
import { BrokerError } from '../core/errors.ts';

export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (path.includes('\0')) throw new BrokerError('socket_path_invalid', 'the socket path holds a NUL byte; abstract sockets are not used');
  if (!path.startsWith('/')) throw new BrokerError('socket_path_invalid', `the socket path ${JSON.stringify(path)} is not absolute`);
  if (bytes > SOCKET_PATH_MAX) {
    throw new BrokerError('socket_path_invalid', `the socket path has ${bytes} bytes, ${SOCKET_PATH_MAX} are the most: ${path}`);
  }
}
