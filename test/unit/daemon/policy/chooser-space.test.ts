/**
 * The chooser over every input there is. Fields that hold names in reality have two values here: the rules look
 * only at whether there is one.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { chooseFlow, remedyOf, safetyRank } from '../../../../daemon/policy/chooser.ts';
import type { Choice, ChooserInput } from '../../../../daemon/policy/chooser.ts';
import type { SessionFacts } from '../../../../daemon/core/domain.ts';
import { exchanged, sizeOf, walkSpace } from '../../../support/whole-space.ts';
import type { Space, Walk } from '../../../support/whole-space.ts';

const BOTH = [true, false] as const;
const FACTS: Space<SessionFacts> = {
  automation: [null, 'CI'], remote: BOTH, container: BOTH, wsl: [null, { interop: true }, { interop: false }], vdi: BOTH, sharedHost: BOTH,
  gui: ['active', 'inactive', 'none'], browser: ['graphical', 'none', 'unknown'], tty: BOTH, serviceSession: BOTH, ide: BOTH, forwarded: BOTH,
};
const SPACE: Space<ChooserInput> = {
  facts: FACTS,
  preference: ['auto', 'pkce', 'device'],
  risk: ['low', 'normal', 'high', 'privileged'],
  browserConfigured: BOTH,
  manualOpen: BOTH,
  policy: { trusted: BOTH, issuerAllowed: BOTH, deviceAllowed: BOTH, deviceOverride: BOTH, sshForward: BOTH },
  server: [null, { fault: null, hasDeviceEndpoint: true }, { fault: null, hasDeviceEndpoint: false }, { fault: 'as_no_s256', hasDeviceEndpoint: true }],
  caller: { sameUser: BOTH, foreignRoot: BOTH },
  probes: { bind: [null, true, false, 'ports_taken'], startHit: [null, true, false], forwardedBroker: BOTH, hostBroker: BOTH },
};

/** What could be tried, was not tried in vain, and needs nobody's work. */
const isBrowserAtHand = ({ facts: f, browserConfigured, manualOpen, probes }: ChooserInput): boolean =>
  (probes.bind === true || probes.bind === null) && !f.remote
  && ((f.gui === 'active' && !f.container && f.wsl === null && !f.vdi) || browserConfigured || manualOpen);

type Holds = (input: ChooserInput, choice: Choice) => boolean;
const seen = new Set<string>();

/** Each is held against every input there is; one walk for all, since it takes its time. */
const PROPERTIES = {
  desktop: ({ facts: f, probes, preference, manualOpen }, { outcome, rule }) => {
    const isPlain = f.gui === 'active' && !f.remote && !f.container && f.wsl === null && !f.vdi && f.browser !== 'none' && !manualOpen && preference !== 'device' && probes.bind === true;
    return !isPlain || outcome === 'pkce_loopback' || ['1', '2', '3', '3b', '4', '5', '10'].includes(rule);
  },
  probes: (input, { outcome, failedProbes }) => outcome !== 'device' || (failedProbes.length > 0 && (!isBrowserAtHand(input) || isByAdmin(input))),
  remote: ({ facts: { remote, forwarded, vdi } }, { outcome }) => outcome !== 'pkce_loopback' || !((remote && !vdi) || forwarded),
  sameDevice: (input, { outcome }) => outcome !== 'device' || input.preference !== 'device' || !isBrowserAtHand(input) || input.policy.deviceOverride,
  risk: ({ risk }, { outcome }) => outcome !== 'device' || risk === 'low' || risk === 'normal',
  issuers: ({ policy, server }, { outcome }) => outcome !== 'device' || (policy.deviceAllowed && (server === null || server.hasDeviceEndpoint)),
  gates: ({ policy, caller }, { outcome }) => outcome === 'refuse' || (policy.trusted && policy.issuerAllowed && caller.sameUser && !caller.foreignRoot),
  automation: ({ facts }, { outcome }) => outcome === 'refuse' || (facts.automation === null && (facts.tty || facts.gui !== 'none')),
  tunnel: ({ facts, probes, preference, policy }, { outcome, proofS }) => {
    if (outcome === 'pkce_ssh_forward') return probes.startHit === true || proofS !== null;
    const couldTunnel = (): boolean => facts.remote && facts.tty && policy.sshForward && (probes.bind === true || probes.bind === null);
    return outcome !== 'device' || preference === 'device' || probes.startHit === false || !couldTunnel();
  },
  waits: ({ probes }, { proofS, outcome, reason }) => proofS === null || (probes.startHit === null && outcome.startsWith('pkce_') && reason === 'start_awaited'),
  words: (_, { rule, reason, outcome }) => {
    seen.add(`${rule} ${reason}`);
    return /^[a-z0-9_]+$/.test(reason) && (outcome !== 'refuse' || remedyOf(reason) !== remedyOf('nothing'));
  },
} as const satisfies Record<string, Holds>;

