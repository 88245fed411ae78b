/** What a record says of the sign-in behind it (AL-01, AL-02): how, where, for whom, and how strongly. No claim that names a person. */
import type { Grant } from './domain.ts';
import { BrokerError } from './errors.ts';
import type { Fingerprints } from './fingerprints.ts';
import { Secret } from './secret.ts';

export type GrantFacts = Readonly<Record<'flow' | 'issuer' | 'client_id' | 'tenant' | 'account' | 'acr' | 'amr' | 'signed_in_at', unknown>>;

export function grantFacts({ flow, issuer, clientId, identity, signedInAt }: Pick<Grant, 'flow' | 'issuer' | 'clientId' | 'identity' | 'signedInAt'>, fingerprints: Fingerprints): GrantFacts {
  return {
    flow, issuer, client_id: clientId, tenant: identity?.tenant ?? null, account: identity === null ? null : accountOf(identity.sub, fingerprints),
    acr: identity?.acr ?? null, amr: identity?.amr ?? [], signed_in_at: signedInAt,
  };
}

/** Null where a lock has just taken the key away: a refusal is recorded all the same. */
function accountOf(sub: string, fingerprints: Fingerprints): string | null {
  try {
    return fingerprints.of(new Secret(sub));
  } catch (cause) {
    if (cause instanceof BrokerError) return null;
    throw cause;
  }
}
