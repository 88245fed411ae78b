import type * as v from 'valibot';
import type { approvalAnswer, ApprovalsReply } from '../../../shared/approval-schemas.ts';
import type { OkReply } from '../../../shared/schemas.ts';
import type { Active, Pending } from '../../approvals/approvals.ts';
import { programLabel } from '../../approvals/consent-key.ts';
import { BrokerError } from '../../core/errors.ts';
import { instantOf } from '../../core/time.ts';
import { subjectFor } from '../../policy/facts.ts';
import { withAct } from '../../tokens/session.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { rulesFor } from './grant-views.ts';

type Body = v.InferOutput<typeof approvalAnswer>;

export function approvals({ approvals: held, clock }: Broker): ApprovalsReply {
  const epochOf = (boottimeMs: number): number => Math.floor((clock.now() + boottimeMs - clock.boottimeMs()) / 1000);
  return { pending: held.pending().map((each) => pendingView(each, epochOf)), active: held.active().map((each) => activeView(each, epochOf)) };
}

/** On record before who waits has its token: the route of the token writes its own record after this one. */
export async function answerApproval(broker: Broker, ask: Ask): Promise<OkReply> {
  const { approvals: held, audit, events } = broker;
  const { allow, binding = 'session', for_s } = ask.body as Body; // parsed by this method's schema
  const answered = held.answer(ask.params['id'] ?? '', ask.caller, allow ? { allow, binding, ms: for_s === undefined ? null : for_s * 1000 } : { allow });
  await audit.append({
    event: allow ? 'approval_given' : 'approval_denied', profile: answered.profile, caller: ask.caller, request: ask.requestId,
    facts: { approval: answered.id, asker: programLabel(answered.asker), rule: answered.rule, resource: answered.resource, scopes: answered.scopes, ...(allow ? { binding, for_s: for_s ?? null } : {}) },
  });
  events.emit('approval_answered', answered.profile, answered.id);
  if (allow) void noteAct(broker, answered);
  return { ok: true };
}

/** SU-03: a person took part. Whoever answers does not wait for a refresh that is on the wire. */
async function noteAct(broker: Broker, { profile: name, asker, resource }: Pending): Promise<void> {
  const { book, config, callers, policies, source, clock, log } = broker;
  const profile = config.current().profiles.get(name);
  const before = book.get(name);
  if (profile === undefined || before === null) return;
  const at = instantOf(clock);
  try {
    const subject = await subjectFor({ asksDigest: policies.inForce()?.asksDigest === true }, asker, callers);
    const rules = rulesFor(broker, profile, before, subject, { resource });
    await source.amend(profile, (grant) => withAct(profile, grant, rules, at));
  } catch (cause) {
    log.warn('act_not_noted', { profile: name, why: cause instanceof Error ? cause.message : 'unknown' }); // the session ends earlier, and no later
  }
}

export async function revokeApproval({ approvals: held, audit }: Broker, ask: Ask): Promise<OkReply> {
  const id = ask.params['id'] ?? '';
  if (!held.revoke(id)) throw new BrokerError('not_found', 'no consent has this id', { hint: 'Run: valetkey approvals' });
  await audit.append({ event: 'approval_revoked', profile: null, caller: ask.caller, request: ask.requestId, facts: { approval: id } });
  return { ok: true };
}

function pendingView({ id, profile, resource, scopes, asker, claimed, rule, asking, askedAt, expiresAtMs }: Pending, epochOf: (boottimeMs: number) => number): ApprovalsReply['pending'][number] {
  const { program, agent, lineage } = asker.origin;
  return {
    id, profile, resource, scopes: scopes === null ? null : [...scopes], caller: programLabel(asker), executable: program.executable, script: program.script, agent,
    lineage: lineage.map(({ name, pid }) => `${name} (pid ${pid})`),
    claimed: claimed === null ? null : { name: claimed.name ?? null, reason: claimed.reason ?? null }, rule,
    may_hold_s: asking.kind === 'each' ? null : Math.floor(asking.ms / 1000), asked_at: Math.floor(askedAt / 1000), expires_at: epochOf(expiresAtMs),
  };
}

function activeView({ id, profile, resource, scopes, label, binding, rule, givenBy, untilMs }: Active, epochOf: (boottimeMs: number) => number): ApprovalsReply['active'][number] {
  return { id, profile, resource, scopes: scopes === null ? null : [...scopes], caller: label, binding, rule, given_by: givenBy, expires_at: untilMs === null ? null : epochOf(untilMs) };
}
