/** What is kept of a token that has to die at its issuer: the token, where it is taken back, and how that is reached. Pure. */
import type { EpochMs } from '../../shared/names.ts';
import type { Grant, IssuerConnection, Revocation } from '../core/domain.ts';
import type { Clock, Random } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';

type Owner = Pick<Grant, 'profile' | 'clientId' | 'server'>;
type Way = IssuerConnection & Pick<Revocation, 'clientAuth' | 'digest'>;

/** As anybody would reach the pinned endpoint. */
export const DIRECT: Way = { clientAuth: 'none', caPem: null, proxy: null, allowLoopbackHttp: false, digest: '' };

/** A refresh token of unknown life is given up after this long. */
const GIVE_UP_MS = 30 * 86_400_000;
/** A time of day that was set wrong must not let a living token off. */
const CLOCK_MARGIN_MS = 86_400_000;

export function makeTombstone(
  { random, clock }: { readonly random: Pick<Random, 'token'>; readonly clock: Pick<Clock, 'now'> },
  { profile, clientId, server }: Owner, { clientAuth, digest, caPem, proxy, allowLoopbackHttp }: Way,
  token: Secret, tokenKind: Revocation['tokenKind'], expiresAt: EpochMs | null,
): Revocation {
  return {
    id: random.token(16), profile, clientId, clientAuth, digest, server, connection: { caPem, proxy, allowLoopbackHttp },
    token, tokenKind, expiresAt, since: clock.now(),
  };
}

/** Nobody has to revoke it any more. */
export function isOver({ expiresAt, since }: Revocation, now: EpochMs): boolean {
  return expiresAt === null ? now - since > GIVE_UP_MS : now > expiresAt + CLOCK_MARGIN_MS;
}
