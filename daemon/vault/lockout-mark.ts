/**
 * lockout.json: that a panic blocks everything, and whether all that was in the vault has ended by now. It lies
 * beside the vault and is not sealed, so that a locked vault, a keychain that hangs and a crash leave it in force.
 * What stands there and cannot be read blocks as well.
 */
import { join } from 'node:path';
import type { EpochMs } from '../../shared/names.ts';
import type { Clock, Lockout, LockoutMark, Log, Random } from '../core/ports.ts';
import { makePrivateDir, onDisk, readPrivate, removeDurable, writeDurable } from './private-files.ts';
import { refuseNewer } from './seal.ts';
import { Turns } from './turns.ts';

const VERSION = 1;
const FILE = 'lockout.json';

export type LockoutMarkDeps = { readonly stateDir: string; readonly clock: Pick<Clock, 'now'>; readonly random: Random; readonly log: Log };

export function createLockoutMark({ stateDir, clock, random, log }: LockoutMarkDeps): LockoutMark {
  const path = join(stateDir, FILE);
  /** A write that a slow disk holds up must not come after what was asked for later. */
  const turns = new Turns();
  return {
    async read() {
      const found = await onDisk(stateDir, () => readPrivate(path));
      if (found === null) return null;
      const lockout = parse(found.bytes.toString(), path);
      if (lockout !== null) return lockout;
      log.error('lockout_mark_damaged', { path });
      return { at: clock.now(), isSwept: false };
    },
    async write({ at, isSwept }) {
      const bytes = Buffer.from(`${JSON.stringify({ v: VERSION, at, swept: isSwept })}\n`);
      await turns.run(FILE, () => onDisk(stateDir, async () => {
        await makePrivateDir(stateDir);
        await writeDurable(stateDir, FILE, bytes, random.token(9));
      }));
    },
    async remove() {
      await turns.run(FILE, () => onDisk(stateDir, () => removeDurable(stateDir, [FILE])));
    },
  };
}

function parse(text: string, path: string): Lockout | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof SyntaxError) return null;
    throw cause;
  }
  if (typeof value !== 'object' || value === null || !('v' in value) || !('at' in value) || !('swept' in value)) return null;
  refuseNewer(value.v, path, VERSION);
  return value.v === VERSION && typeof value.at === 'number' && typeof value.swept === 'boolean' ? { at: value.at as EpochMs, isSwept: value.swept } : null;
}
