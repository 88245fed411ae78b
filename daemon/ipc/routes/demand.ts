/**
 * What a request asks of the sign-in behind its token: the resource's own words (RFC 9470), or the same in fields.
 * Both at once would be two answers to one question.
 */
import { readStepUpDemand } from '../../../shared/challenge.ts';
import type { StepUpDemand } from '../../../shared/challenge.ts';
import type { Scope } from '../../../shared/names.ts';
import { BrokerError } from '../../core/errors.ts';

type Body = { readonly challenge?: string | undefined; readonly acr_values?: readonly string[] | undefined; readonly max_age_s?: number | undefined };

/** Null: nobody passed a challenge. */
export function demandOf({ challenge, acr_values: acrValues, max_age_s: maxAgeS }: Body): StepUpDemand | null {
  if (challenge === undefined) return null;
  if (acrValues !== undefined || maxAgeS !== undefined) throw new BrokerError('bad_request', 'challenge says what acr_values and max_age_s would say');
  const demand = readStepUpDemand(challenge);
  if (demand === null) {
    throw new BrokerError('bad_request', 'the challenge asks for no stronger or fresher sign-in: it is not a WWW-Authenticate header with error="insufficient_user_authentication" (RFC 9470)', {
      hint: 'Ask for a token without it; one that the resource calls invalid is replaced by: valetkey token PROFILE --force',
    });
  }
  return demand;
}

/** Those of the resource and those of the program; null: neither names any. */
export function scopesOf({ scopes }: StepUpDemand, named: readonly Scope[] | null): readonly Scope[] | null {
  return scopes.length === 0 ? named : [...new Set([...(named ?? []), ...scopes])];
}
