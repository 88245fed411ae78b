/**
 * POST /v1/approvals/ask: has a person asked, as a request for the token would, and gives no token away: for a program that
 * wants to know before its work whether it may do it.
 */
import type * as v from 'valibot';
import type { approvalAsk } from '../../../shared/approval-schemas.ts';
import type { ApprovalAsked } from '../../../shared/approval-schemas.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { token, Used } from './token.ts';

export async function askApproval(broker: Broker, ask: Ask): Promise<ApprovalAsked> {
  const { use = 'fetch', ...wish } = ask.body as v.InferOutput<typeof approvalAsk>; // parsed by this method's schema
  // Nothing is used, so nothing but the person's word is on record.
  const used = await token(broker, ask.forToken({ ...wish, interaction: 'never' }, { as: use, note: async () => undefined }));
  if (!(used instanceof Used)) throw new Error('a token was to stay here');
  return { profile: wish.profile, use, rule: used.rule.name };
}
