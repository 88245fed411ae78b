/** Workload profiles: what there is of them, and the life of their keys. Of a key only its public half is ever told. */
import type * as v from 'valibot';
import type { WorkloadKeysReply, WorkloadRemoveReply, WorkloadsReply, WorkloadView, workloadKeysRequest } from '../../../shared/workload-schemas.ts';
import type { EpochMs } from '../../../shared/names.ts';
import type { AccessToken } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Workload, WorkloadAt, WorkloadRecord } from '../../core/workload.ts';
import { flagsOf } from '../../workloads/flags.ts';
import { proofOf } from '../../workloads/proof.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { pickWorkload } from './pick-workload.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);
const secondsOrNull = (ms: number | null): number | null => (ms === null ? null : seconds(ms));

function view(broker: Broker, workload: Workload, record: WorkloadRecord | null): WorkloadView {
  const { name, issuer, clientId, scopes, resource, tier, auth, owner, purpose, expiresAt } = workload;
  const uses = [record?.lastUsedAt ?? null, broker.workloads.tokens.lastUsedMs(name)].filter((at) => at !== null);
  const lastUsedAt = uses.length === 0 ? null : (Math.max(...uses) as EpochMs);
  return {
    profile: name, issuer, client_id: clientId, scopes: [...scopes], resource, tier,
    auth: auth.kind, assertion: auth.kind === 'federated' ? sourceOf(auth.source) : null,
    owner, purpose, expires_at: secondsOrNull(expiresAt), last_used_at: secondsOrNull(lastUsedAt),
    keys: (record?.keys ?? []).map(({ kid, alg, state, madeAt, publicJwk }) => ({ kid, alg, state, made_at: seconds(madeAt), jwk: { ...publicJwk } })),
    flags: [...flagsOf(workload, record, lastUsedAt, broker.clock.now())],
  };
}

function sourceOf(source: Extract<Workload['auth'], { kind: 'federated' }>['source']): string {
  return source.kind === 'file' ? source.path : source.argv.join(' ');
}

export async function workloads(broker: Broker): Promise<WorkloadsReply> {
  const all = [...broker.config.current().workloads.values()];
  if (all.length === 0) return { workloads: [] };
  await broker.lifecycle.ensureOpen();
  return { workloads: await Promise.all(all.map(async (workload) => view(broker, workload, await broker.workloads.keys.record(workload.name)))) };
}

export async function changeWorkloadKeys(broker: Broker, ask: Ask): Promise<WorkloadKeysReply> {
  const { step, alg } = ask.body as v.InferOutput<typeof workloadKeysRequest>; // parsed by this method's schema
  const workload = pickWorkload(broker.config.current(), ask.params['profile']);
  await broker.lifecycle.ensureOpen();
  // While its key can still prove it.
  const revoked = step === 'forget' ? await revokeAll(broker, ask, workload, broker.workloads.tokens.take(workload.name)) : [];
  const record = await broker.workloads.keys.change(workload, step, alg ?? 'ES256');
  broker.workloads.tokens.retry(workload.name);
  await broker.audit.append({
    event: 'workload_key_changed', profile: workload.name, caller: ask.caller, request: ask.requestId,
    facts: { step, issuer: workload.issuer, client_id: workload.clientId, keys: (record?.keys ?? []).map(({ kid, state }) => `${state} ${kid}`) },
  });
  return { workload: view(broker, workload, record), lasting: broker.vault.status().backend !== 'memory', revoked };
}

/** Its tokens are revoked while its key can still prove it; then the key goes, and last what names it. */
export async function removeWorkload(broker: Broker, ask: Ask): Promise<WorkloadRemoveReply> {
  const workload = pickWorkload(broker.config.current(), ask.params['profile']);
  const { name } = workload;
  await broker.lifecycle.ensureOpen();
  await broker.approvals.forget(name);
  const revoked = await revokeAll(broker, ask, workload, broker.workloads.tokens.take(name));
  await broker.config.removeWorkload(name);
  await broker.workloads.keys.change(workload, 'forget', 'ES256');
  await broker.audit.append({ event: 'workload_removed', profile: name, caller: ask.caller, request: ask.requestId, facts: { issuer: workload.issuer, client_id: workload.clientId } });
  return { profile: name, revoked };
}

async function revokeAll(broker: Broker, ask: Ask, workload: Workload, tokens: readonly AccessToken[]): Promise<WorkloadRemoveReply['revoked']> {
  const done: WorkloadRemoveReply['revoked'] = [];
  for (const token of tokens) {
    const outcome = await revoke(broker, workload, token);
    done.push({ outcome, until: seconds(token.expiresAt) });
    await broker.audit.append({
      event: 'workload_token_revoked', profile: workload.name, caller: ask.caller, request: ask.requestId,
      facts: { token: broker.workloads.releases.nameOf(token), token_kind: 'access_token', outcome, issuer: workload.issuer, client_id: workload.clientId },
    });
  }
  return done;
}

/** What cannot be revoked lives until its end, which its asker is told. */
async function revoke(broker: Broker, workload: Workload, token: AccessToken): Promise<'revoked' | 'unsupported' | 'failed'> {
  const found = await broker.issuer.discover(workload);
  if (found.kind !== 'server') return 'failed';
  try {
    const client: WorkloadAt = { server: found.server, clientId: workload.clientId, connection: workload, proof: await proofOf(broker.workloads, workload) };
    const { kind } = await broker.workloads.issuer.revokeWorkloadToken(client, token.value);
    return kind === 'revoked' || kind === 'unsupported' ? kind : 'failed';
  } catch (cause) {
    if (!(cause instanceof BrokerError)) throw cause;
    return 'failed'; // no key, or no assertion
  }
}
