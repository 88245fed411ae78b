/** What a record says of the sign-in behind it (AL-01, AL-02): how, where, for whom, and how strongly. No claim that names a person. */
import type { Grant } from './domain.ts';
import type { Fingerprints } from './fingerprints.ts';
import { Secret } from './secret.ts';

export type GrantFacts = Readonly<Record<'flow' | 'issuer' | 'client_id' | 'tenant' | 'account' | 'acr' | 'amr' | 'signed_in_at', unknown>>;

export function grantFacts({ flow, issuer, clientId, identity, signedInAt }: Pick<Grant, 'flow' | 'issuer' | 'clientId' | 'identity' | 'signedInAt'>, fingerprints: Fingerprints): GrantFacts {
  return {
    flow, issuer, client_id: clientId, tenant: identity?.tenant ?? null, account: identity === null ? null : fingerprints.of(new Secret(identity.sub)),
    acr: identity?.acr ?? null, amr: identity?.amr ?? [], signed_in_at: signedInAt,
  };
}
