/**
 * What becomes of a decision to ask a person while there is no way to ask one. Interim: as soon as an approval
 * channel says that it is there, nothing here changes a decision any more.
 *
 * Without a channel the answer is no, and it says how. One exception, so that an update locks nobody out of
 * what worked before: where only the rules that ship ask, the tier is low or normal, and no admin's file governs
 * this machine, the token is given and the record says that nobody was asked.
 */
import type { Approvals } from '../core/ports.ts';
import { tierRank } from './conditions.ts';
import type { Decision, Policy } from './decide.ts';

export type Ruling =
  | { readonly kind: 'allow'; readonly decision: Decision & { readonly kind: 'allow' | 'confirm' }; readonly isUnasked: boolean }
  | { readonly kind: 'ask'; readonly decision: Decision & { readonly kind: 'confirm' } }
  | { readonly kind: 'no_channel'; readonly decision: Decision & { readonly kind: 'confirm' } }
  | { readonly kind: 'deny'; readonly decision: Decision & { readonly kind: 'deny' } };

export function rule(policy: Policy, decision: Decision, approvals: Approvals): Ruling {
  switch (decision.kind) {
    case 'allow': return { kind: 'allow', decision, isUnasked: false };
    case 'deny': return { kind: 'deny', decision };
    case 'confirm':
      if (approvals.isAvailable) return { kind: 'ask', decision };
      return decision.isShippedOnly && policy.documents.admin === null && tierRank(decision.tier) <= tierRank('normal')
        ? { kind: 'allow', decision, isUnasked: true }
        : { kind: 'no_channel', decision };
  }
}
