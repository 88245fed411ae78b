import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseFlow, remedyOf, safetyRank } from '../../../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../../../daemon/policy/chooser.ts';
import { someFacts } from '../../../support/builders.ts';

const desktop: ChooserInput = {
  facts: someFacts(), preference: 'auto', risk: 'normal', browserConfigured: false, manualOpen: false,
  policy: { trusted: true, issuerAllowed: true, deviceAllowed: true, deviceOverride: false, sshForward: false },
  server: { s256: true, hasDeviceEndpoint: true }, caller: { sameUser: true, foreignRoot: false },
  probes: { bind: true, startHit: null, forwardedBroker: false, hostBroker: false },
};
const ssh = { ...desktop, facts: someFacts({ remote: true, gui: 'none', browser: 'none' }) };
const headless = { ...desktop, facts: someFacts({ gui: 'none', browser: 'none' }) };

/** Everything the rules look at, in every combination fast-check can think of. */
const anyInput: fc.Arbitrary<ChooserInput> = fc.record({
  facts: fc.record({
    automation: fc.constantFrom(null, 'CI'), remote: fc.boolean(), container: fc.boolean(),
    wsl: fc.constantFrom(null, { interop: true }, { interop: false }), vdi: fc.boolean(), sharedHost: fc.boolean(),
    gui: fc.constantFrom('active' as const, 'inactive' as const, 'none' as const),
    browser: fc.constantFrom('graphical' as const, 'none' as const, 'unknown' as const), tty: fc.boolean(), serviceSession: fc.boolean(),
  }),
  preference: fc.constantFrom('auto' as const, 'pkce' as const, 'device' as const),
  risk: fc.constantFrom('low' as const, 'normal' as const, 'high' as const, 'privileged' as const),
  browserConfigured: fc.boolean(), manualOpen: fc.boolean(),
  policy: fc.record({ trusted: fc.boolean(), issuerAllowed: fc.boolean(), deviceAllowed: fc.boolean(), deviceOverride: fc.constant(false), sshForward: fc.boolean() }),
  server: fc.constantFrom(null, { s256: true, hasDeviceEndpoint: true }, { s256: true, hasDeviceEndpoint: false }, { s256: false, hasDeviceEndpoint: true }),
  caller: fc.record({ sameUser: fc.boolean(), foreignRoot: fc.boolean() }),
  probes: fc.record({ bind: fc.constantFrom(null, true, false), startHit: fc.constantFrom(null, true, false), forwardedBroker: fc.boolean(), hostBroker: fc.boolean() }),
});

