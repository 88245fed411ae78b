import type { Log } from '../core/ports.ts';
import type { SealedStore } from './sealed-store.ts';
import { removeHeader } from './vault-header.ts';

/** A vault that could be made in part only must not stand in the way of the next try. */
export async function unmake(stateDir: string, sealed: SealedStore | null, log: Log): Promise<void> {
  try {
    await sealed?.erase();
    await removeHeader(stateDir);
  } catch (cause) {
    log.error('vault_not_unmade', { path: stateDir }, cause);
  }
}
