import type * as v from 'valibot';
import type { ActiveApproval, approvalAnswer, ApprovalAnswered, approvalGrant, approvalPinRequest, ApprovalsReply, RevokedApprovals } from '../../../shared/approval-schemas.ts';
import type { OkReply } from '../../../shared/schemas.ts';
import type { Pending, Verdict } from '../../approvals/approvals.ts';
import { bytesKey, programLabel } from '../../approvals/consent-key.ts';
import type { Active } from '../../approvals/consents.ts';
import { whyNoPerson } from '../../approvals/may-approve.ts';
import type { Caller } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Clock, Vault } from '../../core/ports.ts';
import { Secret } from '../../core/secret.ts';
import { instantOf } from '../../core/time.ts';
import { subjectFor } from '../../policy/facts.ts';
import { withAct } from '../../tokens/session.ts';
import type { Ask } from '../dispatch.ts';
import { noteAnswer, noteWrongPin } from './approval-records.ts';
import type { Broker } from './broker.ts';
import { rulesFor } from './grant-views.ts';
import { pickProfile } from './pick-profile.ts';

type Body = v.InferOutput<typeof approvalAnswer>;
type GrantBody = v.InferOutput<typeof approvalGrant>;
type PinBody = v.InferOutput<typeof approvalPinRequest>;

export async function approvals(broker: Broker, { caller }: Ask): Promise<ApprovalsReply> {
  const { approvals: held, clock, desktop, vault } = broker;
  const epochOf = epochsOf(clock);
  // Those of before are known once the vault is open; where it is not, what is asked now can be told all the same.
  await openIfItCan(broker);
  const [{ dialogs, notifications, why }, pin] = await Promise.all([desktop.state(), pinState(vault)]);
  return {
    pending: held.pending().map((each) => pendingView(each, epochOf)),
    active: held.consents.list().map((each) => activeView(each, clock)),
    channels: { terminal: whyNoPerson(caller), dialog: dialogs, no_dialog_because: why, notifications, pin },
  };
}

/** The clock of consents in the words of the wire. */
function epochsOf(clock: Clock): (boottimeMs: number) => number {
  return (boottimeMs) => Math.floor((clock.now() + boottimeMs - clock.boottimeMs()) / 1000);
}

async function pinState({ pins }: Vault): Promise<ApprovalsReply['channels']['pin']> {
  try {
    return await pins.isSet() ? 'set' : 'not_set';
  } catch (cause) {
    if (!(cause instanceof BrokerError)) throw cause;
    return 'unknown';
  }
}

/** On record before who waits has its token: the route of the token writes its own record after this one. */
export async function answerApproval(broker: Broker, ask: Ask): Promise<ApprovalAnswered> {
  const { approvals: held } = broker;
  const { allow, binding = 'session', for_s, pin } = ask.body as Body; // parsed by this method's schema
  const { caller, requestId: request } = ask;
  const id = ask.params['id'] ?? '';
  // Who may not say yes does not get to guess the PIN either.
  const needsPin = allow && held.approvable(id, caller, 'terminal').tier === 'privileged';
  if (needsPin) await provePin(broker, ask, pin, id, `valetkey approve ${id}`);
  const verdict: Verdict = allow ? { allow, binding, ms: for_s === undefined ? null : for_s * 1000 } : { allow };
  const { pending, kept } = held.answer(id, caller, verdict);
  await noteAnswer(broker, pending, verdict, { caller, request, channel: 'terminal' });
  if (allow) void noteAct(broker, pending);
  return { ok: true, outlasts: await kept };
}

async function provePin(broker: Broker, { caller, requestId: request }: Ask, pin: string | undefined, approval: string | null, command: string): Promise<void> {
  const { vault: { pins } } = broker;
  if (pin === undefined) {
    const isSet = await pins.isSet();
    throw new BrokerError('pin_required', `this is agreed to with the approval PIN${isSet ? '' : ', and none is set'}`, isSet ? { hint: `Run: ${command}` } : {});
  }
  await noted(broker, { caller, request, approval }, () => pins.prove(new Secret(pin)));
}

async function noted(broker: Broker, who: Parameters<typeof noteWrongPin>[1], attempt: () => Promise<void>): Promise<void> {
  try {
    await attempt();
  } catch (cause) {
    if (cause instanceof BrokerError && cause.code === 'pin_wrong') await noteWrongPin(broker, who);
    throw cause;
  }
}

/** A person's own terminal, and not that of a program whose question waits: its PIN would be no secret from it. */
export async function setApprovalPin(broker: Broker, ask: Ask): Promise<OkReply> {
  const { audit, vault: { pins } } = broker;
  const { caller, requestId: request } = ask;
  const { pin, old } = ask.body as PinBody; // parsed by this method's schema
  demandPerson(broker, caller, 'set the approval PIN');
  const isChange = await pins.isSet();
  await noted(broker, { caller, request, approval: null }, () => pins.set(pin === null ? null : new Secret(pin), old === undefined ? null : new Secret(old)));
  await audit.append({ event: 'pin_changed', profile: null, caller, request, facts: { what: pin === null ? 'removed' : isChange ? 'changed' : 'set' } });
  return { ok: true };
}

