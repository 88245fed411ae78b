/** What decides on a sign-in, in words: the facts of a session, the outcomes, and the things that could be otherwise. */
import type { LoginExplanation } from '../shared/explain-schemas.ts';

type Outcome = LoginExplanation['outcome'];

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  pkce_loopback: 'in a browser of this machine (PKCE)',
  pkce_ssh_forward: 'in a browser that comes through ssh -L (PKCE)',
  device: 'by a code that is typed elsewhere (device flow)',
  forward_broker: 'not here: the broker of another machine answers',
  refuse: 'refused',
};

export function outcomeWords({ outcome, waits_s }: Pick<LoginExplanation, 'outcome' | 'waits_s'>): string {
  return `${OUTCOMES[outcome]}${waits_s === null ? '' : `, if one comes within ${waits_s} s`}`;
}

const is = (value: unknown): boolean => value === true;

/** Rows of what was seen; what is usual and says nothing is left out. */
export function factRows(input: LoginExplanation['input']): readonly (readonly [string, string])[] {
  const facts = partOf(input, 'facts');
  const policy = partOf(input, 'policy');
  const probes = partOf(input, 'probes');
  const marks: readonly (readonly [string, unknown])[] = [
    ['over SSH', facts['remote']], ['in a container', facts['container']], ['in a dev container', is(facts['ide']) && is(facts['container'])], ['in WSL', facts['wsl'] !== null], ['in a virtual desktop', facts['vdi']],
    ['passed on by ssh', facts['forwarded']], ['a service', facts['serviceSession']], ['others use this machine', facts['sharedHost']],
  ];
  const found = marks.filter(([, holds]) => is(holds)).map(([name]) => name);
  return [
    ['Desktop', { active: 'in front', inactive: 'there, but not that of this session', none: 'none' }[String(facts['gui'])] ?? '?'],
    ['Browser', { graphical: 'graphical', none: 'none', unknown: 'not told by its settings' }[String(facts['browser'])] ?? '?'],
    ['Terminal', is(facts['tty']) ? 'yes' : 'none'],
    ['Place', found.length === 0 ? 'this machine, nothing in between' : found.join(', ')],
    ['Automation', typeof facts['automation'] === 'string' ? facts['automation'] : 'no'],
    ['Asked for', { auto: 'the safest', pkce: 'PKCE only', device: 'the device flow' }[String(input['preference'])] ?? '?'],
    ['Tier', String(input['risk'])],
    ['Device flow', is(policy['deviceAllowed']) ? 'allowed for this issuer' : 'not allowed for this issuer'],
    ...(is(probes['forwardedBroker']) || is(probes['hostBroker']) ? [['Forwarded', 'another broker answers here'] as const] : []),
  ];
}

function partOf(input: LoginExplanation['input'], name: string): Readonly<Record<string, unknown>> {
  const part = input[name];
  return typeof part === 'object' && part !== null ? { ...part } : {};
}

/** By field, and by value where that differs. */
const CHANGES: Readonly<Record<string, string>> = {
  'preference=auto': 'without --device, and flow = "auto" in the profile',
  'preference=pkce': 'with flow = "pkce" in the profile',
  'preference=device': 'with --device',
  'manualOpen=true': 'with --no-browser, if a browser runs on this machine',
  'manualOpen=false': 'without --no-browser',
  'browserConfigured=true': 'with a browser command in the profile',
  'browserConfigured=false': 'without the browser command of the profile',
  'probes.startHit=true': 'once a browser has followed the link',
  'probes.startHit=false': 'if no browser follows the link in time',
  'probes.forwardedBroker=true': 'with a broker forwarded here: ssh -R',
  'probes.hostBroker=true': 'with the broker of the host mounted here',
  'policy.deviceAllowed=true': 'with the issuer under [device] issuers',
  'policy.deviceAllowed=false': 'without the issuer under [device] issuers',
  'policy.issuerAllowed=true': 'if policy allowed the issuer',
  'policy.issuerAllowed=false': 'if a rule of policy denied the issuer',
  'policy.deviceOverride=true': 'with same_device = true in the admin\'s policy',
  'policy.deviceOverride=false': 'without same_device in the admin\'s policy',
  'policy.sshForward=true': 'if policy allowed PKCE here',
  'policy.sshForward=false': 'if policy allowed no PKCE here',
  'risk=normal': 'in tier normal',
  'risk=high': 'in tier high',
  'risk=privileged': 'in tier privileged',
  'facts.tty=true': 'from a terminal',
  'facts.tty=false': 'without a terminal',
  'facts.gui=active': 'from a desktop that is in front',
  'facts.gui=inactive': 'from a desktop that is not in front',
  'facts.gui=none': 'without a desktop',
  'facts.browser=graphical': 'with a graphical browser',
  'facts.browser=none': 'without a graphical browser',
  'facts.remote=true': 'over SSH',
  'facts.remote=false': 'not over SSH',
  'facts.container=true': 'in a container',
  'facts.container=false': 'outside of the container',
  'facts.ide=true': 'in an editor that forwards ports',
  'facts.ide=false': 'outside of the editor',
  'facts.automation=null': 'without the mark of automation',
  'facts.automation="CI"': 'in CI',
  'facts.wsl=null': 'outside of WSL',
  'facts.wsl={"interop":true}': 'in WSL with interop',
  'facts.wsl={"interop":false}': 'in WSL without interop',
  'facts.vdi=true': 'in a virtual desktop',
  'facts.vdi=false': 'outside of the virtual desktop',
  'facts.sharedHost=true': 'with other users at this machine',
  'facts.sharedHost=false': 'with no other users at this machine',
  'facts.serviceSession=true': 'as a service',
  'facts.serviceSession=false': 'not as a service',
  'facts.forwarded=true': 'over a forwarded socket',
  'facts.forwarded=false': 'on the machine of this broker itself',
  'probes.bind=false': 'if no port of 127.0.0.1 could be bound',
  'probes.bind="ports_taken"': 'if other programs had all redirect_ports',
  'server={"fault":"as_no_s256","hasDeviceEndpoint":true}': 'if the issuer did not list PKCE with S256',
  'server={"fault":null,"hasDeviceEndpoint":false}': 'if the issuer had no device flow',
};

/** Fields of a newer daemon are told as they are. */
export function changeWords({ field, to }: Pick<LoginExplanation['changes'][number], 'field' | 'to'>): string {
  const value = JSON.stringify(to) ?? 'unknown';
  return CHANGES[`${field}=${value}`] ?? CHANGES[`${field}=${String(to)}`] ?? `if ${field} were ${value}`;
}
