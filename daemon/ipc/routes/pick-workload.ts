import { parseProfileName } from '../../../shared/names.ts';
import type { Config } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { Workload } from '../../core/workload.ts';

/** By its name, which has to be said: nothing is guessed where no person is there to see it. */
export function pickWorkload({ profiles, workloads }: Config, name: string | undefined): Workload {
  const parsed = parseProfileName(name ?? '');
  const workload = parsed === null ? undefined : workloads.get(parsed);
  if (workload !== undefined) return workload;
  if (parsed !== null && profiles.has(parsed)) {
    throw new BrokerError('workload_flow_for_human', `${parsed} is a person's profile: its tokens come of a sign-in`, { hint: `Run: valetkey token ${parsed}` });
  }
  throw new BrokerError('unknown_profile', `there is no workload of this name; ${workloads.size === 0 ? 'none is configured' : `there are: ${[...workloads.keys()].join(', ')}`}`, { hint: 'Run: valetkey workload list' });
}
