/** What somebody should look at in a workload (WL-05), in words. Pure. */
import type { EpochMs } from '../../shared/names.ts';
import type { Workload, WorkloadRecord } from '../core/workload.ts';

const DAY_MS = 86_400_000;
/** As of grants: unused for so long, it is stale. */
export const STALE_DAYS = 30;
const KEY_DAYS = 90;
/** Long enough ahead for whoever owns it to act. */
const SOON_DAYS = 14;

const days = (ms: number): number => Math.floor(ms / DAY_MS);

/** @param lastUsedAt - null: never, as far as is known */
export function flagsOf({ owner, purpose, expiresAt, auth, keyDigest }: Workload, record: WorkloadRecord | null, lastUsedAt: EpochMs | null, now: EpochMs): readonly string[] {
  const keys = record?.keys ?? [];
  const active = keys.find(({ state }) => state === 'active') ?? null;
  const bornAt = active?.madeAt ?? null;
  const leftMs = expiresAt === null ? Infinity : expiresAt - now;
  const old = active !== null && days(now - active.madeAt) > KEY_DAYS ? [`its key is ${days(now - active.madeAt)} days old: rotate it`] : [];
  return [
    ...(owner === null ? ['nobody owns it'] : []),
    ...(purpose === null ? ['it has no purpose'] : []),
    ...(expiresAt === null ? ['it never expires'] : leftMs <= 0 ? ['it has expired'] : days(leftMs) < SOON_DAYS ? [`it expires in ${days(leftMs)} days`] : []),
    ...(lastUsedAt === null ? (bornAt === null || now - bornAt > DAY_MS ? ['never used'] : []) : days(now - lastUsedAt) >= STALE_DAYS ? [`not used for ${days(now - lastUsedAt)} days`] : []),
    ...(auth.kind === 'private_key_jwt' && active === null ? ['it has no key'] : []),
    ...(keys.length > 0 && record !== null && record.digest !== keyDigest ? ['its key was made for another issuer or client'] : []),
    ...(auth.kind === 'federated' && keys.length > 0 ? ['it holds keys that it does not use'] : []),
    ...old,
    ...(keys.some(({ state, madeAt }) => state === 'next' && now - madeAt > DAY_MS) ? ['a new key waits to be activated'] : []),
    ...(keys.some(({ state }) => state === 'retiring') ? ['an old key waits to be retired'] : []),
  ];
}
