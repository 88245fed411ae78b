/**
 * The end of a workload's tokens at their issuer (RFC 7009), by the workload's own client. They are tombstones like
 * those of people's tokens, sealed and sent again; nothing is ever served from one. A new proof is made for each try:
 * so what is tried while the vault is locked waits for its key.
 */
import type { ProfileName } from '../../shared/names.ts';
import type { Revocation } from '../core/domain.ts';
import type { Clock, ConfigStore, Random, RevokeOutcome } from '../core/ports.ts';
import type { Assertions, WorkloadIssuer } from '../core/workload.ts';
import type { Revoked } from '../tokens/revocations.ts';
import { makeTombstone } from '../tokens/tombstone.ts';
import { proofOf } from './proof.ts';
import type { WorkloadKeys } from './workload-keys.ts';
import type { HeldTokens } from './workload-tokens.ts';

export type RevokeDeps = {
  readonly config: Pick<ConfigStore, 'current'>;
  readonly keys: Pick<WorkloadKeys, 'record'>;
  readonly assertions: Assertions;
  readonly issuer: Pick<WorkloadIssuer, 'revokeWorkloadToken'>;
};

export function tombstonesOf(deps: { readonly random: Pick<Random, 'token'>; readonly clock: Pick<Clock, 'now'> }, held: readonly HeldTokens[]): readonly Revocation[] {
  return held.flatMap(({ workload, server, tokens }) => {
    const owner = { profile: workload.name, clientId: workload.clientId, server };
    const way = { ...workload, clientAuth: 'workload' as const, digest: workload.keyDigest };
    return tokens.map(({ value, expiresAt }) => makeTombstone(deps, owner, way, value, 'access_token', expiresAt));
  });
}

/** Throws what stands in the way of a proof: a locked vault, an assertion that cannot be had. */
export async function revokeOfWorkload(deps: RevokeDeps, { profile, clientId, server, connection, digest, token }: Revocation): Promise<RevokeOutcome> {
  if (server.revocationEndpoint === null) return { kind: 'unsupported' };
  const workload = deps.config.current().workloads.get(profile);
  // What is gone, or is another client by now, proves nothing about this token, and will not.
  if (workload === undefined || workload.keyDigest !== digest) {
    return { kind: 'rejected', code: 'workload_key_required', oauthError: null, subError: null, description: `workload ${profile} is another one by now`, tokens: null };
  }
  return deps.issuer.revokeWorkloadToken({ server, clientId, connection, proof: await proofOf(deps, workload) }, token);
}

/** What became of the tokens of each. */
export type WorkloadEnded = { readonly profile: ProfileName; readonly issuer: string; readonly revoked: readonly Revoked[] };

export function byWorkload(tombstones: readonly Revocation[], outcomes: ReadonlyMap<string, Revoked>): readonly WorkloadEnded[] {
  return [...new Set(tombstones.map(({ profile }) => profile))].map((profile) => {
    const its = tombstones.filter((each) => each.profile === profile);
    return { profile, issuer: its[0]?.server.issuer ?? '', revoked: its.flatMap(({ id }) => outcomes.get(id) ?? []) };
  });
}

/** For the record: whose tokens live on, and how long at most. */
export function stillAlive(ended: readonly WorkloadEnded[]): readonly string[] {
  return ended.flatMap(({ profile, revoked }) => {
    const untils = revoked.flatMap(({ until }) => until ?? []);
    return untils.length === 0 ? [] : [`${profile} until ${new Date(Math.max(...untils)).toISOString().slice(0, 19)}Z`];
  });
}
