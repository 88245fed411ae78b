/**
 * What the lock file says of the daemon that holds it. Clients read it first, so that cron, su and a desktop
 * find the same daemon. It is a hint: only the flock says that a daemon lives.
 */
import { BrokerError } from '../core/errors.ts';

export type LockRecord = {
  readonly v: 1;
  readonly pid: number;
  readonly socket: string;
  /** Of the build. */
  readonly version: string;
  /** Major version of the wire. */
  readonly protocol: number;
  /** Milliseconds since the epoch. */
  readonly started_at: number;
};

/**
 * Null for what is no record: an empty file, or one whose writer died halfway.
 * Throws BrokerError file_too_new for the record of a newer build.
 */
export function parseLockRecord(text: string, path: string): LockRecord | null {
  const record = parseObject(text);
  if (record === null) return null;
  const { v, pid, socket, version, protocol, started_at } = record;
  if (typeof v === 'number' && v > 1) throw new BrokerError('file_too_new', `${path} has version ${v}; this build reads 1`);
  const isWhole =
    v === 1 && isCount(pid) && pid > 0 && isCount(protocol) && isCount(started_at) &&
    typeof version === 'string' && typeof socket === 'string' && socket.startsWith('/');
  return isWhole ? { v, pid, socket, version, protocol, started_at } : null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function parseObject(text: string): Partial<Record<keyof LockRecord, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
