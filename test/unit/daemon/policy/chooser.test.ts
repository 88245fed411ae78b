import { describe, expect, it } from 'vitest';
import { chooseFlow } from '../../../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../../../daemon/policy/chooser.ts';
import { someFacts } from '../../../support/builders.ts';

const desktop: ChooserInput = {
  facts: someFacts(), preference: 'auto', risk: 'normal', browserConfigured: false, manualOpen: false,
  policy: { trusted: true, issuerAllowed: true, deviceAllowed: true, deviceOverride: false, sshForward: true },
  server: { fault: null, hasDeviceEndpoint: true }, caller: { sameUser: true, foreignRoot: false },
  probes: { bind: true, startHit: false, forwardedBroker: false, hostBroker: false },
};
const ssh = { ...desktop, facts: someFacts({ remote: true, gui: 'none', browser: 'none' }) };
const waiting = (input: ChooserInput): ChooserInput => ({ ...input, probes: { ...input.probes, startHit: null } });
const hit = (input: ChooserInput): ChooserInput => ({ ...input, probes: { ...input.probes, startHit: true } });
const devContainer = { ...desktop, facts: someFacts({ container: true, ide: true, gui: 'none', browser: 'graphical' }) };
const headless = { ...desktop, facts: someFacts({ gui: 'none', browser: 'none' }) };

