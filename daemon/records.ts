/**
 * Which policy was in force, and on which machine (AL-01): added to every record of a decision in one place, so that
 * none goes without. What is recorded at once after a decision is recorded under the policy that decided.
 */
import type { Audit, AuditEvent } from './core/ports.ts';
import type { Policies } from './ipc/routes/broker.ts';

/** What is decided, done or refused for somebody; the rest is about the daemon itself. */
const OF_DECISIONS: ReadonlySet<AuditEvent['event']> = new Set([
  'login_decided', 'login_finished', 'login_failed', 'token_released', 'token_refused', 'fetch_started', 'fetch_ended', 'token_refreshed', 'refresh_failed', 'grant_parked', 'grant_removed',
  'token_revoked', 'jit_granted', 'jit_ended', 'approval_given', 'approval_denied', 'approval_revoked', 'pin_changed', 'pin_refused',
  'locked', 'unlocked', 'panic', 'lockout_lifted', 'browser_signed_out', 'config_reloaded',
  'workload_token_obtained', 'workload_token_released', 'workload_token_refused', 'workload_token_revoked', 'workload_key_changed', 'workload_removed',
]);

export function withContext(audit: Audit, policies: Pick<Policies, 'inForce'>, machine: string): Audit {
  return {
    append: (event) => audit.append(OF_DECISIONS.has(event.event) ? { ...event, facts: { ...event.facts, device: machine, policy: digestsOf(policies) } } : event),
    trouble: () => audit.trouble(),
    state: () => audit.state(),
    useKeys: (keys) => audit.useKeys(keys),
    close: () => audit.close(),
  };
}

/** Of each file in force; null where there is no such file, or nothing may be decided. */
function digestsOf(policies: Pick<Policies, 'inForce'>): Readonly<Record<'admin' | 'user', string | null>> {
  const documents = policies.inForce()?.documents;
  return { admin: documents?.admin?.digest ?? null, user: documents?.user?.digest ?? null };
}
