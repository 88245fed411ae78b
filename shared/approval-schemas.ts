/** The bodies of the questions that a person answers, and of the consents that were given. */
import * as v from 'valibot';
import { epoch, seconds } from './schema-parts.ts';

const binding = v.picklist(['program', 'session', 'run']);
const wish = { profile: v.string(), resource: v.nullable(v.string()), scopes: v.nullable(v.array(v.string())) };

const pendingView = v.object({
  id: v.string(),
  ...wish,
  /** The asking program, from verified facts, and what stands above it, the nearest first. */
  caller: v.string(),
  executable: v.nullable(v.string()),
  script: v.nullable(v.string()),
  agent: v.nullable(v.string()),
  lineage: v.array(v.string()),
  /** What the asker says of itself: a claim. */
  claimed: v.nullable(v.object({ name: v.nullable(v.string()), reason: v.nullable(v.string()) })),
  rule: v.string(),
  /** The longest that a yes may hold; null: for this request alone. */
  may_hold_s: v.nullable(v.number()),
  asked_at: epoch,
  expires_at: epoch,
});
export type PendingApproval = v.InferOutput<typeof pendingView>;

const activeView = v.object({ id: v.string(), ...wish, caller: v.string(), binding, rule: v.string(), given_by: v.string(), expires_at: v.nullable(epoch) });
export type ActiveApproval = v.InferOutput<typeof activeView>;

export const approvalsReply = v.object({ pending: v.array(pendingView), active: v.array(activeView) });
export type ApprovalsReply = v.InferOutput<typeof approvalsReply>;

export const approvalAnswer = v.strictObject({
  allow: v.boolean(),
  /** Whom a yes is for: the program wherever it runs, in its terminal session (default), or this run of it. */
  binding: v.optional(binding),
  for_s: v.optional(seconds(31_536_000)),
});
export type ApprovalAnswer = v.InferInput<typeof approvalAnswer>;
