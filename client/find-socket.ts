/**
 * The daemon's socket for the CLI and the library: own-socket.ts with its refusals as problems, and a probe of
 * whether somebody accepts there.
 */
import { createConnection } from 'node:net';
import type { Paths } from '../shared/paths.ts';
import * as own from './own-socket.ts';
import type { LockRecord } from './own-socket.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type { LockRecord } from './own-socket.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** @throws ValetkeyError `server_untrusted` */
function trusting<T>(look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (!(error instanceof own.UntrustedPath)) throw error;
    throw ValetkeyError.local('server_untrusted', error.message, { ...(error.hint === null ? {} : { hint: error.hint }), cause: error.cause });
  }
}

/** See own-socket.ts. @throws ValetkeyError `server_untrusted` */
export function readLockRecord(lockFile: string, uid: number): LockRecord | null {
  return trusting(() => own.readLockRecord(lockFile, uid));
}

/** See own-socket.ts. @throws ValetkeyError `server_untrusted` */
export function socketCandidates(paths: Pick<Paths, 'lockFile' | 'socket'>, uid: number): readonly string[] {
  return trusting(() => own.socketCandidates(paths, uid));
}

/** See own-socket.ts. @throws ValetkeyError `server_untrusted` */
export function reachableSockets(paths: Paths, uid: number, env: NodeJS.ProcessEnv): readonly string[] {
  return trusting(() => own.reachableSockets(paths, uid, env));
}

/** @returns false if there is no socket. @throws ValetkeyError `server_untrusted` */
export function isOwnSocket(socket: string, uid: number): boolean {
  return trusting(() => own.isOwnSocket(socket, uid));
}

/** Does somebody accept there? Sends nothing. */
async function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path: socket });
    const settle = (live: boolean) => {
      probe.destroy();
      resolve(live);
    };
    probe.setTimeout(PROBE_TIMEOUT_MS, () => settle(false));
    probe.once('connect', () => settle(true));
    probe.once('error', () => settle(false));
  });
}

/** The first own socket on which a daemon accepts; null if there is none. */
export async function findLiveSocket(paths: Pick<Paths, 'lockFile' | 'socket'>, uid: number): Promise<string | null> {
  for (const socket of socketCandidates(paths, uid)) {
    if (isOwnSocket(socket, uid) && await accepts(socket)) return socket;
  }
  return null;
}
