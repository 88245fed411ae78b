/**
 * Which sign-in flow, if any: a pure function of facts about the caller's login session (requirements,
 * section 19). The rules are a table, the first that matches decides, and every outcome names its rule,
 * its reason and the probes that failed, so that the decision record replays to the same outcome.
 *
 * Safety rank: PKCE on loopback > PKCE through ssh -L > device. A preference can only keep or raise it.
 * Where nobody can tell whether a browser reaches the listener, the choice waits for the proof: a browser that
 * fetches /start. Until then the issuer is not named to any browser, and without it the next rule decides.
 */
import type { FlowPreference, SessionFacts } from '../core/domain.ts';
import type { Tier } from '../core/policy-rules.ts';

export type Risk = Tier;

/** `fault`: why its metadata is no ground for a sign-in; null: it is. */
export type ServerFacts = { readonly fault: string | null; readonly hasDeviceEndpoint: boolean };

/** Everything that the rules look at. `null`: not known yet, and no rule may read it as a yes. */
export type ChooserInput = {
  readonly facts: SessionFacts;
  readonly preference: FlowPreference;
  readonly risk: Risk;
  /** The profile names a browser command. */
  readonly browserConfigured: boolean;
  /** The person said that they open the URL in a browser of this machine. */
  readonly manualOpen: boolean;
  readonly policy: {
    readonly trusted: boolean;
    readonly issuerAllowed: boolean;
    readonly deviceAllowed: boolean;
    readonly deviceOverride: boolean;
    readonly sshForward: boolean;
  };
  /** Null before metadata was fetched. */
  readonly server: ServerFacts | null;
  readonly caller: { readonly sameUser: boolean; readonly foreignRoot: boolean };
  readonly probes: {
    /** A loopback port was bound; `ports_taken`: all that the profile names are; null: not tried. */
    readonly bind: boolean | 'ports_taken' | null;
    /** A browser fetched /start; null: nobody has waited for it yet. */
    readonly startHit: boolean | null;
    /** Another machine's broker answers on a socket that ssh forwarded to this one. */
    readonly forwardedBroker: boolean;
    /** The host's broker answers on a socket that is mounted into this container. */
    readonly hostBroker: boolean;
  };
};

export type ChooserOutcome = 'pkce_loopback' | 'pkce_ssh_forward' | 'device' | 'forward_broker' | 'refuse';

export type Choice = {
  readonly outcome: ChooserOutcome;
  readonly rule: string;
  readonly reason: string;
  /** Names of the probes that showed that no local browser or redirect can work; never empty for `device`. */
  readonly failedProbes: readonly string[];
  /** Seconds in which a browser has to fetch /start before the choice stands; null: it stands. */
  readonly proofS: number | null;
};

type Rule = {
  readonly id: string;
  readonly when: (input: ChooserInput) => boolean;
  readonly outcome: ChooserOutcome;
  readonly reason: string | ((input: ChooserInput) => string);
  /** It holds once a browser fetched /start, for which so many seconds are given. */
  readonly proofS: number | null;
};

/** A browser that is opened there is opened at once. */
const BROWSER_PROOF_S = 20;
/** A person types a command into another terminal. */
const TUNNEL_PROOF_S = 120;

const mayBind = (i: ChooserInput): boolean => i.probes.bind === true || i.probes.bind === null;
const plainDesktop = (i: ChooserInput): boolean =>
  i.facts.gui === 'active' && !i.facts.remote && !i.facts.container && i.facts.wsl === null && !i.facts.vdi;
const hasBrowser = (i: ChooserInput): boolean => i.facts.browser !== 'none';
const vdiSession = (i: ChooserInput): boolean => i.facts.vdi && i.facts.gui !== 'none' && !i.facts.container && hasBrowser(i);
const rule = (id: string, outcome: ChooserOutcome, reason: Rule['reason'], when: Rule['when']): Rule => ({ id, when, outcome, reason, proofS: null });
/** A path that was not tried in vain. */
const proved = (id: string, outcome: ChooserOutcome, reason: string, proofS: number, when: Rule['when']): Rule => ({
  id, outcome, proofS, reason: (i) => (i.probes.startHit === true ? reason : 'start_awaited'),
  when: (i) => when(i) && mayBind(i) && i.probes.startHit !== false,
});

