/**
 * The end of a grant by the user's wish, in the one order in which nothing can be lost: tombstones first,
 * then the grant, then the issuer (RV-01).
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Grant, Profile } from '../core/domain.ts';
import type { GrantBook } from '../core/ports.ts';
import type { Revocations, Revoked } from './revocations.ts';

export type SignedOut = { readonly grant: Grant; readonly revoked: readonly Revoked[] };

/** Null where there was no grant. Throws vault_unwritable where its file cannot be removed; the tokens are revoked even so. */
export async function signOut(deps: { readonly book: GrantBook; readonly revocations: Revocations }, name: ProfileName, profile: Profile | null): Promise<SignedOut | null> {
  let grant: Grant | null = null;
  let tombstones: Awaited<ReturnType<Revocations['prepare']>> = [];
  let failure: unknown = null;
  try {
    await deps.book.take(name, async (taken) => {
      tombstones = await deps.revocations.prepare(taken, profile);
      grant = taken;
    });
  } catch (cause) {
    failure = cause;
  }
  const revoked = await deps.revocations.send(tombstones);
  if (failure !== null) throw failure;
  return grant === null ? null : { grant, revoked };
}
