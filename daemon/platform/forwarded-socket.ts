/**
 * Whether somebody answers on a socket that ssh forwarded to this machine: one of this user's own, with the mode
 * that sshd gives it, in the private directory. Nothing is sent.
 */
import { lstat } from 'node:fs/promises';
import { createConnection } from 'node:net';

const ANSWER_MS = 1_000;

export async function isSocketAnswered(path: string, uid: number): Promise<boolean> {
  const entry = await lstat(path).catch(() => null);
  if (entry === null || !entry.isSocket() || entry.uid !== uid || (entry.mode & 0o077) !== 0) return false;
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const settle = (isAnswered: boolean): void => {
      socket.destroy();
      resolve(isAnswered);
    };
    socket.setTimeout(ANSWER_MS, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
