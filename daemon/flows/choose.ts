/**
 * Gathers what the chooser looks at, in the order in which it costs something: the caller's facts, then
 * the issuer's metadata, then a bound port. Each choice is made anew (FC-03) and leaves one decision
 * record, with the input, from which it can be replayed (FC-13).
 */
import type { AuthorizationServer, Caller, FlowPreference, Profile, SessionFacts } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Audit, Random } from '../core/ports.ts';
import { chooseFlow, remedyOf } from '../policy/chooser.ts';
import type { Choice, ChooserInput } from '../policy/chooser.ts';
import type { Standing } from './standing.ts';

export type Wish = { readonly preference: FlowPreference; readonly manualOpen: boolean };

/** The profile's own preference and the caller's: the safer of the two. */
export function preferenceOf(profile: Profile, asked: FlowPreference): FlowPreference {
  if (profile.flow === 'pkce' || asked === 'pkce') return 'pkce';
  return asked === 'auto' ? profile.flow : asked;
}

export function chooserInput(standing: Standing, profile: Profile, caller: Caller, facts: SessionFacts, wish: Wish, ownUid: number): ChooserInput {
  const { trusted, issuerAllowed, deviceAllowed, deviceOverride, risk } = standing;
  return {
    facts,
    preference: preferenceOf(profile, wish.preference),
    risk,
    browserConfigured: profile.browser !== null,
    manualOpen: wish.manualOpen,
    policy: { trusted, issuerAllowed, deviceAllowed, deviceOverride, sshForward: false },
    server: null,
    caller: { sameUser: caller.uid === ownUid, foreignRoot: false },
    probes: { bind: null, startHit: null, forwardedBroker: false, hostBroker: false },
  };
}

export function withServer(input: ChooserInput, server: AuthorizationServer): ChooserInput {
  // Without S256 discovery would have refused it (AZ-02).
  return { ...input, server: { s256: true, hasDeviceEndpoint: server.deviceAuthorizationEndpoint !== null } };
}

export function withBind(input: ChooserInput, bound: boolean): ChooserInput {
  return { ...input, probes: { ...input.probes, bind: bound } };
}

export type DecisionRecord = { readonly id: string; readonly choice: Choice };

/** Writes the one decision record of a login. */
export async function recordDecision(audit: Audit, random: Random, input: ChooserInput, profile: Profile, caller: Caller, rule: string | null): Promise<DecisionRecord> {
  const choice = chooseFlow(input);
  const id = random.token(16);
  await audit.append({
    event: 'login_decided', profile: profile.name, caller, request: null,
    facts: {
      decision_id: id, outcome: choice.outcome, reason: choice.reason, rule: choice.rule, failed_probes: choice.failedProbes,
      issuer: profile.issuer, client_id: profile.clientId, scopes: profile.scopes, resource: profile.resource, policy_rule: rule,
      policy_override: choice.reason === 'device_admin_override', input,
    },
  });
  return { id, choice };
}

/** The failed probes in words. */
const PROBES: Readonly<Record<string, string>> = {
  loopback_blocked: 'no port of 127.0.0.1 could be bound',
  ssh_no_forward: 'the caller came over ssh',
  gui_session_not_active: 'the desktop is not the active one',
  wsl_no_path: 'a browser on the Windows side cannot reach a port in WSL',
  vdi_browser_redirected: 'the browser runs on another machine',
  container_no_forward: 'the caller runs in a container',
  headless_no_browser: 'there is no desktop with a browser',
};

export function refusalOf(choice: Choice, profile: Profile, policyRule: string | null): BrokerError {
  const probes = choice.failedProbes.map((probe) => PROBES[probe] ?? probe);
  const why = probes.length === 0 ? '' : `; what was found: ${probes.join(', ')}`;
  const by = choice.reason === 'tenant_not_allowed' && policyRule !== null ? `; rule ${policyRule} of the policy denies it` : '';
  return new BrokerError('flow_refused', `no sign-in for profile ${profile.name} here: ${choice.reason} (rule ${choice.rule})${by}${why}`, {
    reason: choice.reason, hint: remedyOf(choice.reason).replaceAll('PROFILE', profile.name),
  });
}