/** Why no local path exists: the reason of rule 16g and the named probes of FC-02. */
function failedProbes(i: ChooserInput): readonly string[] {
  const named: readonly (readonly [boolean, string])[] = [
    [i.probes.bind === 'ports_taken', 'loopback_exhausted'],
    [i.probes.bind === false, 'loopback_blocked'],
    // Rule 10: a desktop that is not the caller's is none to open a browser on.
    [i.facts.remote && i.facts.gui !== 'none', 'caller_session_remote'],
    [i.facts.remote, 'ssh_no_forward'],
    [i.facts.gui === 'inactive' && !i.facts.remote, 'gui_session_not_active'],
    [i.facts.wsl !== null, 'wsl_no_path'],
    [i.facts.vdi, 'vdi_browser_redirected'],
    [i.facts.container, 'container_no_forward'],
    [i.facts.gui === 'none', 'headless_no_browser'],
  ];
  return named.filter(([failed]) => failed).map(([, name]) => name);
}

const RULES: readonly Rule[] = [
  rule('1', 'refuse', 'policy_untrusted', (i) => !i.policy.trusted),
  rule('1', 'refuse', (i) => i.server?.fault ?? 'as_metadata_invalid', (i) => i.server !== null && i.server.fault !== null),
  rule('2', 'refuse', 'run_as_root', (i) => i.caller.foreignRoot),
  rule('2', 'refuse', 'uid_mismatch', (i) => !i.caller.sameUser),
  // What is seen of a forwarded connection is ssh's own session: who asks is elsewhere.
  rule('10', 'refuse', 'caller_elsewhere', (i) => i.facts.forwarded),
  rule('3', 'refuse', 'human_flow_in_automation', (i) => i.facts.automation !== null || (!i.facts.tty && i.facts.gui === 'none')),
  rule('3b', 'refuse', 'no_interactive_session', (i) => i.facts.serviceSession && !i.facts.tty),
  rule('4', 'refuse', 'tenant_not_allowed', (i) => !i.policy.issuerAllowed),
  rule('5', 'forward_broker', 'forwarded_broker', (i) => i.probes.forwardedBroker),
  rule('5b', 'pkce_loopback', 'browser_configured', (i) => i.browserConfigured && !i.facts.remote && i.preference !== 'device' && mayBind(i)),
  rule('6', 'pkce_loopback', 'local_gui_ok', (i) => plainDesktop(i) && hasBrowser(i) && !i.manualOpen && mayBind(i) && i.preference !== 'device'),
  rule('7', 'refuse', 'device_same_device', (i) => (plainDesktop(i) || ((i.browserConfigured || i.manualOpen) && !i.facts.remote)) && mayBind(i) && i.preference === 'device' && !i.policy.deviceOverride),
  rule('8', 'pkce_loopback', 'browser_manual_open', (i) => plainDesktop(i) && mayBind(i) && i.preference !== 'device'),
  // The person's own word, and safer than what would follow: a browser of another machine cannot reach the port.
  rule('8b', 'pkce_loopback', 'browser_manual_open', (i) => i.manualOpen && !i.facts.remote && mayBind(i) && i.preference !== 'device'),
  // Another program of this machine has them: a person can end it.
  rule('9', 'refuse', 'loopback_exhausted', (i) => i.probes.bind === 'ports_taken'),
  rule('9', 'refuse', 'loopback_blocked', (i) => i.probes.bind === false && (i.risk === 'high' || i.risk === 'privileged' || !i.policy.deviceAllowed)),
  // Before what waits for a browser: no sign-in here at all is safer than any.
  rule('15', 'forward_broker', 'container_host_broker', (i) => i.facts.container && i.probes.hostBroker),
  proved('11', 'pkce_loopback', 'wsl_loopback_ok', BROWSER_PROOF_S, (i) => i.facts.wsl?.interop === true && !i.facts.remote),
  proved('12', 'pkce_loopback', 'vdi_in_session_browser', BROWSER_PROOF_S, (i) => vdiSession(i) && !i.facts.sharedHost),
  // Others share 127.0.0.1: only the listener's look at the browser's owner keeps them out (LB-10), and without it nobody gets through.
  proved('12b', 'pkce_loopback', 'loopback_shared_host', BROWSER_PROOF_S, (i) => vdiSession(i) && i.facts.sharedHost),
  // A tunnel takes a person's work, so that who asks for the device flow need not wait in vain for it.
  proved('13', 'pkce_ssh_forward', 'ssh_forward_proved', TUNNEL_PROOF_S, (i) => i.facts.remote && i.facts.tty && i.policy.sshForward && (i.preference !== 'device' || i.probes.startHit === true)),
  proved('14', 'pkce_ssh_forward', 'ide_forward_proved', BROWSER_PROOF_S, (i) => i.facts.container && i.facts.ide),
  rule('16a', 'refuse', 'pkce_unavailable', (i) => i.preference === 'pkce'),
  rule('16b', 'refuse', (i) => (i.risk === 'privileged' ? 'device_denied_privileged' : 'device_denied_risk'), (i) => i.risk === 'privileged' || i.risk === 'high'),
  rule('16c', 'refuse', 'device_denied_tenant', (i) => !i.policy.deviceAllowed),
  rule('16d', 'refuse', 'as_no_device_endpoint', (i) => i.server !== null && !i.server.hasDeviceEndpoint),
  rule('16e', 'refuse', 'no_human_channel', (i) => !i.facts.tty),
  rule('7', 'device', 'device_admin_override', (i) => i.preference === 'device' && i.policy.deviceOverride),
  rule('16g', 'device', (i) => failedProbes(i)[0] ?? 'undecidable', (i) => failedProbes(i).length > 0),
];

