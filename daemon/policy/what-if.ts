/**
 * What would lead to another sign-in: the chooser asked again with one thing changed, for each thing and each value
 * that it may have. Pure; what is told here is what would be decided.
 */
import { chooseFlow } from './chooser.ts';
import type { Choice, ChooserInput } from './chooser.ts';

/** `field` as in the record of a decision. */
export type WhatIf = { readonly field: string; readonly to: unknown; readonly choice: Choice };

type Field = { readonly field: string; readonly values: readonly unknown[]; readonly now: (input: ChooserInput) => unknown; readonly set: (input: ChooserInput, value: never) => ChooserInput };

const BOTH = [true, false] as const;

function fact<K extends keyof ChooserInput['facts']>(name: K, values: readonly ChooserInput['facts'][K][]): Field {
  return { field: `facts.${name}`, values, now: ({ facts }) => facts[name], set: (input, value: ChooserInput['facts'][K]) => ({ ...input, facts: { ...input.facts, [name]: value } }) };
}

/** With a terminal or a desktop, what was taken for automation for want of one is none. */
function attended<K extends 'tty' | 'gui'>(name: K, values: readonly ChooserInput['facts'][K][]): Field {
  const { set, ...field } = fact(name, values);
  return { ...field, set: (input, value: never) => {
    const changed = set(input, value);
    const { automation, tty, gui } = changed.facts;
    const isForWant = automation === 'no_human_channel' && (tty || gui !== 'none');
    return isForWant || (automation === 'workload' && tty) ? { ...changed, facts: { ...changed.facts, automation: null } } : changed;
  } };
}

function part<P extends 'policy' | 'probes', K extends keyof ChooserInput[P] & string>(of: P, name: K, values: readonly ChooserInput[P][K][]): Field {
  return { field: `${of}.${name}`, values, now: (input) => input[of][name], set: (input, value: ChooserInput[P][K]) => ({ ...input, [of]: { ...input[of], [name]: value } }) };
}

function own<K extends 'preference' | 'risk' | 'browserConfigured' | 'manualOpen' | 'server'>(name: K, values: readonly ChooserInput[K][]): Field {
  return { field: name, values, now: (input) => input[name], set: (input, value: ChooserInput[K]) => ({ ...input, [name]: value }) };
}

/** What a person can change comes first. Not among them: other users, root, a policy that cannot be trusted. */
const FIELDS: readonly Field[] = [
  own('preference', ['auto', 'pkce', 'device']), own('manualOpen', BOTH), own('browserConfigured', BOTH),
  part('probes', 'startHit', BOTH), part('probes', 'forwardedBroker', BOTH), part('probes', 'hostBroker', BOTH),
  part('policy', 'deviceAllowed', BOTH), part('policy', 'issuerAllowed', BOTH), part('policy', 'deviceOverride', BOTH), part('policy', 'sshForward', BOTH),
  own('risk', ['normal', 'high', 'privileged']),
  attended('tty', BOTH), attended('gui', ['active', 'inactive', 'none']), fact('browser', ['graphical', 'none']), fact('remote', BOTH), fact('container', BOTH),
  fact('ide', BOTH), fact('automation', [null, 'CI']), fact('wsl', [null, { interop: true }, { interop: false }]), fact('vdi', BOTH), fact('sharedHost', BOTH),
  fact('serviceSession', BOTH), fact('forwarded', BOTH),
  part('probes', 'bind', [false, 'ports_taken']), own('server', [{ fault: 'as_no_s256', hasDeviceEndpoint: true }, { fault: null, hasDeviceEndpoint: false }]),
];

export function whatIf(input: ChooserInput): readonly WhatIf[] {
  const before = chooseFlow(input);
  return FIELDS.flatMap(({ field, values, now, set }) => values.flatMap((to): readonly WhatIf[] => {
    if (JSON.stringify(now(input)) === JSON.stringify(to) || !isPossible(input, field)) return [];
    const choice = chooseFlow(set(input, to as never)); // of the list that stands beside `set`
    return leadsElsewhere(before, choice) ? [{ field, to, choice }] : [];
  }));
}

/** A proof, and a broker that is forwarded, are looked for in some places only. */
function isPossible({ facts }: ChooserInput, field: string): boolean {
  if (field === 'probes.forwardedBroker') return facts.remote;
  return field === 'probes.hostBroker' ? facts.container : true;
}

/** Another way, or none; and where one waits for a browser, that it came. */
function leadsElsewhere(before: Choice, after: Choice): boolean {
  return after.outcome !== before.outcome || (before.proofS !== null && after.proofS === null);
}
