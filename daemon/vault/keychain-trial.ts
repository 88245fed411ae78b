/**
 * Whether the keychain works, found out by using it: an item of no value is stored, read back and removed. Two
 * that ask at a time get the same answer. A dialog that it may open is gone after three seconds, so nobody hangs.
 */
import type { KeychainTrial } from '../core/machine-port.ts';
import type { Clock, Random } from '../core/ports.ts';
import { tryKeychain } from './keychain.ts';

const PERSON_MS = 3_000;
const ITEM_BYTES = 32;

/** @param account - a name that no other daemon of this user takes at the same time */
export function createKeychainTrial({ clock, random, account }: { readonly clock: Clock; readonly random: Random; readonly account: string }): () => Promise<KeychainTrial> {
  let underWay: Promise<KeychainTrial> | null = null;
  const run = async (): Promise<KeychainTrial> => {
    const outcome = await tryKeychain(clock, account, Buffer.from(random.token(ITEM_BYTES)), PERSON_MS);
    return outcome.kind === 'failed' ? outcome.why : 'works';
  };
  return () => (underWay ??= run().finally(() => {
    underWay = null;
  }));
}
