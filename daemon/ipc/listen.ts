/**
 * The socket file. The lock was taken before, so no other daemon of this user lives: a file that is left
 * is stale once nobody answers on it, and only then it is removed (IP-04). It is created 0600 by the
 * umask, since a chmod afterwards would leave a window (IP-01).
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { BrokerError } from '../core/errors.ts';

/** Who connects while one daemon follows another waits here; the system's own bound is the same or less (net.core.somaxconn). */
const BACKLOG = 4_096;

export async function listenOn(server: Server, path: string): Promise<void> {
  await removeStale(path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    // A pipe is bound before listen() returns, so nothing else is created under this umask.
    const before = process.umask(0o177);
    server.listen(path);
    process.umask(before);
  });
}

/** On a socket that listens already. Node removes no file that it did not make. */
export async function listenAt(server: Server, fd: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

export async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new BrokerError('runtime_dir_untrusted', `${path} is not a socket, and it is not removed`, { hint: `See what it is, then run: rm ${path}` });
  if (await answers(path)) throw new BrokerError('already_running', `something answers on ${path}, though nobody holds the lock`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ECONNREFUSED' || cause.code === 'ENOENT') resolve(false);
      else reject(new BrokerError('runtime_dir_untrusted', `${path} cannot be probed (${cause.code ?? 'unknown'})`, { cause }));
    });
  });
}
