/**
 * Hops 3 to 5 of a token request: profile, decision, token; on the way back: audit, then answer. Where the
 * token is cached and its release is on record, all of it happens at once.
 */
import type * as v from 'valibot';
import type { tokenRequest } from '../../../shared/schemas.ts';
import type { Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { TokenUse } from '../../core/policy-rules.ts';
import { Unprinted } from '../../core/secret.ts';
import type { TokenNeed } from '../../core/grant.ts';
import { grantFacts } from '../../core/grant-facts.ts';
import { NO_STEP_UP } from '../../core/issuer-port.ts';
import { instantOf } from '../../core/time.ts';
import type { LoginAsk } from '../../flows/login-ask.ts';
import { ruleText } from '../../policy/decide.ts';
import { subjectFor } from '../../policy/facts.ts';
import type { Subject } from '../../policy/facts.ts';
import type { Decision, Policy } from '../../policy/decide.ts';
import { withinLimits } from '../../tokens/bounds.ts';
import { findSteppedUp, shortfall } from '../../tokens/demands.ts';
import { signedIn } from '../../tokens/login-required.ts';
import { endedSession } from '../../tokens/session.ts';
import type { Served } from '../../tokens/token-source.ts';
import type { Ask } from '../dispatch.ts';
import { withDeadline } from '../deadline.ts';
import { encodeProvenToken, encodeToken } from '../encode.ts';
import type { Encoded } from '../encode.ts';
import type { Broker } from './broker.ts';
import { claimedOf } from './claimed.ts';
import type { Claimed } from './claimed.ts';
import { isSeenStill, seenNow } from './moment.ts';
import type { Seen } from './moment.ts';
import { pickProfile } from './pick-profile.ts';
import { groundOf, refuseWithout } from './privileged.ts';
import type { Ground } from './privileged.ts';
import type { Allowed } from './releases.ts';
import { askingOf, builtIn, builtInDenial, refusalOf, rulingOn, shutError } from './ruling.ts';
import { needOf } from './token-need.ts';

type Body = v.InferOutput<typeof tokenRequest>;

/** `Used`: the token stays here, for the request that asked for it. */
type Answer = Encoded | Used;

type Confirmed = Decision & { readonly kind: 'confirm' };
type Allowing = Decision & { readonly kind: 'allow' | 'confirm' };

const DEFAULT_WAIT_S = 30;

/** A token that may be used for a caller, and not given to it. */
export class Used extends Unprinted {
  readonly #served: Served;
  readonly rule: Allowed;

  constructor(served: Served, rule: Allowed) {
    super();
    this.#served = served;
    this.rule = rule;
  }

  static servedOf(used: Used): Served {
    return used.#served;
  }
}

export function token(broker: Broker, ask: Ask): Answer | Promise<Answer> {
  const body = ask.body as Body; // parsed by this method's schema
  const profile = pickProfile(broker.config.current(), body.profile, body.profile === undefined ? body.resource : undefined);
  const claimed = claimedOf(body.claimed);
  const denied = builtInDenial(broker, ask.caller);
  if (denied !== null) return refuse(broker, ask, profile, claimed, denied);
  // What a sign-in says is a fact for the rules: without it they would decide by less than there is.
  return broker.lifecycle.isOpen ? decided(broker, ask, profile, claimed) : broker.lifecycle.ensureOpen().then(() => decided(broker, ask, profile, claimed));
}

/** Policy is asked at every request (GV-01), and what it leaves of the need is what the engine serves. */
function decided(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null): Answer | Promise<Answer> {
  let policy: Policy;
  try {
    policy = broker.policies.current();
  } catch (cause) {
    return noteRefusal(broker, ask, profile, claimed, needOf(ask.body as Body, profile, 0), cause); // parsed by this method's schema
  }
  const subject = subjectFor(policy, ask.caller, broker.callers);
  return subject instanceof Promise ? subject.then((read) => ruled(broker, ask, profile, claimed, broker.policies.current(), read)) : ruled(broker, ask, profile, claimed, policy, subject);
}

function ruled(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, policy: Policy, subject: Subject): Answer | Promise<Answer> {
  const at = instantOf(broker.clock);
  const asked = needOf(ask.body as Body, profile, at.boottimeMs); // parsed by this method's schema
  const ground = groundOf(broker, policy, subject, profile, asked, at, { use: useOf(ask) });
  const decision = rulingOn(broker, policy, subject, ground.request);
  if (decision.kind === 'deny') return refuse(broker, ask, profile, claimed, decision);
  try {
    // Before anybody is asked: a yes is of no use where nothing can be given.
    refuseWithout(broker, ground, profile, asked);
    if (decision.kind === 'confirm' && !ground.isPrivileged) refuseLacking(broker, profile, asked, decision);
  } catch (cause) {
    return stopped(broker, ask, profile, claimed, asked, cause);
  }
  if (decision.kind === 'confirm') return askPerson(broker, ask, profile, claimed, asked, decision);
  return serve(broker, ask, profile, claimed, asked, ground, decision, { name: ruleText(decision.by), approval: null });
}

const useOf = ({ use }: Ask): TokenUse => use?.as ?? 'token';

/** Nobody is asked to agree to what needs a sign-in first. Throws login_required. */
function refuseLacking(broker: Broker, profile: Profile, asked: TokenNeed, { limits }: Confirmed): void {
  const grant = signedIn(profile, broker.book);
  const at = instantOf(broker.clock);
  const ended = endedSession(profile, grant, limits, at);
  if (ended !== null) throw ended;
  const short = shortfall(profile, grant, asked, at);
  if (short !== null && findSteppedUp(grant, asked, profile.traits.scopeAliases, at) === null) throw short;
}

/** A person's yes is to what they were shown; what policy says by then holds as well. */
async function askPerson(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, asked: TokenNeed, decision: Confirmed): Promise<Answer> {
  const waitMs = ((ask.body as Body).wait_s ?? DEFAULT_WAIT_S) * 1000; // parsed by this method's schema
  const { caller: asker } = ask;
  const rule = ruleText(decision.by);
  let approval: string;
  try {
    approval = await broker.approvals.admit({ asker, profile: profile.name, resource: asked.resource, scopes: asked.scopes, rule, asking: askingOf(decision.ask), tier: decision.tier, use: useOf(ask), claimed }, waitMs, ask.signal);
  } catch (cause) {
    // A lock and a panic take every question back.
    return noteRefusal(broker, ask, profile, claimed, asked, shutError(broker) ?? cause);
  }
  await broker.lifecycle.ensureOpen();
  const policy = broker.policies.current();
  const subject = await subjectFor(policy, asker, broker.callers);
  const ground = groundOf(broker, policy, subject, profile, asked, instantOf(broker.clock), { use: useOf(ask) });
  const now = rulingOn(broker, policy, subject, ground.request);
  if (now.kind === 'deny') return refuse(broker, ask, profile, claimed, now);
  if (now.kind === 'confirm' && ruleText(now.by) !== rule) return askPerson(broker, ask, profile, claimed, asked, now);
  return serve(broker, ask, profile, claimed, asked, ground, now, { name: ruleText(now.by), approval });
}

function serve(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, asked: TokenNeed, ground: Ground, { limits }: Allowing, rule: Allowed): Answer | Promise<Answer> {
  const { grant } = ground;
  let need: TokenNeed;
  try {
    need = withinLimits(profile, grant, asked, limits);
  } catch (cause) {
    return noteRefusal(broker, ask, profile, claimed, asked, cause);
  }
  if (ground.isPrivileged) return serveInTime(broker, ask, profile, need, claimed, ground, rule);
  const cached = broker.lifecycle.isOpen ? broker.source.cached(profile, need) : null;
  return cached === null ? obtain(broker, ask, profile, need, claimed, ground, rule) : releaseOrdinary(broker, ask, profile, cached, claimed, ground, rule);
}

function releaseOrdinary(broker: Broker, ask: Ask, profile: Profile, served: Served, claimed: Claimed | null, ground: Ground, rule: Allowed): Answer | Promise<Answer> {
  try {
    ground.check(served.token);
  } catch (cause) {
    return noteRefusal(broker, ask, profile, claimed, { scopes: served.token.scopes, resource: served.token.resource }, cause);
  }
  return release(broker, ask, profile, served, claimed, rule);
}

/** Nothing is refreshed: what is there is given, or a person signs in again. */
function serveInTime(broker: Broker, ask: Ask, profile: Profile, need: TokenNeed, claimed: Claimed | null, ground: Ground, rule: Allowed): Answer | Promise<Answer> {
  let served: Served;
  try {
    refuseWithout(broker, ground, profile, need); // since somebody was asked
    served = broker.justInTime.serve(profile, need);
  } catch (cause) {
    return stopped(broker, ask, profile, claimed, need, cause);
  }
  return release(broker, ask, profile, served, claimed, rule);
}

/** What a sign-in mends is no refusal. */
async function stopped(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, need: TokenNeed, cause: unknown): Promise<never> {
  if (cause instanceof BrokerError && cause.code === 'login_required') throw await withLogin(broker, cause, profile, ask.body as Body, ask); // parsed by this method's schema
  return noteRefusal(broker, ask, profile, claimed, need, cause);
}

/** On record before it leaves (AL-01), and only to the program that was looked at: once more after whatever was waited for (IP-07). */
function release(broker: Broker, ask: Ask, profile: Profile, served: Served, claimed: Claimed | null, rule: Allowed): Answer | Promise<Answer> {
  if (!broker.callers.stillSame(ask.caller)) return refuseChanged(broker, ask, profile, claimed);
  if (isTakenBack(broker, rule)) return decided(broker, ask, profile, claimed);
  const seen = seenNow(broker, broker.policies.inForce());
  const recorded = ask.use === null ? broker.releases.record(profile, served, ask, claimed, rule) : ask.use.note(served, rule);
  return recorded === null ? encode(broker, profile, served, rule, ask) : releaseRecorded(broker, ask, profile, served, claimed, rule, seen, recorded);
}

async function releaseRecorded(broker: Broker, ask: Ask, profile: Profile, served: Served, claimed: Claimed | null, rule: Allowed, seen: Seen, recorded: Promise<void>): Promise<Answer> {
  const policy = broker.policies.inForce();
  await recorded;
  // A disk may take its time: a lock, a logout or another policy that came meanwhile is not outrun (GV-01).
  const denied = builtInDenial(broker, ask.caller);
  if (denied !== null) return refuse(broker, ask, profile, claimed, denied);
  const isHeld = broker.book.get(profile.name) === served.grant || broker.justInTime.holds(served.grant);
  if (!isHeld || broker.policies.inForce() !== policy || !isSeenStill(broker, policy, seen) || isTakenBack(broker, rule)) return decided(broker, ask, profile, claimed);
  return broker.callers.stillSame(ask.caller) ? encode(broker, profile, served, rule, ask) : refuseChanged(broker, ask, profile, claimed);
}

/** The consent that let it through was taken back since. */
function isTakenBack({ approvals }: Broker, { approval }: Allowed): boolean {
  return approval !== null && approvals.consents.wasTakenBack(approval);
}

function encode({ clock, counts }: Broker, profile: Profile, served: Served, rule: Allowed, { body, use }: Ask): Answer {
  if (use !== null) return new Used(served, rule);
  const [{ token: released, source }, { name }] = [served, rule];
  counts.tokens[source] += 1;
  const { challenge, acr_values: acr, max_age_s: maxAge } = body as Body; // parsed by this method's schema
  const wantsProof = challenge !== undefined || acr !== undefined || maxAge !== undefined;
  return (wantsProof ? encodeProvenToken : encodeToken)(profile, released, source, name, instantOf(clock));
}

/** What asked has ended, or is another program by now: whoever holds the connection was never looked at. */
function refuseChanged(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null): Promise<never> {
  return refuse(broker, ask, profile, claimed, builtIn('caller-changed', 'the asking process has ended or become another program'));
}

async function obtain(broker: Broker, ask: Ask, profile: Profile, need: TokenNeed, claimed: Claimed | null, ground: Ground, rule: Allowed): Promise<Answer> {
  // What was just decided by.
  const [policy, grant] = [broker.policies.inForce(), broker.book.get(profile.name)];
  const seen = seenNow(broker, policy);
  const body = ask.body as Body; // parsed by this method's schema
  await broker.lifecycle.ensureOpen();
  let served: Served;
  try {
    served = await withDeadline(broker, (body.wait_s ?? DEFAULT_WAIT_S) * 1000, ask.signal, (signal) => broker.source.get(profile, need, signal));
  } catch (cause) {
    const shut = shutError(broker);
    if (shut !== null) throw shut;
    if (cause instanceof BrokerError && (cause.code === 'policy_denied' || cause.code === 'as_token_too_long')) return noteRefusal(broker, ask, profile, claimed, need, cause);
    throw await withLogin(broker, cause, profile, body, ask);
  }
  // Policy that changed and a sign-in that came while this waited have not been asked (GV-01).
  const isStale = grant === null || broker.lifecycle.shut !== null || broker.policies.inForce() !== policy || !isSeenStill(broker, policy, seen);
  return isStale ? decided(broker, ask, profile, claimed) : releaseOrdinary(broker, ask, profile, served, claimed, ground, rule);
}

async function refuse(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, decision: Decision): Promise<never> {
  await broker.audit.append({
    event: 'token_refused', profile: profile.name, caller: ask.caller, request: ask.requestId,
    facts: {
      ...standingFacts(broker, profile), rule: ruleText(decision.by), reason: decision.reason, decision: decision.kind, tier: decision.tier, ...wantedFacts(needOf(ask.body as Body, profile, 0)), // parsed by this method's schema
      ...(claimed === null ? {} : { claimed }),
    },
  });
  throw refusalOf(decision, profile.name, useOf(ask)) ?? new BrokerError('internal', 'a request that is allowed was refused');
}

/** A ceiling that refuses is on record like a rule that does. */
async function noteRefusal(broker: Broker, ask: Ask, profile: Profile, claimed: Claimed | null, { scopes, resource }: Pick<TokenNeed, 'scopes' | 'resource'>, cause: unknown): Promise<never> {
  if (cause instanceof BrokerError) {
    await broker.audit.append({
      event: 'token_refused', profile: profile.name, caller: ask.caller, request: ask.requestId,
      facts: { ...standingFacts(broker, profile), rule: cause.facts.reason ?? null, reason: cause.message, code: cause.code, scopes, resource, ...(claimed === null ? {} : { claimed }) },
    });
  }
  throw cause;
}

/** Of the sign-in that is there, if there is one. */
function standingFacts({ book, fingerprints }: Broker, { name, issuer, clientId }: Profile): Readonly<Record<string, unknown>> {
  const grant = book.get(name);
  return grant === null ? { flow: null, issuer, client_id: clientId, tenant: null, account: null, acr: null, amr: [], signed_in_at: null } : grantFacts(grant, fingerprints);
}

function wantedFacts({ scopes, resource }: TokenNeed): Pick<TokenNeed, 'scopes' | 'resource'> {
  return { scopes, resource };
}

/** login_required carries the sign-in to join; with interaction allowed, one is started for the caller. */
async function withLogin(broker: Broker, cause: unknown, profile: Profile, body: Body, ask: Ask): Promise<unknown> {
  if (!(cause instanceof BrokerError) || cause.code !== 'login_required') return cause;
  // Before anything is waited for: one that is completed from here on is joined by whoever was told this.
  const newestLogin = broker.logins.newestOf(profile.name);
  const isPrivileged = cause.facts.reason === 'privileged';
  const wish = { ...loginWish(broker, profile, body, isPrivileged), newerThan: newestLogin };
  const login = body.interaction === 'allowed' ? await broker.logins.start(wish, ask.caller) : await broker.logins.pendingFor(wish, ask.caller);
  if (login === null) broker.loginNeeded(profile.name, cause.facts.reason ?? 'login_required', ask.caller);
  const hint = wish.isBeside && body.challenge !== undefined ? { hint: `Run in a terminal: valetkey token ${profile.name} --challenge "$WWW_AUTHENTICATE"` } : {};
  return new BrokerError('login_required', cause.message, { ...cause.facts, ...hint, newestLogin, ...(login === null ? {} : { login }) });
}

/**
 * What policy demands of the sign-in is added where it starts; what this request alone asks for is a token beside the
 * grant. One for privileged access is for what was asked, and no more.
 */
function loginWish(broker: Broker, profile: Profile, body: Body, isPrivileged: boolean): LoginAsk {
  const { acrValues, maxAgeS, scopes } = needOf(body, profile, 0);
  const grant = broker.book.get(profile.name);
  const isBeside = !isPrivileged && (acrValues.length > 0 || maxAgeS !== null) && grant !== null && grant.state.kind === 'active' && endedSession(profile, grant, null, instantOf(broker.clock)) === null;
  return {
    profile, preference: isBeside ? 'pkce' : 'auto', manualOpen: false, scopes: isBeside || isPrivileged ? scopes : null, loginHint: null, consent: null, isBeside,
    reason: claimedOf(body.claimed)?.reason ?? null, stepUp: { ...NO_STEP_UP, acrValues, maxAgeS },
  };
}
