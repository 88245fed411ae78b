import * as v from 'valibot';
import { loginWait } from '../../../shared/schemas.ts';
import type { confirmRequest, loginRequest } from '../../../shared/schemas.ts';
import type { LoginView, OkReply } from '../../../shared/schemas.ts';
import { BrokerError } from '../../core/errors.ts';
import { NO_STEP_UP } from '../../core/issuer-port.ts';
import { instantOf } from '../../core/time.ts';
import type { LoginId } from '../../../shared/names.ts';
import type { LoginAsk } from '../../flows/login-ask.ts';
import { endedSession } from '../../tokens/session.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { claimedOf } from './claimed.ts';
import { demandOf, scopesOf } from './demand.ts';
import { pickProfile } from './pick-profile.ts';

export async function startLogin(broker: Broker, ask: Ask): Promise<LoginView> {
  const body = ask.body as v.InferOutput<typeof loginRequest>; // parsed by this method's schema
  pickProfile(broker.config.current(), body.profile);
  if (broker.lifecycle.locked) throw new BrokerError('vault_locked', 'the user locked the broker');
  await broker.lifecycle.ensureOpenFor(ask.caller);
  return broker.logins.start(loginAskOf(broker, body), ask.caller);
}

/** @throws BrokerError unknown_profile, no_profile */
export function loginAskOf(broker: Broker, body: v.InferOutput<typeof loginRequest>): LoginAsk {
  const profile = pickProfile(broker.config.current(), body.profile);
  const scopes = body.scopes === undefined || body.scopes.length === 0 ? null : body.scopes;
  const common = {
    profile, manualOpen: body.browser === 'manual', loginHint: body.login_hint ?? null, consent: body.consent ?? null, reason: claimedOf(body.claimed)?.reason ?? null,
    ...(body.newer_than === undefined ? {} : { newerThan: body.newer_than as LoginId | null }),
  };
  const demand = demandOf(body);
  if (demand === null) {
    return { ...common, preference: body.flow ?? 'auto', scopes, isBeside: false, stepUp: { ...NO_STEP_UP, acrValues: body.acr_values ?? [], maxAgeS: body.max_age_s ?? null } };
  }
  const grant = broker.book.get(profile.name);
  // Without a sign-in to stand beside, it is the sign-in: of the scopes of every other one.
  const isBeside = grant !== null && grant.state.kind === 'active' && endedSession(profile, grant, null, instantOf(broker.clock)) === null;
  return {
    ...common, preference: 'pkce', isBeside, scopes: isBeside ? scopesOf(demand, scopes) : scopes,
    stepUp: { ...NO_STEP_UP, acrValues: demand.acrValues, maxAgeS: demand.maxAgeS },
  };
}

export async function login(broker: Broker, ask: Ask): Promise<LoginView> {
  const asked = ask.query['wait_s'] ?? '0';
  if (!/^\d{1,3}$/.test(asked) || !v.is(loginWait, Number(asked))) throw new BrokerError('bad_request', 'wait_s must be a number of seconds, 300 at most');
  return broker.logins.follow(ask.params['id'] ?? '', ask.caller, Number(asked) * 1000, ask.signal);
}

export async function cancelLogin(broker: Broker, ask: Ask): Promise<OkReply> {
  broker.logins.cancel(ask.params['id'] ?? '');
  return { ok: true };
}

export function confirmLogin(broker: Broker, ask: Ask): Promise<LoginView> {
  const body = ask.body as v.InferOutput<typeof confirmRequest>; // parsed by this method's schema
  return broker.logins.confirm(ask.params['id'] ?? '', ask.caller, body.accept, ask.signal);
}
