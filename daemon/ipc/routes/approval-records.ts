/** The answers of people on record, wherever they were given. */
import type { Channel, Pending, Verdict } from '../../approvals/approvals.ts';
import { programLabel } from '../../approvals/consent-key.ts';
import type { Caller } from '../../core/domain.ts';
import type { Broker } from './broker.ts';

/** `caller`: who answered; of a dialog, who showed it. */
export type Answered = { readonly caller: Caller; readonly request: string | null; readonly channel: Channel };

export async function noteAnswer({ audit, events }: Pick<Broker, 'audit' | 'events'>, pending: Pending, verdict: Verdict, { caller, request, channel }: Answered): Promise<void> {
  const { id, profile, asker, rule, resource, scopes } = pending;
  await audit.append({
    event: verdict.allow ? 'approval_given' : 'approval_denied', profile, caller, request,
    facts: {
      approval: id, channel, asker: programLabel(asker), rule, resource, scopes,
      ...(verdict.allow ? { binding: verdict.binding, for_s: verdict.ms === null ? null : verdict.ms / 1000 } : {}),
    },
  });
  events.emit('approval_answered', profile, id);
}

/** @param approval - the question that it was given to; null: to set another PIN */
export async function noteWrongPin({ audit }: Pick<Broker, 'audit'>, { caller, request, approval }: Omit<Answered, 'channel'> & { readonly approval: string | null }): Promise<void> {
  await audit.append({ event: 'pin_refused', profile: null, caller, request, facts: { approval } });
}
