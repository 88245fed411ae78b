/**
 * An assertion from a file, read at each request: who writes it replaces it when he likes (Kubernetes and spiffe-helper
 * swap a link). Owner and mode are of the very file that was opened. Whoever else could write it could have us speak
 * for another workload.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { BrokerError } from '../core/errors.ts';

/** Far more than a header can carry. */
export const ASSERTION_MAX = 16_384;

/** @param uid - null: the platform has none. Throws assertion_unavailable. */
export async function readAssertionFile(path: string, uid: number | null): Promise<string> {
  const unavailable = (why: string, hint: string | null = null): BrokerError => new BrokerError('assertion_unavailable', `${path} ${why}`, hint === null ? {} : { hint });
  let handle;
  try {
    // Without O_NONBLOCK a FIFO in the place of the file would hold the request for ever.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    throw unavailable(`cannot be read (${cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'})`);
  }
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw unavailable('is not a regular file');
    if (uid !== null && stat.uid !== uid && stat.uid !== 0) throw unavailable(`belongs to the user with id ${stat.uid}`, `See who owns it: ls -lL ${path}`);
    if (uid !== null && (stat.mode & 0o022) !== 0) throw unavailable(`can be written by others (mode ${(stat.mode & 0o777).toString(8)})`, `Run: chmod go-w ${path}`);
    if (stat.size > ASSERTION_MAX) throw unavailable(`is larger than ${ASSERTION_MAX} bytes`);
    return (await handle.readFile('latin1')).trim();
  } finally {
    await handle.close();
  }
}
