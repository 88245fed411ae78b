import type { StatusReply } from '../shared/schemas.ts';

/** Why nobody can tell who is signed in, and what to do; null where the vault is open. */
export function closedWords({ vault, locked, locked_out_since: lockedOutSince }: Pick<StatusReply, 'vault' | 'locked' | 'locked_out_since'>): string | null {
  if (lockedOutSince !== null) return 'Everything was ended by valetkey panic. Run: valetkey login PROFILE';
  if (locked) return 'Locked by valetkey lock, so it is not known who is signed in. Run: valetkey unlock';
  if (vault.state === 'locked') return `The vault is locked, so it is not known who is signed in. ${vault.detail}`;
  if (vault.state === 'unavailable') return 'The vault cannot be opened, so it is not known who is signed in. Run: valetkey doctor';
  return null;
}
