/**
 * Starts one login: chooses the flow, claims what it needs, and lets it run. A refusal that needs no
 * network is given without any (FC-07, FC-11). However it begins or fails to, it leaves one record of what was
 * decided, but for one that a person has not confirmed yet: that never was a login.
 */
import type { EpochMs, LoginId, Scope } from '../../shared/names.ts';
import type { AuthorizationServer, Caller, Identity, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { LoopbackListener } from '../core/loopback-port.ts';
import type { AuditEvent, ClientAt } from '../core/ports.ts';
import type { Policy } from '../policy/decide.ts';
import { subjectFor } from '../policy/facts.ts';
import type { Subject } from '../policy/facts.ts';
import { scopesOfSignIn } from '../policy/privilege.ts';
import { awaitProof } from './await-proof.ts';
import { chooserInput, refusalOf, withBind, withFault, withServer } from './choose.ts';
import { Decision, isPkce } from './decision.ts';
import { Login } from './login.ts';
import type { LoginFacts } from './login.ts';
import type { ConsiderDeps, LoginAsk, StartDeps } from './login-ask.ts';
import { failureOf } from './outcome-error.ts';
import { asPrivileged, privilegedOf, reasonFor } from './privileged-login.ts';
import { runCodeLogin } from './run-code-login.ts';
import { runDeviceLogin } from './run-device-login.ts';
import { standingOf, stepUpWithin } from './standing.ts';
import type { Standing } from './standing.ts';
import { purposeOf, stepUpScopes } from './step-up.ts';

/** design.md, section 7: five minutes end it and free the port. */
export const LOGIN_LIFE_MS = 300_000;

/** What was made of a wish before anything is started. */
export type Considered = {
  readonly ask: LoginAsk;
  readonly decision: Decision;
  /** The rule of policy that decided; null: there is no policy to decide by. */
  readonly rule: string | null;
  readonly isPrivileged: boolean;
  readonly facts: Omit<Purpose, 'justInTime'>;
};

/** What a sign-in is for, as far as policy and who asked say. */
type Purpose = Pick<LoginFacts, 'byDefault' | 'purpose' | 'methods' | 'justInTime' | 'privilegedOf'>;

type WeighDeps = Pick<ConsiderDeps, 'policy' | 'config' | 'callers' | 'book'>;
type Weighed = { readonly policy: Policy | null; readonly subject: Subject; readonly scopes: readonly Scope[]; readonly standing: Standing; readonly isPrivileged: boolean };

/** Who is told so answers it, and asks again. */
const ASKED_BACK: ReadonlySet<string> = new Set(['consent_required', 'reason_required']);

/** @param signal - ends the start: the daemon stops, locks, or the profile is logged out */
export async function startLogin(deps: StartDeps, wish: LoginAsk, caller: Caller, signal: AbortSignal): Promise<Login> {
  const considered = await considerLogin(deps, wish, caller);
  const { ask, decision, rule } = considered;
  try {
    await refuseIfRefused(decision, ask, rule);
    const justInTime = considered.isPrivileged ? { reason: reasonFor(wish, deps.audit), byDefault: wish.scopes === null } : null;
    // Before any request to the issuer (DG-08); the code flow needs none.
    if (decision.choice.outcome === 'device') demandConsent(deps, ask, caller);
    return await proceed(deps, considered, { ...considered.facts, justInTime }, caller, signal);
  } catch (cause) {
    if (!(cause instanceof BrokerError && ASKED_BACK.has(cause.code))) await recordAtLast(deps, ask, decision);
    throw cause;
  }
}

/** What is known before the issuer is asked; nothing is started. */
export async function considerLogin(deps: ConsiderDeps, wish: LoginAsk, caller: Caller): Promise<Considered> {
  const { profile } = wish;
  const { policy, subject, scopes, standing, isPrivileged } = await weigh(deps, wish, caller);
  const isAgain = wish.isBeside && deps.tries.next(profile, purposeOf(wish, false));
  const within = { ...wish, scopes, stepUp: stepUpWithin({ ...wish.stepUp, isBeside: wish.isBeside, isAgain }, standing.limits) };
  // Privileged access stands beside nothing: it is a sign-in of its own.
  const ask: LoginAsk = isPrivileged ? { ...asPrivileged(within), isBeside: false } : within;
  const facts = await deps.callers.session(caller);
  const before = deps.unproved.of(profile, caller);
  const isBrokerForwarded = (facts.remote || facts.container) && await deps.isBrokerForwarded();
  const input = chooserInput(standing, profile, caller, facts, { preference: ask.preference, manualOpen: ask.manualOpen }, { ownUid: deps.uid, isBrokerForwarded, isUnproved: before !== null });
  const tenant = deps.book.get(profile.name)?.identity?.tenant ?? null;
  const decision = new Decision(deps, { profile, caller, ask, policy, rule: standing.rule, tenant, before }, input);
  return {
    ask, decision, rule: standing.rule, isPrivileged,
    facts: { byDefault: wish.scopes === null, purpose: purposeOf(wish, isPrivileged), methods: standing.limits.amr, privilegedOf: privilegedOf(policy, subject, profile) },
  };
}

/** What the sign-in is for, as policy sees it now. */
export async function purposeFor(deps: WeighDeps, wish: LoginAsk, caller: Caller): Promise<string> {
  return purposeOf(wish, (await weigh(deps, wish, caller)).isPrivileged);
}

async function weigh(deps: WeighDeps, wish: LoginAsk, caller: Caller): Promise<Weighed> {
  const { profile } = wish;
  const policy = deps.policy();
  const subject = await subjectFor({ asksDigest: policy?.asksDigest === true }, caller, deps.callers);
  const scopes = wish.isBeside || policy === null ? scopesOf(deps, wish) : scopesOfSignIn(policy, subject, profile, wish.scopes);
  const standing = standingOf(policy, deps.config(), profile, subject, scopes);
  return { policy, subject, scopes, standing, isPrivileged: standing.risk === 'privileged' };
}

async function proceed(deps: StartDeps, { ask, decision, rule }: Considered, facts: Purpose, caller: Caller, signal: AbortSignal): Promise<Login> {
  const { profile } = ask;
  const wasDevice = decision.choice.outcome === 'device';
  const found = await deps.issuer.discover(profile);
  if (found.kind !== 'server') {
    decision.learn((input) => withFault(input, found));
    throw failureOf(found, profile.issuer, 'discovery');
  }
  signal.throwIfAborted();
  const listener = isPkce(decision.learn((input) => withServer(input, found.server))) ? await bind(deps, profile, decision) : null;
  try {
    await refuseIfRefused(decision, ask, rule);
    const { outcome, proofS } = decision.choice;
    if (outcome === 'device' && !wasDevice) demandConsent(deps, ask, caller);
    if (proofS === null) await decision.stand();
    deps.starts.count(profile, outcome === 'device' ? 'device_code' : 'authorization_code');
    return await launch(deps, ask, caller, { server: found.server, decision, rule, listener, facts }, signal);
  } catch (cause) {
    await listener?.close();
    throw cause;
  }
}

async function refuseIfRefused(decision: Decision, { profile }: LoginAsk, rule: string | null): Promise<void> {
  const { choice } = decision;
  if (isPkce(choice) || choice.outcome === 'device') return;
  throw refusalOf(await decision.stand(), profile, rule);
}

/** The reason for which a login failed is told all the same. */
async function recordAtLast({ log }: StartDeps, { profile }: LoginAsk, decision: Decision): Promise<void> {
  await decision.stand().catch((cause: unknown) => log.error('audit_failed', { profile: profile.name }, cause));
}

function demandConsent(deps: StartDeps, ask: LoginAsk, caller: Caller): void {
  const { profile } = ask;
  const key = JSON.stringify([profile.name, ask.scopes]);
  if (ask.consent === null || !deps.consent.isGiven(ask.consent, key, caller)) {
    throw deps.consent.demand(key, caller, profile, ask.scopes ?? profile.scopes, deps.machine);
  }
}

/** Null: no port could be bound, which is a fact for the chooser. Fixed ports that are taken are an error of their own (LB-02). */
async function bind(deps: StartDeps, profile: Profile, decision: Decision): Promise<LoopbackListener | null> {
  const { redirectPorts } = profile.traits;
  try {
    const listener = await deps.loopback.open({ ports: redirectPorts, path: profile.redirectPath, uid: deps.uid });
    decision.learn((input) => withBind(input, true));
    return listener;
  } catch (cause) {
    if (!(cause instanceof BrokerError && cause.code === 'loopback_exhausted')) throw cause;
    deps.log.warn('loopback_exhausted', { profile: profile.name, why: cause.message });
    const isFixed = redirectPorts.length > 0;
    decision.learn((input) => withBind(input, isFixed ? 'ports_taken' : false));
    if (isFixed) throw cause;
    return null;
  }
}

type Way = {
  readonly server: AuthorizationServer; readonly decision: Decision; readonly rule: string | null; readonly listener: LoopbackListener | null;
  readonly facts: Purpose;
};

async function launch(deps: StartDeps, ask: LoginAsk, caller: Caller, { server, decision, rule, listener, facts }: Way, signal: AbortSignal): Promise<Login> {
  const { profile } = ask;
  const clientSecret = profile.clientAuth === 'none' ? null : await deps.vault.clientSecret(profile.name, profile.digest);
  if (profile.clientAuth !== 'none' && clientSecret === null) {
    throw new BrokerError('client_secret_required', `profile ${profile.name} authenticates as ${profile.clientAuth}, and no secret is sealed for this issuer and client`, {
      hint: `Run: valetkey profile remove ${profile.name}, then valetkey profile add ${profile.name} … --client-secret-stdin`,
    });
  }
  const client: ClientAt = { server, clientId: profile.clientId, clientAuth: profile.clientAuth, clientSecret, connection: profile };
  const login = new Login({
    id: deps.random.token(16) as LoginId, profile, flow: listener === null ? 'device_code' : 'authorization_code', reason: decision.choice.reason,
    owner: caller, scopes: ask.scopes ?? profile.scopes, expiresAt: (deps.clock.now() + LOGIN_LIFE_MS) as EpochMs, ...facts,
  });
  const run = listener === null ? await runDeviceLogin(deps, login, client) : await runCodeLogin(deps, login, client, listener, ask, decision);
  signal.throwIfAborted();
  deps.unproved.forget(profile, caller);
  deps.onStarted(login);
  if (listener !== null) awaitProof(deps, login, listener, decision, rule);
  login.settled = settle(deps, login, run).finally(() => recordAtLast(deps, ask, decision));
  return login;
}

/** Of a step-up: within those of the grant, which was there a moment ago. */
function scopesOf({ book }: Pick<StartDeps, 'book'>, { profile, scopes, isBeside }: LoginAsk): readonly Scope[] {
  const grant = isBeside ? book.get(profile.name) : null;
  return grant === null ? scopes ?? profile.scopes : stepUpScopes(profile, grant, scopes);
}

/** Runs to the end, which is decided once; nothing escapes. */
async function settle(deps: StartDeps, login: Login, run: () => Promise<Identity | null>): Promise<void> {
  const { name } = login.facts.profile;
  const base = { profile: name, caller: login.facts.owner, request: null };
  // The grant is stored; a failing audit log is said in the log and must not keep a login from ending.
  const note = (event: AuditEvent): Promise<void> => deps.audit.append(event).catch((cause: unknown) => deps.log.error('audit_failed', { profile: name }, cause));
  void deps.clock.sleep(Math.max(0, login.facts.expiresAt - deps.clock.now()), login.abort.signal).then(
    () => login.abort.abort(new BrokerError('flow_timeout', `nobody finished the sign-in of profile ${name} within five minutes; if the browser showed an error of the issuer, check that the client's redirect URI is registered: valetkey profile show ${name}`)),
    () => undefined, // the login ended first
  );
  try {
    const identity = await run();
    await deps.onSignedIn(login);
    deps.tries.ended(login.facts.profile, login.facts.purpose, null);
    login.complete(identity);
    await note({
      ...base, event: 'login_finished',
      facts: {
        login: login.facts.id, flow: login.facts.flow, reason: login.reason, step_up: login.facts.purpose !== '' && login.facts.justInTime === null, issuer: login.facts.profile.issuer, client_id: login.facts.profile.clientId,
        scopes: login.facts.scopes, resource: login.facts.profile.resource, tenant: identity?.tenant ?? null,
        account: identity === null ? null : deps.fingerprints.of(new Secret(identity.sub)), sub: identity?.sub ?? null,
        acr: identity?.acr ?? null, amr: identity?.amr ?? [], signed_in_at: login.signedInAt,
      },
    });
  } catch (cause) {
    const error = cause instanceof BrokerError ? cause : new BrokerError('internal', 'the sign-in ended by a mistake of the daemon', { cause });
    deps.tries.ended(login.facts.profile, login.facts.purpose, error);
    login.fail(error);
    if (error.code === 'internal') deps.log.error('login_failed', { profile: name }, cause);
    await note({ ...base, event: 'login_failed', facts: { login: login.facts.id, flow: login.facts.flow, reason: login.reason, issuer: login.facts.profile.issuer, code: error.code } });
  } finally {
    login.abort.abort(new BrokerError('login_cancelled', 'the sign-in is over'));
    deps.onFinished(login);
  }
}