describe('the chooser', () => {
  it('[FC-01] chooses PKCE on loopback at a local desktop, whichever display server', () => {
    expect(chooseFlow(desktop)).toMatchObject({ outcome: 'pkce_loopback', reason: 'local_gui_ok', failedProbes: [] });
    expect(chooseFlow({ ...desktop, facts: someFacts({ browser: 'unknown' }) })).toMatchObject({ outcome: 'pkce_loopback' });
  });

  const table: readonly (readonly [string, ChooserInput, string, string])[] = [
    ['an untrusted policy', { ...desktop, policy: { ...desktop.policy, trusted: false } }, 'refuse', 'policy_untrusted'],
    ['no S256', { ...desktop, server: { fault: 'as_no_s256', hasDeviceEndpoint: true } }, 'refuse', 'as_no_s256'],
    ['root of somebody else', { ...desktop, caller: { sameUser: true, foreignRoot: true } }, 'refuse', 'run_as_root'],
    ['metadata of another issuer', { ...desktop, server: { fault: 'as_metadata_invalid', hasDeviceEndpoint: true } }, 'refuse', 'as_metadata_invalid'],
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
    ['ssh, before anybody tried', waiting(ssh), 'pkce_ssh_forward', 'start_awaited'],
    ['ssh -L that was proved, though the device flow was asked for', { ...hit(ssh), preference: 'device' }, 'pkce_ssh_forward', 'ssh_forward_proved'],
    ['--device over ssh', { ...waiting(ssh), preference: 'device' }, 'device', 'ssh_no_forward'],
    ['privileged work over ssh, before anybody tried', { ...waiting(ssh), risk: 'privileged' }, 'pkce_ssh_forward', 'start_awaited'],
    ['ssh where policy leaves no PKCE', { ...waiting(ssh), policy: { ...ssh.policy, sshForward: false } }, 'device', 'ssh_no_forward'],
    ['ssh to a machine whose desktop is open', { ...ssh, facts: someFacts({ remote: true, gui: 'inactive', browser: 'none' }) }, 'device', 'caller_session_remote'],
    ['ssh with a broker that it forwarded', { ...waiting(ssh), probes: { ...ssh.probes, forwardedBroker: true } }, 'forward_broker', 'forwarded_broker'],
    ['a connection that ssh passed on to a desktop', { ...desktop, facts: someFacts({ forwarded: true }) }, 'refuse', 'caller_elsewhere'],
    ['redirect ports that other programs have', { ...desktop, probes: { ...desktop.probes, bind: 'ports_taken' } }, 'refuse', 'loopback_exhausted'],
    ['WSL with a path', hit({ ...desktop, facts: someFacts({ wsl: { interop: true } }) }), 'pkce_loopback', 'wsl_loopback_ok'],
    ['WSL before anybody tried', waiting({ ...desktop, facts: someFacts({ wsl: { interop: true } }) }), 'pkce_loopback', 'start_awaited'],
    ['WSL without interop', waiting({ ...desktop, facts: someFacts({ wsl: { interop: false } }) }), 'device', 'wsl_no_path'],
    ['VDI with a browser of its own', hit({ ...desktop, facts: someFacts({ vdi: true }) }), 'pkce_loopback', 'vdi_in_session_browser'],
    ['VDI on a host that others share', hit({ ...desktop, facts: someFacts({ vdi: true, sharedHost: true }) }), 'pkce_loopback', 'loopback_shared_host'],
    ['VDI that is shown elsewhere', waiting({ ...desktop, facts: someFacts({ vdi: true, remote: true, gui: 'inactive', tty: false }) }), 'pkce_loopback', 'start_awaited'],
    ['a dev container whose editor forwards the port', hit(devContainer), 'pkce_ssh_forward', 'ide_forward_proved'],
    ['a dev container before anybody tried', waiting(devContainer), 'pkce_ssh_forward', 'start_awaited'],
    ['a dev container whose editor does not', devContainer, 'device', 'container_no_forward'],
    ['a container with the broker of its host', { ...devContainer, probes: { ...devContainer.probes, hostBroker: true } }, 'forward_broker', 'container_host_broker'],
    ['a service session', { ...desktop, facts: someFacts({ serviceSession: true, tty: false }) }, 'refuse', 'no_interactive_session'],
    ['--device at a desktop where the admin allows it', { ...desktop, facts: someFacts({ browser: 'none' }), preference: 'device', policy: { ...desktop.policy, deviceOverride: true, deviceAllowed: true }, probes: { ...desktop.probes, bind: true } }, 'device', 'device_admin_override'],
    ['a headless console', headless, 'device', 'headless_no_browser'],
    ['a container', { ...headless, facts: someFacts({ container: true, gui: 'none' }) }, 'device', 'container_no_forward'],
    ['WSL without a path', { ...desktop, facts: someFacts({ wsl: { interop: false } }) }, 'device', 'wsl_no_path'],
    ['VDI without a path', { ...desktop, facts: someFacts({ vdi: true }) }, 'device', 'vdi_browser_redirected'],
    ['pkce demanded over ssh', { ...ssh, preference: 'pkce' }, 'refuse', 'pkce_unavailable'],
    ['privileged work over ssh', { ...ssh, risk: 'privileged' }, 'refuse', 'device_denied_privileged'],
    ['high risk over ssh', { ...ssh, risk: 'high' }, 'refuse', 'device_denied_risk'],
    ['an issuer without a device endpoint', { ...ssh, server: { fault: null, hasDeviceEndpoint: false } }, 'refuse', 'as_no_device_endpoint'],
    ['ssh without a terminal, but a desktop elsewhere', { ...ssh, facts: someFacts({ remote: true, tty: false }) }, 'refuse', 'no_human_channel'],
  ];
  it.each(table)('%s', (_name, input, outcome, reason) => {
    expect(chooseFlow(input)).toMatchObject({ outcome, reason });
  });

  it('decides again when nobody came, and waits twenty seconds for a browser and two minutes for a person', () => {
    expect(chooseFlow(waiting(ssh)).proofS).toBe(120);
    expect(chooseFlow(waiting(devContainer)).proofS).toBe(20);
    expect(chooseFlow(hit(ssh)).proofS).toBeNull();
    expect(chooseFlow(ssh).proofS).toBeNull();
  });

  it('[FC-08] allows the device flow only for issuers that policy lists', () => {
    expect(chooseFlow({ ...ssh, policy: { ...ssh.policy, deviceAllowed: false } })).toMatchObject({ outcome: 'refuse', reason: 'device_denied_tenant' });
  });
});
