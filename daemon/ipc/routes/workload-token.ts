/**
 * A token for a workload: profile, decision, token; on the way back: audit, then answer. It is a route of its own, with
 * records and releases of its own: a person's profile has no way in here, and a workload none into token.ts (WL-01).
 * Policy is asked as for everybody, of a request whose flow is client_credentials.
 */
import type * as v from 'valibot';
import type { workloadTokenRequest } from '../../../shared/workload-schemas.ts';
import { BrokerError } from '../../core/errors.ts';
import type { TokenNeed } from '../../core/grant.ts';
import { instantOf } from '../../core/time.ts';
import type { Workload } from '../../core/workload.ts';
import { ruleText } from '../../policy/decide.ts';
import { subjectFor } from '../../policy/facts.ts';
import type { PolicyRequest } from '../../policy/facts.ts';
import type { Decision } from '../../policy/decide.ts';
import { withinLimits } from '../../tokens/bounds.ts';
import type { Ask } from '../dispatch.ts';
import { withDeadline } from '../deadline.ts';
import { encodeWorkloadToken } from '../encode.ts';
import type { Encoded } from '../encode.ts';
import type { Broker } from './broker.ts';
import { claimedOf } from './claimed.ts';
import { isSeenStill, momentOf, seenNow } from './moment.ts';
import { pickWorkload } from './pick-workload.ts';
import { refuseUnrecordedOf } from './privileged.ts';
import type { Allowed } from './releases.ts';
import { askingOf, builtIn, builtInDenial, refusalOf, rulingOn } from './ruling.ts';
import { needOf } from './token-need.ts';

type Body = v.InferOutput<typeof workloadTokenRequest>;

const DEFAULT_WAIT_S = 30;
/** More than this mean that policy changes faster than a token can be fetched. */
const ROUNDS = 4;

/** What is asked for, as rules see it: nobody signed in, and the client proves itself at each request. */
export function workloadRequestOf(workload: Workload, { scopes, resource }: Pick<TokenNeed, 'scopes' | 'resource'>): PolicyRequest {
  return {
    profile: workload.name, issuer: workload.issuer, tenant: null, resource, scopes: scopes ?? workload.scopes,
    flow: 'client_credentials', use: 'token', signedInS: 0, found: [], screenLocked: null, tier: workload.tier, isSignIn: false,
  };
}

export async function workloadToken(broker: Broker, ask: Ask): Promise<Encoded> {
  const body = ask.body as Body; // parsed by this method's schema
  const workload = pickWorkload(broker.config.current(), body.profile);
  const askedMs = broker.clock.boottimeMs();
  const asked = needOf(body, workload, askedMs);
  try {
    return await answer(broker, ask, askedMs);
  } catch (cause) {
    if (!(cause instanceof BrokerError) || !NOTED.includes(cause.code)) throw cause;
    await broker.audit.append({
      event: 'workload_token_refused', profile: workload.name, caller: ask.caller, request: ask.requestId,
      facts: { rule: cause.facts.reason ?? null, reason: cause.message, code: cause.code, scopes: asked.scopes ?? workload.scopes, resource: asked.resource, ...claim(body) },
    });
    throw cause;
  }
}

/** What somebody here decided; what the issuer says is in the log. */
const NOTED: readonly string[] = [
  'policy_denied', 'policy_untrusted', 'policy_invalid', 'as_token_too_long', 'approval_required', 'approval_denied', 'workload_expired', 'assertion_invalid',
];

const claim = (body: Body): Readonly<Record<string, unknown>> => {
  const claimed = claimedOf(body.claimed);
  return claimed === null ? {} : { claimed };
};

async function answer(broker: Broker, ask: Ask, askedMs: number): Promise<Encoded> {
  const body = ask.body as Body; // parsed by this method's schema
  const waitMs = (body.wait_s ?? DEFAULT_WAIT_S) * 1000;
  /** Which rule a person's word answered, and by which consent. */
  const consents = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const workload = pickWorkload(broker.config.current(), body.profile);
    const asked = needOf(body, workload, askedMs);
    const denied = builtInDenial(broker, ask.caller);
    if (denied !== null) refuse(denied, workload);
    await broker.lifecycle.ensureOpen();
    const policy = broker.policies.current();
    const subject = await subjectFor(policy, ask.caller, broker.callers);
    const decision = rulingOn(broker, policy, subject, { ...workloadRequestOf(workload, asked), ...momentOf(broker, policy, subject, workload.name) });
    if (decision.kind === 'deny') return refuse(decision, workload);
    refuseUnrecordedOf(broker, decision.tier);
    const rule = ruleText(decision.by);
    if (decision.kind === 'confirm' && !consents.has(rule)) {
      consents.set(rule, await broker.approvals.admit({
        asker: ask.caller, profile: workload.name, resource: asked.resource, scopes: asked.scopes, rule, asking: askingOf(decision.ask), tier: decision.tier, use: 'token', claimed: claimedOf(body.claimed),
      }, waitMs, ask.signal));
      continue; // what policy says by now holds as well
    }
    const need = withinLimits(workload, null, asked, decision.limits);
    const served = await withDeadline(broker, waitMs, ask.signal, (signal) => broker.workloads.tokens.get(workload, need, signal));
    // Policy and configuration that changed while this waited have not been asked (GV-01).
    if (broker.policies.inForce() !== policy || pickWorkload(broker.config.current(), body.profile) !== workload || isTakenBack(broker, consents, rule)) continue;
    const allowed: Allowed = { name: rule, approval: consents.get(rule) ?? null };
    stillSame(broker, ask, workload);
    const seen = seenNow(broker, policy);
    await broker.workloads.releases.record(workload, { grant: null, ...served }, ask, claimedOf(body.claimed), allowed);
    stillSame(broker, ask, workload);
    // A disk may take its time: a lock, a panic or another policy that came meanwhile is not outrun.
    const late = builtInDenial(broker, ask.caller);
    if (late !== null) refuse(late, workload);
    if (broker.policies.inForce() !== policy || !isSeenStill(broker, policy, seen) || isTakenBack(broker, consents, rule)) continue;
    broker.counts.workloadTokens[served.source] += 1;
    return encodeWorkloadToken(workload.name, served.token, served.source, rule, instantOf(broker.clock));
  }
  throw new BrokerError('deadline_exceeded', `policy or profile of workload ${body.profile} changed again and again meanwhile`, { retryAfterS: 1 });
}

/** The consent that let it through was taken back since: a person is asked anew. */
function isTakenBack({ approvals }: Broker, consents: Map<string, string>, rule: string): boolean {
  const id = consents.get(rule);
  const is = id !== undefined && approvals.consents.wasTakenBack(id);
  if (is) consents.delete(rule);
  return is;
}

/** Only to the program that was looked at (IP-07). */
function stillSame(broker: Broker, ask: Ask, workload: Workload): void {
  if (!broker.callers.stillSame(ask.caller)) refuse(builtIn('caller-changed', 'the asking process has ended or become another program'), workload);
}

function refuse(decision: Decision, { name }: Workload): never {
  throw refusalOf(decision, name) ?? new BrokerError('internal', 'a request that is allowed was refused');
}