describe('the chooser', () => {
  it('[FC-01] chooses PKCE on loopback at a local desktop, whichever display server', () => {
    expect(chooseFlow(desktop)).toMatchObject({ outcome: 'pkce_loopback', reason: 'local_gui_ok', failedProbes: [] });
    expect(chooseFlow({ ...desktop, facts: someFacts({ browser: 'unknown' }) })).toMatchObject({ outcome: 'pkce_loopback' });
  });

  const table: readonly (readonly [string, ChooserInput, string, string])[] = [
    ['an untrusted policy', { ...desktop, policy: { ...desktop.policy, trusted: false } }, 'refuse', 'policy_untrusted'],
    ['no S256', { ...desktop, server: { s256: false, hasDeviceEndpoint: true } }, 'refuse', 'as_no_s256'],
    ['root of somebody else', { ...desktop, caller: { sameUser: true, foreignRoot: true } }, 'refuse', 'run_as_root'],
    ['another user', { ...desktop, caller: { sameUser: false, foreignRoot: false } }, 'refuse', 'uid_mismatch'],
    ['CI', { ...desktop, facts: someFacts({ automation: 'GITHUB_ACTIONS' }) }, 'refuse', 'human_flow_in_automation'],
    ['cron', { ...headless, facts: someFacts({ gui: 'none', tty: false }) }, 'refuse', 'human_flow_in_automation'],
    ['an issuer that is not allowed', { ...desktop, policy: { ...desktop.policy, issuerAllowed: false } }, 'refuse', 'tenant_not_allowed'],
    ['a configured browser without a desktop', { ...headless, browserConfigured: true }, 'pkce_loopback', 'browser_configured'],
    ['a configured browser in a container', { ...desktop, browserConfigured: true, facts: someFacts({ container: true, gui: 'none' }) }, 'pkce_loopback', 'browser_configured'],
    ['a configured browser in CI', { ...headless, browserConfigured: true, facts: someFacts({ automation: 'CI' }) }, 'refuse', 'human_flow_in_automation'],
    ['a configured browser without terminal or desktop', { ...headless, browserConfigured: true, facts: someFacts({ gui: 'none', tty: false }) }, 'refuse', 'human_flow_in_automation'],
    ['a configured browser over ssh', { ...ssh, browserConfigured: true }, 'device', 'ssh_no_forward'],
    ['--device at a desktop', { ...desktop, preference: 'device' }, 'refuse', 'device_same_device'],
    ['--device with a configured browser', { ...headless, browserConfigured: true, preference: 'device' }, 'refuse', 'device_same_device'],
    ['a desktop without a browser', { ...desktop, facts: someFacts({ browser: 'none' }) }, 'pkce_loopback', 'browser_manual_open'],
    ['--no-browser on a console', { ...headless, manualOpen: true }, 'pkce_loopback', 'browser_manual_open'],
    ['a desktop whose loopback is blocked', { ...desktop, probes: { ...desktop.probes, bind: false } }, 'device', 'loopback_blocked'],
    ['the same at high risk', { ...desktop, risk: 'high', probes: { ...desktop.probes, bind: false } }, 'refuse', 'loopback_blocked'],
    ['a desktop that is not the active one', { ...desktop, facts: someFacts({ gui: 'inactive' }) }, 'device', 'gui_session_not_active'],
    ['ssh', ssh, 'device', 'ssh_no_forward'],
    ['ssh -L that was proved', { ...ssh, policy: { ...ssh.policy, sshForward: true }, probes: { ...ssh.probes, startHit: true } }, 'pkce_ssh_forward', 'ssh_forward_proved'],
    ['a headless console', headless, 'device', 'headless_no_browser'],
    ['a container', { ...headless, facts: someFacts({ container: true, gui: 'none' }) }, 'device', 'container_no_forward'],
    ['WSL without a path', { ...desktop, facts: someFacts({ wsl: { interop: false } }) }, 'device', 'wsl_no_path'],
    ['VDI without a path', { ...desktop, facts: someFacts({ vdi: true }) }, 'device', 'vdi_browser_redirected'],
    ['pkce demanded over ssh', { ...ssh, preference: 'pkce' }, 'refuse', 'pkce_unavailable'],
    ['privileged work over ssh', { ...ssh, risk: 'privileged' }, 'refuse', 'device_denied_privileged'],
    ['high risk over ssh', { ...ssh, risk: 'high' }, 'refuse', 'device_denied_risk'],
    ['an issuer without a device endpoint', { ...ssh, server: { s256: true, hasDeviceEndpoint: false } }, 'refuse', 'as_no_device_endpoint'],
    ['ssh without a terminal, but a desktop elsewhere', { ...ssh, facts: someFacts({ remote: true, tty: false }) }, 'refuse', 'no_human_channel'],
  ];
  it.each(table)('%s', (_name, input, outcome, reason) => {
    expect(chooseFlow(input)).toMatchObject({ outcome, reason });
  });

  it('[FC-08] allows the device flow only for issuers that policy lists', () => {
    expect(chooseFlow({ ...ssh, policy: { ...ssh.policy, deviceAllowed: false } })).toMatchObject({ outcome: 'refuse', reason: 'device_denied_tenant' });
  });

  it('[FC-02] chooses the device flow only after a named probe failed, and never where a browser and a port are at hand', () => {
    fc.assert(fc.property(anyInput, (input) => {
      const choice = chooseFlow(input);
      if (choice.outcome !== 'device') return;
      expect(choice.failedProbes.length).toBeGreaterThan(0);
      const f = input.facts;
      const isDesktop = f.gui === 'active' && !f.remote && !f.container && f.wsl === null && !f.vdi;
      expect(isDesktop && input.probes.bind !== false).toBe(false);
      expect(input.browserConfigured && !f.remote && input.probes.bind !== false).toBe(false);
    }), { numRuns: 5_000 });
  });

  it('[FC-05] a preference keeps or raises the safety of what would be chosen without it', () => {
    fc.assert(fc.property(anyInput, (input) => {
      const auto = chooseFlow({ ...input, preference: 'auto' }).outcome;
      expect(safetyRank(chooseFlow(input).outcome)).toBeGreaterThanOrEqual(safetyRank(auto));
    }), { numRuns: 5_000 });
  });

  it('[FC-07] never chooses the device flow for privileged or high risk', () => {
    fc.assert(fc.property(anyInput, (input) => {
      if (input.risk === 'privileged' || input.risk === 'high') expect(chooseFlow(input).outcome).not.toBe('device');
    }), { numRuns: 5_000 });
  });

  it('[FC-11] refuses both human flows in CI and where no human channel is', () => {
    fc.assert(fc.property(anyInput, (input) => {
      const noHuman = input.facts.automation !== null || (!input.facts.tty && input.facts.gui === 'none');
      if (noHuman) expect(chooseFlow(input).outcome).toBe('refuse');
    }), { numRuns: 5_000 });
  });

  it('is total, deterministic, and says a next step for every refusal', () => {
    fc.assert(fc.property(anyInput, (input) => {
      const choice = chooseFlow(input);
      expect(chooseFlow(structuredClone(input))).toEqual(choice);
      expect(choice.reason).toMatch(/^[a-z0-9_]+$/);
      if (choice.outcome === 'refuse') expect(remedyOf(choice.reason).length).toBeGreaterThan(10);
    }), { numRuns: 2_000 });
  });
});