export function chooseFlow(input: ChooserInput): Choice {
  const match = RULES.find((r) => r.when(input));
  // Rule 18: contradictory facts are refused; they stand in the record for replay.
  if (match === undefined) return { outcome: 'refuse', rule: '18', reason: 'undecidable', failedProbes: failedProbes(input), proofS: null };
  const probes = failedProbes(input);
  const override = match.reason === 'device_admin_override' && probes.length === 0 ? ['device_admin_override'] : probes;
  return {
    outcome: match.outcome,
    rule: match.id,
    reason: typeof match.reason === 'string' ? match.reason : match.reason(input),
    failedProbes: match.outcome === 'device' ? override : probes,
    proofS: input.probes.startHit === null ? match.proofS : null,
  };
}

const RANK: Readonly<Record<ChooserOutcome, number>> = { forward_broker: 4, pkce_loopback: 3, pkce_ssh_forward: 2, device: 1, refuse: 5 };

/** Higher is safer; refusing is the safest. */
export function safetyRank(outcome: ChooserOutcome): number {
  return RANK[outcome];
}

const REMEDIES: Readonly<Record<string, string>> = {
  policy_untrusted: 'Mend the owner and mode of the policy file that is named in: valetkey status',
  as_metadata_invalid: 'Check the issuer URL of the profile, to the letter',
  as_no_s256: 'If the issuer is known to support PKCE, set pkce = "asserted" in the profile',
  uid_mismatch: 'Ask the broker of your own user',
  run_as_root: 'Run it as the user whose tokens are kept, without sudo',
  human_flow_in_automation: 'Use a workload identity of the CI system; a person signs in at a terminal: valetkey login PROFILE',
  no_interactive_session: 'Sign in once from a desktop or terminal: valetkey login PROFILE',
  tenant_not_allowed: 'Ask whoever administers this machine',
  device_same_device: 'Run it without --device: a browser on this machine is the safer way',
  loopback_blocked: 'Allow connections to 127.0.0.1 in firewall or endpoint protection, then try again',
  pkce_unavailable: 'Sign in on the machine that has the browser',
  device_denied_privileged: 'Do privileged work from a machine with a browser',
  device_denied_risk: 'Sign in from a machine with a browser',
  device_denied_tenant: 'Sign in where a browser is, or name a browser command in the profile; or list the issuer under [device] issuers',
  as_no_device_endpoint: 'The issuer has no device flow; sign in where a browser is, or use --no-browser on this machine',
  undecidable: 'Please report it, with the record that this prints: valetkey audit search --event login_decided',
  no_human_channel: 'Run the command in a terminal',
  caller_elsewhere: 'Sign in on the machine of this broker: valetkey login PROFILE',
  loopback_exhausted: 'Free one of the ports of redirect_ports, or leave that key out',
  forwarded_broker: 'The broker that ssh forwarded to this machine answers; ask it by: valetkey token PROFILE',
  container_host_broker: 'The broker of the host is mounted into this container; ask it by: valetkey token PROFILE',
};

/** The one next step after a refusal. */
export function remedyOf(reason: string): string {
  return REMEDIES[reason] ?? 'Run: valetkey doctor';
}
