/**
 * Starts one login: chooses the flow, claims what it needs, and lets it run. A refusal that needs no
 * network is given without any (FC-07, FC-11).
 */
import type { EpochMs, LoginId, Scope } from '../../shared/names.ts';
import type { AuthorizationServer, Caller, Identity, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import type { LoopbackListener } from '../core/loopback-port.ts';
import type { AuditEvent, ClientAt } from '../core/ports.ts';
import { chooseFlow } from '../policy/chooser.ts';
import type { Choice, ChooserInput } from '../policy/chooser.ts';
import { subjectFor } from '../policy/facts.ts';
import { chooserInput, recordDecision, refusalOf, withBind, withServer } from './choose.ts';
import { Login } from './login.ts';
import type { LoginFacts } from './login.ts';
import type { LoginAsk, StartDeps } from './login-ask.ts';
import { failureOf } from './outcome-error.ts';
import { runCodeLogin } from './run-code-login.ts';
import { runDeviceLogin } from './run-device-login.ts';
import { standingOf, stepUpWithin } from './standing.ts';
import { purposeOf, stepUpScopes } from './step-up.ts';

/** design.md, section 7: five minutes end it and free the port. */
export const LOGIN_LIFE_MS = 300_000;

/** @param signal - ends the start: the daemon stops, locks, or the profile is logged out */
export async function startLogin(deps: StartDeps, wish: LoginAsk, caller: Caller, signal: AbortSignal): Promise<Login> {
  const { profile } = wish;
  const scopes = scopesOf(deps, wish);
  const isAgain = wish.isBeside && deps.tries.next(profile, purposeOf(wish));
  const policy = deps.policy();
  const subject = await subjectFor({ asksDigest: policy?.asksDigest === true }, caller, deps.callers);
  const standing = standingOf(policy, deps.config(), profile, subject, scopes);
  const ask: LoginAsk = { ...wish, stepUp: stepUpWithin({ ...wish.stepUp, isBeside: wish.isBeside, isAgain }, standing.limits) };
  const facts = await deps.callers.session(caller);
  const first = chooserInput(standing, profile, caller, facts, { preference: ask.preference, manualOpen: ask.manualOpen }, deps.uid);
  await refuseIfRefused(deps, first, profile, caller, standing.rule);
  // Before any request to the issuer (DG-08); the code flow needs none.
  if (chooseFlow(first).outcome === 'device') demandConsent(deps, ask, caller);
  const found = await deps.issuer.discover(profile);
  if (found.kind !== 'server') throw failureOf(found, profile.issuer, 'discovery');
  signal.throwIfAborted();
  const second = withServer(first, found.server);
  const wantsLoopback = chooseFlow(second).outcome === 'pkce_loopback';
  const listener = wantsLoopback ? await bind(deps, profile) : null;
  const input = wantsLoopback ? withBind(second, listener !== null) : second;
  try {
    const choice = await refuseIfRefused(deps, input, profile, caller, standing.rule, true);
    if (choice.outcome === 'device' && chooseFlow(first).outcome !== 'device') demandConsent(deps, ask, caller);
    deps.starts.count(profile, choice.outcome === 'device' ? 'device_code' : 'authorization_code');
    return await launch(deps, ask, caller, { server: found.server, choice, listener, scopes, methods: standing.limits.amr }, signal);
  } catch (cause) {
    await listener?.close();
    throw cause;
  }
}

/** One record a login: a refusal writes it here, a choice once all facts are in. */
async function refuseIfRefused(deps: StartDeps, input: ChooserInput, profile: Profile, caller: Caller, rule: string | null, final = false): Promise<Choice> {
  const choice = chooseFlow(input);
  const isRunnable = choice.outcome === 'pkce_loopback' || choice.outcome === 'device';
  if (final || !isRunnable) await recordDecision(deps.audit, deps.random, input, profile, caller, rule);
  if (!isRunnable) throw refusalOf(choice, profile, rule);
  return choice;
}

function demandConsent(deps: StartDeps, ask: LoginAsk, caller: Caller): void {
  const { profile } = ask;
  const key = JSON.stringify([profile.name, ask.scopes]);
  if (ask.consent === null || !deps.consent.isGiven(ask.consent, key, caller)) {
    throw deps.consent.demand(key, caller, profile, ask.scopes ?? profile.scopes, deps.machine);
  }
}

/** Null: no port could be bound, which is a fact for the chooser. Fixed ports that are taken are an error of their own (LB-02). */
async function bind(deps: StartDeps, profile: Profile): Promise<LoopbackListener | null> {
  const { redirectPorts } = profile.traits;
  try {
    return await deps.loopback.open({ ports: redirectPorts, path: profile.redirectPath, uid: deps.uid });
  } catch (cause) {
    if (cause instanceof BrokerError && cause.code === 'loopback_exhausted') {
      deps.log.warn('loopback_exhausted', { profile: profile.name, why: cause.message });
      if (redirectPorts.length > 0) throw cause;
      return null;
    }
    throw cause;
  }
}

type Way = { readonly server: AuthorizationServer; readonly choice: Choice; readonly listener: LoopbackListener | null; readonly scopes: readonly Scope[]; readonly methods: LoginFacts['methods'] };

async function launch(deps: StartDeps, ask: LoginAsk, caller: Caller, { server, choice, listener, scopes, methods }: Way, signal: AbortSignal): Promise<Login> {
  const { profile } = ask;
  const clientSecret = profile.clientAuth === 'none' ? null : await deps.vault.clientSecret(profile.name, profile.digest);
  if (profile.clientAuth !== 'none' && clientSecret === null) {
    throw new BrokerError('client_secret_required', `profile ${profile.name} authenticates as ${profile.clientAuth}, and no secret is sealed for this issuer and client`, {
      hint: `Run: valetkey profile remove ${profile.name}, then valetkey profile add ${profile.name} … --client-secret-stdin`,
    });
  }
  const client: ClientAt = { server, clientId: profile.clientId, clientAuth: profile.clientAuth, clientSecret, connection: profile };
  const login = new Login({
    id: deps.random.token(16) as LoginId, profile, flow: listener === null ? 'device_code' : 'authorization_code', reason: choice.reason,
    owner: caller, scopes, byDefault: ask.scopes === null, purpose: purposeOf(ask), methods, expiresAt: (deps.clock.now() + LOGIN_LIFE_MS) as EpochMs,
  });
  const run = listener === null ? await runDeviceLogin(deps, login, client) : await runCodeLogin(deps, login, client, listener, ask);
  signal.throwIfAborted();
  deps.onStarted(login);
  login.settled = settle(deps, login, run);
  return login;
}

/** Of a step-up: within those of the grant, which was there a moment ago. */
function scopesOf({ book }: StartDeps, { profile, scopes, isBeside }: LoginAsk): readonly Scope[] {
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
    deps.tries.ended(login.facts.profile, login.facts.purpose, null);
    login.complete(identity);
    await note({
      ...base, event: 'login_finished',
      facts: {
        login: login.facts.id, flow: login.facts.flow, reason: login.facts.reason, step_up: login.facts.purpose !== '', issuer: login.facts.profile.issuer, client_id: login.facts.profile.clientId,
        scopes: login.facts.scopes, resource: login.facts.profile.resource, tenant: identity?.tenant ?? null,
        account: identity === null ? null : deps.fingerprints.of(new Secret(identity.sub)), sub: identity?.sub ?? null,
        acr: identity?.acr ?? null, amr: identity?.amr ?? [], signed_in_at: deps.book.get(name)?.signedInAt ?? null,
      },
    });
  } catch (cause) {
    const error = cause instanceof BrokerError ? cause : new BrokerError('internal', 'the sign-in ended by a mistake of the daemon', { cause });
    deps.tries.ended(login.facts.profile, login.facts.purpose, error);
    login.fail(error);
    if (error.code === 'internal') deps.log.error('login_failed', { profile: name }, cause);
    await note({ ...base, event: 'login_failed', facts: { login: login.facts.id, flow: login.facts.flow, reason: login.facts.reason, issuer: login.facts.profile.issuer, code: error.code } });
  } finally {
    login.abort.abort(new BrokerError('login_cancelled', 'the sign-in is over'));
    deps.onFinished(login);
  }
}
