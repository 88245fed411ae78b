import { BrokerError } from '../core/errors.ts';
import type { Assertions, Workload, WorkloadProof } from '../core/workload.ts';
import { keyRequired } from './workload-keys.ts';
import type { WorkloadKeys } from './workload-keys.ts';

/** By what the client proves itself, now. Throws workload_key_required, assertion_unavailable, assertion_invalid and those of the vault. */
export async function proofOf({ keys, assertions }: { readonly keys: Pick<WorkloadKeys, 'record'>; readonly assertions: Assertions }, workload: Workload): Promise<WorkloadProof> {
  const { name, auth, keyDigest } = workload;
  if (auth.kind === 'federated') return { kind: 'assertion', assertion: await assertions.read(workload, auth), type: auth.type };
  const record = await keys.record(name);
  const key = record?.keys.find(({ state }) => state === 'active');
  if (record === null || key === undefined) throw keyRequired(name, 'has no key yet');
  // What points elsewhere by now takes no key along.
  if (record.digest !== keyDigest) {
    throw new BrokerError('workload_key_required', `the key of workload ${name} was made for another issuer or client`, { hint: `Run: valetkey workload remove ${name} --keep-profile, then: valetkey workload init ${name}` });
  }
  return { kind: 'key', key };
}
