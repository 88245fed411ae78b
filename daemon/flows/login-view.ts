/**
 * What a process may see of a login (DG-04, DG-09): the one-time URL and the user code go to the process
 * that created it, by pid and start time; those who joined see its state.
 */
import type { LoginView, SubjectView } from '../../shared/schemas.ts';
import type { Caller, Identity } from '../core/domain.ts';
import { cleanText } from '../core/text.ts';
import type { Login } from './login.ts';

export function subjectView(identity: Identity | null): SubjectView | null {
  return identity === null ? null : { sub: identity.sub, name: identity.name, email: identity.email };
}

export function viewLogin(login: Login, caller: Caller, machine: string): LoginView {
  const { facts, state } = login;
  const owned = login.isOwnedBy(caller);
  const isSecretOf = owned && state.kind === 'pending';
  return {
    id: facts.id,
    profile: facts.profile.name,
    state: state.kind,
    flow: facts.flow,
    reason: login.reason,
    expires_at: Math.floor(facts.expiresAt / 1000),
    owned,
    issuer_host: new URL(facts.profile.issuer).host,
    scopes: [...facts.scopes],
    machine,
    caller: facts.owner.label,
    ...(isSecretOf && login.startUrl !== null ? { start_url: login.startUrl, browser: facts.profile.browser === null ? null : [...facts.profile.browser] } : {}),
    ...(isSecretOf && login.tunnel !== null && !login.isUnderWay ? { tunnel: tunnelView(login.tunnel) } : {}),
    ...(isSecretOf && login.device !== null ? { device: devicePrompt(login.device) } : {}),
    ...(state.kind === 'complete' ? { subject: subjectView(state.identity) } : {}),
    ...(state.kind === 'confirm_subject' ? { subject: subjectView(state.identity), previous_subject: subjectView(state.previous) } : {}),
    ...(state.kind === 'failed' ? { error: errorView(state.error) } : {}),
  };
}

function tunnelView({ port, until, otherwise }: NonNullable<Login['tunnel']>): NonNullable<LoginView['tunnel']> {
  return { port, until: Math.floor(until / 1000), otherwise };
}

function devicePrompt(device: NonNullable<Login['device']>): NonNullable<LoginView['device']> {
  return {
    user_code: cleanText(device.userCode, 64),
    verification_uri: device.verificationUri,
    verification_uri_complete: device.verificationUriComplete,
    verification_host: new URL(device.verificationUri).host,
  };
}

function errorView(error: NonNullable<Extract<Login['state'], { kind: 'failed' }>['error']>): NonNullable<LoginView['error']> {
  return {
    code: error.code, title: error.title, detail: error.message, hint: error.hint,
    ...(error.facts.reason === undefined ? {} : { reason: error.facts.reason }),
  };
}