function demandPerson({ approvals: held }: Broker, caller: Caller, what: string): void {
  const whyNot = whyNoPerson(caller);
  if (whyNot !== null) throw new BrokerError('approval_refused', `this process may not ${what}: it ${whyNot}`, { hint: 'Run it at a terminal of your own' });
  for (const { id } of held.pending()) held.approvable(id, caller, 'terminal');
}

/** With the PIN: no question is there that would tell a terminal of before from one of the program's own making. */
export async function grantApproval(broker: Broker, ask: Ask): Promise<ActiveApproval> {
  const { approvals: held, audit, callers, clock, config } = broker;
  const { caller, requestId: request } = ask;
  const { executable, script = null, profile, scopes = null, resource = null, for_s, pin } = ask.body as GrantBody; // parsed by this method's schema
  demandPerson(broker, caller, 'agree beforehand');
  const named = pickProfile(config.current(), profile, undefined);
  await provePin(broker, ask, pin, null, 'valetkey approve --caller-exe …');
  const program = executable.startsWith('/') ? await callers.programAt(executable) : null;
  const interpreted = script?.startsWith('/') === true ? await callers.programAt(script) : null;
  if (program === null || (script !== null && interpreted === null)) throw new BrokerError('bad_request', 'the program or its script is no file that can be read, or its path is not absolute', { hint: 'See how it will be seen: valetkey whoami, run by that program' });
  // Its consent would be one to all code of everybody that it can be given.
  if (program.isInterpreter && script === null) throw new BrokerError('bad_request', 'the program is an interpreter, which runs any code: name the script as well', { hint: 'Give: --caller-script PATH' });
  const wish = { profile: named.name, scopes, resource: resource ?? named.resource };
  const digest = interpreted === null ? program.digest : bytesKey(program.digest, interpreted.digest);
  const { given, kept } = held.grant({ executable: program.executable, script, digest }, wish, caller.label, for_s === undefined ? null : for_s * 1000);
  await audit.append({
    event: 'approval_given', profile: named.name, caller, request,
    facts: { approval: given.id, channel: 'beforehand', asker: given.label, rule: given.rule, resource: wish.resource, scopes, binding: 'program', for_s: for_s ?? null, executable: program.executable, script, digest },
  });
  return activeView({ ...given, leftMs: given.lifeMs, outlasts: await kept }, clock);
}

/** Also those of a copy that cannot be read now. */
export async function revokeApprovals(broker: Broker, ask: Ask): Promise<RevokedApprovals> {
  const { approvals: held, audit } = broker;
  await openIfItCan(broker);
  const revoked = held.consents.list().map(({ id }) => id);
  const ended = held.consents.end(() => true);
  for (const approval of revoked) await audit.append({ event: 'approval_revoked', profile: null, caller: ask.caller, request: ask.requestId, facts: { approval } });
  await ended;
  return { ok: true, revoked };
}

async function openIfItCan({ lifecycle }: Broker): Promise<void> {
  if (lifecycle.isOpen) return;
  try {
    await lifecycle.ensureOpen();
  } catch (cause) {
    if (!(cause instanceof BrokerError)) throw cause;
  }
}

/** SU-03: a person took part. Whoever answers does not wait for a refresh that is on the wire. */
export async function noteAct(broker: Broker, { profile: name, asker, resource }: Pending): Promise<void> {
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

/** Once this is answered no crash brings it back. */
export async function revokeApproval({ approvals: { consents }, audit, lifecycle }: Broker, ask: Ask): Promise<OkReply> {
  const id = ask.params['id'] ?? '';
  // It may be one of before.
  if (!consents.has(id)) await lifecycle.ensureOpen();
  if (!consents.has(id)) throw new BrokerError('not_found', 'no consent has this id', { hint: 'Run: valetkey approvals' });
  const ended = consents.end((consent) => consent.id === id);
  await audit.append({ event: 'approval_revoked', profile: null, caller: ask.caller, request: ask.requestId, facts: { approval: id } });
  await ended;
  return { ok: true };
}

function pendingView({ id, profile, resource, scopes, asker, claimed, rule, asking, tier, use, askedAt, expiresAtMs }: Pending, epochOf: (boottimeMs: number) => number): ApprovalsReply['pending'][number] {
  const { program, agent, lineage } = asker.origin;
  return {
    id, profile, resource, scopes: scopes === null ? null : [...scopes], caller: programLabel(asker), executable: program.executable, script: program.script, agent,
    lineage: lineage.map(({ name, pid }) => `${name} (pid ${pid})`),
    claimed: claimed === null ? null : { name: claimed.name ?? null, reason: claimed.reason ?? null }, use, rule,
    may_hold_s: asking.kind === 'each' ? null : Math.floor(asking.ms / 1000), pin_needed: tier === 'privileged', asked_at: Math.floor(askedAt / 1000), expires_at: epochOf(expiresAtMs),
  };
}

function activeView({ id, profile, resource, scopes, label, binding, rule, givenBy, isOnce, leftMs, outlasts }: Active, clock: Clock): ActiveApproval {
  const expiresAt = isOnce ? null : Math.floor((clock.now() + leftMs) / 1000);
  return { id, profile, resource, scopes: scopes === null ? null : [...scopes], caller: label, binding, rule, given_by: givenBy, expires_at: expiresAt, outlasts };
}
