/**
 * May this caller have what it asks for? Pure and total; an unknown case is a deny. Every answer names the
 * rule that gave it. The kernel told the caller's uid; nothing that a client says of itself is looked at.
 */
import type { Caller } from '../core/domain.ts';

export type DecisionRequest = {
  /** The user's own lock (`valetkey lock`). */
  readonly locked: boolean;
  readonly ownerUid: number;
};

export type Decision =
  | { readonly kind: 'allow'; readonly rule: string }
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string };

export function decide(request: DecisionRequest, caller: Caller): Decision {
  if (caller.uid !== request.ownerUid) {
    return { kind: 'deny', rule: 'same-user', reason: 'the caller is another user' };
  }
  if (request.locked) {
    return { kind: 'deny', rule: 'user-lock', reason: 'the user locked the broker' };
  }
  return { kind: 'allow', rule: 'same-user' };
}
