import { randomBytes } from 'node:crypto';
import type { Random } from '../core/ports.ts';

export function createRandom(): Random {
  return {
    token: (bytes) => randomBytes(bytes).toString('base64url'),
    // Spreads retries; nothing secret depends on it.
    fraction: () => Math.random(),
  };
}
