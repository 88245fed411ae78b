import { describe, expect, it } from 'vitest';
import { chooseFlow } from '../../../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../../../daemon/policy/chooser.ts';
import { whatIf } from '../../../../daemon/policy/what-if.ts';
import { someFacts } from '../../../support/builders.ts';

const desktop: ChooserInput = {
  facts: someFacts(), preference: 'auto', risk: 'normal', browserConfigured: false, manualOpen: false,
  policy: { trusted: true, issuerAllowed: true, deviceAllowed: false, deviceOverride: false, sshForward: true },
  server: null, caller: { sameUser: true, foreignRoot: false },
  probes: { bind: null, startHit: null, forwardedBroker: false, hostBroker: false },
};
const ssh: ChooserInput = { ...desktop, facts: someFacts({ remote: true, gui: 'none', browser: 'none' }) };
const waysOf = (input: ChooserInput): Readonly<Record<string, string>> => Object.fromEntries(whatIf(input).map(({ field, to, choice }) => [`${field}=${JSON.stringify(to)}`, choice.outcome]));

describe('what would lead to another sign-in', () => {
  it('is what the chooser says with one thing changed, and nothing that leads to the same', () => {
    for (const input of [desktop, ssh, { ...ssh, preference: 'pkce' as const }, { ...desktop, facts: someFacts({ wsl: { interop: true } }) }]) {
      const before = chooseFlow(input);
      const found = whatIf(input);
      expect(found.length).toBeGreaterThan(5);
      for (const { field, to, choice } of found) {
        const [part = '', name = ''] = field.split('.');
        const changed = name === '' ? { ...input, [part]: to } : { ...input, [part]: { ...input[part as 'facts'], [name]: to } };
        expect(chooseFlow(changed)).toEqual(choice);
        expect(choice.outcome !== before.outcome || before.proofS !== null).toBe(true);
      }
    }
  });

  it('names a tunnel, a forwarded broker and a listed issuer over ssh, and a forwarded broker nowhere else', () => {
    const ways = waysOf({ ...ssh, probes: { ...ssh.probes, startHit: false } });
    expect(ways).toMatchObject({ 'probes.startHit=true': 'pkce_ssh_forward', 'probes.forwardedBroker=true': 'forward_broker', 'policy.deviceAllowed=true': 'device' });
    expect(ways).not.toHaveProperty('probes.hostBroker=true');
    expect(waysOf(desktop)).not.toHaveProperty('probes.forwardedBroker=true');
  });

  it('tells a script that it lacks a terminal, and no mark that could be taken away', () => {
    const script = { ...desktop, facts: someFacts({ automation: 'no_human_channel', tty: false, gui: 'none', browser: 'none' }), manualOpen: true };
    expect(waysOf(script)).toMatchObject({ 'facts.tty=true': 'pkce_loopback', 'facts.gui="active"': 'pkce_loopback' });
    expect(waysOf(script)).not.toHaveProperty('facts.automation=null');
    expect(waysOf({ ...desktop, facts: someFacts({ automation: 'CI' }) })).toEqual({ 'facts.automation=null': 'pkce_loopback' });
  });
});
