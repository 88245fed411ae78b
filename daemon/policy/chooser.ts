/**
 * Which sign-in flow, if any: a pure function of facts about the caller's login session (requirements,
 * section 19). The rules are a table, the first that matches decides, and every outcome names its rule,
 * its reason and the probes that failed, so that the decision record replays to the same outcome.
 *
 * Safety rank: PKCE on loopback > PKCE through ssh -L > device. A preference can only keep or raise it.
 */
import type { FlowPreference, SessionFacts } from '../core/domain.ts';
import type { Tier } from '../core/policy-rules.ts';

export type Risk = Tier;

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
  readonly server: { readonly s256: boolean; readonly hasDeviceEndpoint: boolean } | null;
  readonly caller: { readonly sameUser: boolean; readonly foreignRoot: boolean };
  readonly probes: {
    /** A loopback port was bound; null: not tried. */
    readonly bind: boolean | null;
    /** A browser fetched /start; null: not tried. */
    readonly startHit: boolean | null;
    readonly forwardedBroker: boolean;
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
};

type Rule = {
  readonly id: string;
  readonly when: (input: ChooserInput) => boolean;
  readonly outcome: ChooserOutcome;
  readonly reason: string | ((input: ChooserInput) => string);
};

const mayBind = (i: ChooserInput): boolean => i.probes.bind !== false;
const plainDesktop = (i: ChooserInput): boolean =>
  i.facts.gui === 'active' && !i.facts.remote && !i.facts.container && i.facts.wsl === null && !i.facts.vdi;
const hasBrowser = (i: ChooserInput): boolean => i.facts.browser !== 'none';
const rule = (id: string, outcome: ChooserOutcome, reason: Rule['reason'], when: Rule['when']): Rule => ({ id, when, outcome, reason });

/** Why no local path exists: the reason of rule 16g and the named probes of FC-02. */
function failedProbes(i: ChooserInput): readonly string[] {
  const named: readonly (readonly [boolean, string])[] = [
    [i.probes.bind === false, 'loopback_blocked'],
    [i.facts.remote, 'ssh_no_forward'],
    [i.facts.gui === 'inactive', 'gui_session_not_active'],
    [i.facts.wsl !== null, 'wsl_no_path'],
    [i.facts.vdi, 'vdi_browser_redirected'],
    [i.facts.container, 'container_no_forward'],
    [i.facts.gui === 'none', 'headless_no_browser'],
  ];
  return named.filter(([failed]) => failed).map(([, name]) => name);
}

const RULES: readonly Rule[] = [
  rule('1', 'refuse', 'policy_untrusted', (i) => !i.policy.trusted),
  rule('1', 'refuse', 'as_no_s256', (i) => i.server !== null && !i.server.s256),
  rule('2', 'refuse', 'run_as_root', (i) => i.caller.foreignRoot),
  rule('2', 'refuse', 'uid_mismatch', (i) => !i.caller.sameUser),
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
  rule('9', 'refuse', 'loopback_blocked', (i) => i.probes.bind === false && (i.risk === 'high' || i.risk === 'privileged' || !i.policy.deviceAllowed)),
  rule('11', 'pkce_loopback', 'wsl_loopback_ok', (i) => i.facts.wsl?.interop === true && i.probes.startHit === true),
  rule('12', 'pkce_loopback', 'vdi_in_session_browser', (i) => i.facts.vdi && hasBrowser(i) && i.probes.startHit === true && !i.facts.sharedHost),
  rule('13', 'pkce_ssh_forward', 'ssh_forward_proved', (i) => i.facts.remote && i.facts.tty && i.policy.sshForward && i.probes.startHit === true),
  rule('14', 'pkce_ssh_forward', 'ide_forward_proved', (i) => i.facts.container && i.probes.startHit === true),
  rule('15', 'forward_broker', 'container_host_broker', (i) => i.facts.container && i.probes.hostBroker),
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
  if (match === undefined) return { outcome: 'refuse', rule: '18', reason: 'undecidable', failedProbes: failedProbes(input) };
  const probes = failedProbes(input);
  const override = match.reason === 'device_admin_override' && probes.length === 0 ? ['device_admin_override'] : probes;
  return {
    outcome: match.outcome,
    rule: match.id,
    reason: typeof match.reason === 'string' ? match.reason : match.reason(input),
    failedProbes: match.outcome === 'device' ? override : probes,
  };
}

const RANK: Readonly<Record<ChooserOutcome, number>> = { forward_broker: 4, pkce_loopback: 3, pkce_ssh_forward: 2, device: 1, refuse: 5 };

/** Higher is safer; refusing is the safest. */
export function safetyRank(outcome: ChooserOutcome): number {
  return RANK[outcome];
}

const REMEDIES: Readonly<Record<string, string>> = {
  policy_untrusted: 'Mend the owner and mode of the policy file that is named in: valetkey status',
  as_no_s256: 'If the issuer is known to support PKCE, set pkce = "asserted" in the profile',
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
  no_human_channel: 'Run the command in a terminal',
  forwarded_broker: 'Ask the forwarded broker',
  container_host_broker: 'Ask the broker of the host',
};

/** The one next step after a refusal. */
export function remedyOf(reason: string): string {
  return REMEDIES[reason] ?? 'Run: valetkey doctor';
}
