/**
 * Hops 3 to 5 of a token request: profile, decision, token; on the way back: audit, then answer. Where the
 * token is cached and its release is on record, all of it happens at once.
 */
import type * as v from 'valibot';
import type { tokenRequest } from '../../../shared/schemas.ts';
import type { Caller, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { TokenNeed } from '../../core/grant.ts';
import { instantOf } from '../../core/time.ts';
import { decide } from '../../policy/decide.ts';
import type { Decision } from '../../policy/decide.ts';
import type { Served } from '../../tokens/token-source.ts';
import type { Ask } from '../dispatch.ts';
import { withDeadline } from '../deadline.ts';
import { encodeToken } from '../encode.ts';
import type { Encoded } from '../encode.ts';
import type { Broker } from './broker.ts';
import { claimedOf } from './claimed.ts';
import type { Claimed } from './claimed.ts';
import { pickProfile } from './pick-profile.ts';

type Body = v.InferOutput<typeof tokenRequest>;

const DEFAULT_MIN_TTL_S = 60;
const DEFAULT_WAIT_S = 30;

export function token(broker: Broker, ask: Ask): Encoded | Promise<Encoded> {
  const body = ask.body as Body; // parsed by this method's schema
  const profile = pickProfile(broker.config.current(), body.profile, body.profile === undefined ? body.resource : undefined);
  const claimed = claimedOf(body.claimed);
  const decision = decide({ locked: broker.lifecycle.locked, ownerUid: broker.uid }, ask.caller);
  if (decision.kind === 'deny') return refuse(broker, ask, profile, claimed, decision);
  const need = needOf(body, profile, broker.clock.boottimeMs());
  const cached = broker.lifecycle.isOpen ? broker.source.cached(profile, need) : null;
  return cached === null ? obtain(broker, ask, profile, need, claimed) : release(broker, ask, profile, cached, claimed);
}

/** On record before it leaves (AL-01), and only to the program that was looked at: once more after whatever was waited for (IP-07). */
function release(broker: Broker, ask: Ask, profile: Profile, served: Served, claimed: Claimed | null): Encoded | Promise<Encoded> {
  if (!broker.callers.stillSame(ask.caller)) return refuseChanged(broker, ask, profile, claimed);
  const recorded = broker.releases.record(profile, served.token, served.source, ask, claimed);
  return recorded === null ? encode(broker, profile, served) : releaseRecorded(broker, ask, profile, served, claimed, recorded);
}

async function releaseRecorded(broker: Broker, ask: Ask, profile: Profile, served: Served, claimed: Claimed | null, recorded: Promise<void>): Promise<Encoded> {
  await recorded;
  return broker.callers.stillSame(ask.caller) ? encode(broker, profile, served) : refuseChanged(broker, ask, profile, claimed);
}

function encode({ clock }: Broker, profile: Profile, { token: released, source }: Served): Encoded {
  return encodeToken(profile, released, source, instantOf(clock));
}

/** What asked has ended, or is another program by now: whoever holds the connection was never looked at. */
function refuseChanged(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null): Promise<never> {
  return refuse(broker, ask, profile, claimed, { kind: 'deny', rule: 'caller-changed', reason: 'the asking process has ended or become another program' });
}

async function obtain(broker: Broker, ask: Ask, profile: Profile, need: TokenNeed, claimed: Claimed | null): Promise<Encoded> {
  const body = ask.body as Body; // parsed by this method's schema
  await broker.lifecycle.ensureOpen();
  try {
    const served = await withDeadline(broker, (body.wait_s ?? DEFAULT_WAIT_S) * 1000, ask.signal, (signal) => broker.source.get(profile, need, signal));
    return await release(broker, ask, profile, served, claimed);
  } catch (cause) {
    throw await withLogin(broker, cause, profile, body, ask);
  }
}

async function refuse(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, decision: Decision & { readonly kind: 'deny' }): Promise<never> {
  await broker.audit.append({
    event: 'token_refused', profile: profile.name, caller: ask.caller, request: ask.requestId,
    facts: { rule: decision.rule, reason: decision.reason, ...(claimed === null ? {} : { claimed }) },
  });
  if (decision.rule === 'user-lock') throw new BrokerError('vault_locked', 'the user locked the broker');
  throw new BrokerError('policy_denied', `${decision.reason} (rule ${decision.rule})`, { reason: decision.rule });
}

function needOf(body: Body, profile: Profile, nowMs: number): TokenNeed {
  return {
    scopes: body.scopes === undefined || body.scopes.length === 0 ? null : body.scopes,
    resource: body.resource ?? profile.resource,
    minTtlMs: (body.min_ttl_s ?? DEFAULT_MIN_TTL_S) * 1000,
    acrValues: body.acr_values ?? [],
    maxAgeS: body.max_age_s ?? null,
    notBeforeMs: body.force === true ? nowMs : null,
  };
}

/** login_required carries the sign-in to join; with interaction allowed, one is started for the caller. */
async function withLogin(broker: Broker, cause: unknown, profile: Profile, body: Body, ask: Ask): Promise<unknown> {
  if (!(cause instanceof BrokerError) || cause.code !== 'login_required') return cause;
  const login = body.interaction === 'allowed' ? await started(broker, profile, body, ask.caller) : broker.logins.pendingFor(profile.name, ask.caller);
  return login === null ? cause : new BrokerError('login_required', cause.message, { ...cause.facts, login });
}

function started(broker: Broker, profile: Profile, body: Body, caller: Caller): ReturnType<Broker['logins']['start']> {
  return broker.logins.start({
    profile, preference: 'auto', manualOpen: false, scopes: null, loginHint: null, consent: null,
    stepUp: { acrValues: body.acr_values ?? [], maxAgeS: body.max_age_s ?? null },
  }, caller);
}
