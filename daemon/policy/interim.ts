/**
 * What becomes of a decision to ask a person: they are asked. Interim, so that an update locks out no script that
 * worked before: where only the last of the rules that ship asks, which is of what runs outside of a login session, the
 * tier is low or normal, and no admin's file governs this machine, the token is given and the record says that nobody was asked.
 */
import { tierRank } from './conditions.ts';
import type { Decision, Policy } from './decide.ts';

/** The rule of shipped.ts that fits everything. */
const LAST_SHIPPED = 'asked-once';

export type Ruling =
  | { readonly kind: 'allow'; readonly decision: Decision & { readonly kind: 'allow' | 'confirm' }; readonly isUnasked: boolean }
  | { readonly kind: 'ask'; readonly decision: Decision & { readonly kind: 'confirm' } }
  | { readonly kind: 'deny'; readonly decision: Decision & { readonly kind: 'deny' } };

export function rule(policy: Policy, decision: Decision): Ruling {
  switch (decision.kind) {
    case 'allow': return { kind: 'allow', decision, isUnasked: false };
    case 'deny': return { kind: 'deny', decision };
    case 'confirm':
      return decision.isShippedOnly && decision.by.rule === LAST_SHIPPED && policy.documents.admin === null && tierRank(decision.tier) <= tierRank('normal')
        ? { kind: 'allow', decision, isUnasked: true }
        : { kind: 'ask', decision };
  }
}
