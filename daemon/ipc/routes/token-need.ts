import type { Scope } from '../../../shared/names.ts';
import type { Profile } from '../../core/domain.ts';
import type { TokenNeed } from '../../core/grant.ts';
import { demandOf, scopesOf } from './demand.ts';

/** What of a request's body says which token will do. */
export type Wanted = {
  readonly scopes?: readonly Scope[] | undefined;
  readonly resource?: string | undefined;
  readonly min_ttl_s?: number | undefined;
  readonly acr_values?: readonly string[] | undefined;
  readonly max_age_s?: number | undefined;
  readonly challenge?: string | undefined;
  readonly force?: boolean | undefined;
};

const DEFAULT_MIN_TTL_S = 60;

export function needOf(body: Wanted, profile: Pick<Profile, 'resource'>, nowMs: number): TokenNeed {
  const demand = demandOf(body);
  const named = body.scopes === undefined || body.scopes.length === 0 ? null : body.scopes;
  return {
    scopes: demand === null ? named : scopesOf(demand, named),
    resource: body.resource ?? profile.resource,
    minTtlMs: (body.min_ttl_s ?? DEFAULT_MIN_TTL_S) * 1000,
    acrValues: demand?.acrValues ?? body.acr_values ?? [],
    maxAgeS: demand?.maxAgeS ?? body.max_age_s ?? null,
    notBeforeMs: body.force === true ? nowMs : null,
    bounds: null,
  };
}