const broken = new Map<string, string>();
let walk: Walk;

beforeAll(() => {
  const properties: readonly (readonly [string, Holds])[] = Object.entries(PROPERTIES);
  walk = walkSpace(SPACE, (input) => {
    const choice = chooseFlow(input);
    for (const [name, holds] of properties) {
      if (!broken.has(name) && !holds(input, choice)) broken.set(name, `${JSON.stringify(choice)} for ${JSON.stringify(input)}`);
    }
  });
}, 300_000);

const holds = (name: keyof typeof PROPERTIES): void => {
  if (broken.has(name)) expect.fail(broken.get(name));
};

/** FC-06: the one who runs the machine said so. */
function isByAdmin({ policy, preference }: ChooserInput): boolean {
  return policy.deviceOverride && preference === 'device';
}

describe('over all 16,307,453,952 inputs of 13,824 sessions', () => {
  it('each is in exactly one of the regions that were looked at', () => {
    expect(sizeOf(FACTS)).toBe(13_824);
    expect(walk).toMatchObject({ size: 16_307_453_952, covered: 16_307_453_952 });
    expect(walk.regions).toBeGreaterThan(100_000);
  });

  it('[FC-01] a desktop with a browser and a port is PKCE on loopback, unless its caller may not sign in here at all', () => holds('desktop'));
  it('[FC-02] the device flow is never chosen where a browser and a port are at hand, and always with a probe that failed', () => holds('probes'));
  it('[FC-04] a caller from another machine opens no browser here, unless it is in a desktop that is shown elsewhere', () => holds('remote'));
  it('[FC-06] --device beside a browser of the same machine takes the word of an admin', () => holds('sameDevice'));
  it('[FC-07] what is privileged or of high risk never goes by device code', () => holds('risk'));
  it('[FC-08] the device flow is for listed issuers, and for those that have one', () => holds('issuers'));
  it('[FC-09] nothing is chosen under a policy that cannot be trusted, for another user, or for an issuer that is denied', () => holds('gates'));
  it('[FC-11] automation, and callers without terminal and desktop, get no human flow', () => holds('automation'));
  it('[FC-12] over SSH, PKCE takes a browser that came through the tunnel, and the device flow one that did not', () => holds('tunnel'));
  it('a choice waits only where nobody has looked yet, and never for a refusal', () => holds('waits'));

  it('every choice has a rule and a reason of the table, and every refusal a next step', () => {
    holds('words');
    expect([...seen].toSorted()).toMatchInlineSnapshot(`
      [
        "1 as_no_s256",
        "1 policy_untrusted",
        "10 caller_elsewhere",
        "11 start_awaited",
        "11 wsl_loopback_ok",
        "12 start_awaited",
        "12 vdi_in_session_browser",
        "12b loopback_shared_host",
        "12b start_awaited",
        "13 ssh_forward_proved",
        "13 start_awaited",
        "14 ide_forward_proved",
        "14 start_awaited",
        "15 container_host_broker",
        "16a pkce_unavailable",
        "16b device_denied_privileged",
        "16b device_denied_risk",
        "16c device_denied_tenant",
        "16d as_no_device_endpoint",
        "16e no_human_channel",
        "16g caller_session_remote",
        "16g container_no_forward",
        "16g gui_session_not_active",
        "16g headless_no_browser",
        "16g loopback_blocked",
        "16g ssh_no_forward",
        "16g vdi_browser_redirected",
        "16g wsl_no_path",
        "2 run_as_root",
        "2 uid_mismatch",
        "3 human_flow_in_automation",
        "3b no_interactive_session",
        "4 tenant_not_allowed",
        "5 forwarded_broker",
        "5b browser_configured",
        "6 local_gui_ok",
        "7 device_admin_override",
        "7 device_same_device",
        "8 browser_manual_open",
        "8b browser_manual_open",
        "9 loopback_blocked",
        "9 loopback_exhausted",
      ]
    `);
  });

  it('[FC-05] a preference keeps or raises the safety of what would be chosen without it', () => {
    const lowered = walkSpace(SPACE, (input) => {
      if (input.preference === 'auto') return;
      const { outcome, proofS } = chooseFlow(input);
      const asked = exchanged(input, { preference: 'auto' });
      const auto = chooseFlow(asked);
      // Who does not wait for a browser gets what is left without one.
      const isAhead = proofS === null && auto.proofS !== null;
      const instead = isAhead ? chooseFlow(exchanged(asked, { probes: exchanged(input.probes, { startHit: false }) })) : auto;
      if (safetyRank(outcome) < safetyRank(instead.outcome) && !isByAdmin(input)) expect.fail(`${outcome} instead of ${instead.outcome} for ${JSON.stringify(input)}`);
    });
    expect(lowered.covered).toBe(lowered.size);
  }, 300_000);
});
