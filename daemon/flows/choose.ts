/**
 * Gathers what the chooser looks at, in the order in which it costs something: the caller's facts, then
 * the issuer's metadata, then a bound port. Each choice is made anew (FC-03); decision.ts records it.
 */
import type { AuthorizationServer, Caller, FlowPreference, Profile, SessionFacts } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Rejected, Transient } from '../core/ports.ts';
import { remedyOf } from '../policy/chooser.ts';
import type { Choice, ChooserInput } from '../policy/chooser.ts';
import type { Standing } from './standing.ts';

export type Wish = { readonly preference: FlowPreference; readonly manualOpen: boolean };

/** What was looked up beside the facts of the session. */
export type Surroundings = {
  readonly ownUid: number;
  /** Another broker answers where ssh, or a container, would have put its socket. */
  readonly isBrokerForwarded: boolean;
  /** A browser was waited for in vain, for this process. */
  readonly isUnproved: boolean;
};

/** The profile's own preference and the caller's: the safer of the two. */
export function preferenceOf(profile: Profile, asked: FlowPreference): FlowPreference {
  if (profile.flow === 'pkce' || asked === 'pkce') return 'pkce';
  return asked === 'auto' ? profile.flow : asked;
}

export function chooserInput(standing: Standing, profile: Profile, caller: Caller, facts: SessionFacts, wish: Wish, around: Surroundings): ChooserInput {
  const { trusted, issuerAllowed, deviceAllowed, deviceOverride, sshForward, risk } = standing;
  return {
    facts,
    preference: preferenceOf(profile, wish.preference),
    risk,
    browserConfigured: profile.browser !== null,
    manualOpen: wish.manualOpen,
    policy: { trusted, issuerAllowed, deviceAllowed, deviceOverride, sshForward },
    server: null,
    caller: { sameUser: caller.uid === around.ownUid, foreignRoot: false },
    probes: {
      bind: null, startHit: around.isUnproved ? false : null,
      forwardedBroker: around.isBrokerForwarded && facts.remote, hostBroker: around.isBrokerForwarded && facts.container,
    },
  };
}

export function withServer(input: ChooserInput, server: AuthorizationServer): ChooserInput {
  return { ...input, server: { fault: null, hasDeviceEndpoint: server.deviceAuthorizationEndpoint !== null } };
}

export function withFault(input: ChooserInput, found: Transient | Rejected): ChooserInput {
  return { ...input, server: { fault: found.kind === 'transient' ? 'issuer_unreachable' : found.code, hasDeviceEndpoint: false } };
}

export function withBind(input: ChooserInput, bind: ChooserInput['probes']['bind']): ChooserInput {
  return { ...input, probes: { ...input.probes, bind } };
}

/** The failed probes in words. */
const PROBES: Readonly<Record<string, string>> = {
  loopback_blocked: 'no port of 127.0.0.1 could be bound',
  loopback_exhausted: 'other programs have all ports of redirect_ports',
  caller_session_remote: 'the desktop is not that of the caller, who came over the network',
  ssh_no_forward: 'the caller came over ssh, and no browser through a tunnel',
  gui_session_not_active: 'the desktop is not the active one',
  wsl_no_path: 'a browser on the Windows side did not reach a port in WSL',
  vdi_browser_redirected: 'the browser runs on another machine',
  container_no_forward: 'the caller runs in a container',
  headless_no_browser: 'there is no desktop with a browser',
};

export function probeText(probe: string): string {
  return PROBES[probe] ?? probe;
}

export function refusalOf(choice: Choice, profile: Profile, policyRule: string | null): BrokerError {
  const probes = choice.failedProbes.map(probeText);
  const why = probes.length === 0 ? '' : `; what was found: ${probes.join(', ')}`;
  const by = choice.reason === 'tenant_not_allowed' && policyRule !== null ? `; rule ${policyRule} of the policy denies it` : '';
  return new BrokerError('flow_refused', `no sign-in for profile ${profile.name} here: ${choice.reason} (rule ${choice.rule})${by}${why}`, {
    reason: choice.reason, hint: remedyOf(choice.reason).replaceAll('PROFILE', profile.name),
  });
}
