import { parseProfileName } from '../../../shared/names.ts';
import type { ProfileName } from '../../../shared/names.ts';
import type { Config, Profile } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';

/** The named profile; without a name the only one, or the only one of this resource. Never a guess. */
export function pickProfile(config: Config, name: string | undefined, resource: string | undefined = undefined): Profile {
  if (name !== undefined) {
    const parsed = parseProfileName(name);
    const profile = parsed === null ? undefined : config.profiles.get(parsed);
    if (profile === undefined && parsed !== null && config.workloads.has(parsed)) throw isWorkload(parsed);
    if (profile === undefined) throw new BrokerError('unknown_profile', `there is no profile of this name; ${whatThereIs(config)}`, firstStep(config));
    return profile;
  }
  const all = [...config.profiles.values()];
  const fitting = resource === undefined ? all : all.filter((p) => p.resource === resource);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) return only;
  throw new BrokerError('no_profile', `no profile was named; ${whatThereIs(config)}`, firstStep(config));
}

/** Nobody signs in to one, and no sign-in gives its tokens (WL-01). */
export function isWorkload(name: ProfileName): BrokerError {
  return new BrokerError('human_flow_for_workload', `${name} is a workload: it gets tokens in its own name, and nobody signs in to it`, { hint: `Run: valetkey workload token ${name}` });
}

/** A list of none helps nobody. */
function firstStep({ profiles }: Config): { readonly hint?: string } {
  return profiles.size === 0 ? { hint: 'Run: valetkey help profile add' } : {};
}

function whatThereIs({ profiles }: Config): string {
  return profiles.size === 0 ? 'none is configured' : `there are: ${[...profiles.keys()].join(', ')}`;
}
