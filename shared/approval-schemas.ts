/** The bodies of the questions that a person answers, and of the consents that were given. */
import * as v from 'valibot';
import { claimed, epoch, profileName, resource, scopes, seconds, text } from './schema-parts.ts';

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
  /** What the asker gets: the token, or only what an API answers to it. */
  use: v.picklist(['token', 'fetch']),
  rule: v.string(),
  /** The longest that a yes may hold; null: for this request alone. */
  may_hold_s: v.nullable(v.number()),
  /** A yes needs the approval PIN. */
  pin_needed: v.boolean(),
  asked_at: epoch,
  expires_at: epoch,
});
export type PendingApproval = v.InferOutput<typeof pendingView>;

/** Null: it ends with the daemon. */
const outlasts = v.nullable(v.picklist(['daemon', 'reboot']));

export const activeView = v.object({ id: v.string(), ...wish, caller: v.string(), binding, rule: v.string(), given_by: v.string(), expires_at: v.nullable(epoch), outlasts });
export type ActiveApproval = v.InferOutput<typeof activeView>;

const channelsView = v.object({
  /** Why the asking process may say yes to nothing; null: what it may say yes to is decided for each question. */
  terminal: v.nullable(v.string()),
  /** The program that asks at the desktop; null: none does. */
  dialog: v.nullable(v.string()),
  no_dialog_because: v.nullable(v.string()),
  notifications: v.boolean(),
  /** The approval PIN; unknown while the vault is not open. */
  pin: v.picklist(['set', 'not_set', 'unknown']),
});
export type ApprovalChannels = v.InferOutput<typeof channelsView>;

export const approvalsReply = v.object({ pending: v.array(pendingView), active: v.array(activeView), channels: channelsView });
export type ApprovalsReply = v.InferOutput<typeof approvalsReply>;

export const approvalAnswer = v.strictObject({
  allow: v.boolean(),
  /** Whom a yes is for: the program wherever it runs, in its terminal session (default), or this run of it. */
  binding: v.optional(binding),
  for_s: v.optional(seconds(31_536_000)),
  pin: v.optional(text(128)),
});
export type ApprovalAnswer = v.InferInput<typeof approvalAnswer>;

/** `outlasts` is null of a no as well, and of a yes to one request. */
export const approvalAnswered = v.object({ ok: v.literal(true), outlasts });
export type ApprovalAnswered = v.InferOutput<typeof approvalAnswered>;

export const revokedApprovals = v.object({ ok: v.literal(true), revoked: v.array(v.string()) });
export type RevokedApprovals = v.InferOutput<typeof revokedApprovals>;

/** `pin` null: remove it. `old` is the one before, where one is set. */
export const approvalPinRequest = v.strictObject({ pin: v.nullable(text(128)), old: v.optional(text(128)) });
export type ApprovalPinRequest = v.InferInput<typeof approvalPinRequest>;

/** A consent before anybody asks: of a program by its file as it is now. */
export const approvalGrant = v.strictObject({
  /** Absolute; links are followed. */
  executable: text(4096),
  /** Of an interpreter: its script, as an absolute path. */
  script: v.optional(text(4096)),
  profile: profileName,
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  for_s: v.optional(seconds(31_536_000)),
  pin: v.optional(text(128)),
});
export type ApprovalGrant = v.InferInput<typeof approvalGrant>;

/** Has a person asked, where policy wants that, and gives no token. */
export const approvalAsk = v.strictObject({
  profile: profileName,
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  /** Default: fetch. */
  use: v.optional(v.picklist(['fetch', 'token'])),
  wait_s: v.optional(seconds(300)),
  claimed: v.optional(claimed),
});
export type ApprovalAsk = v.InferInput<typeof approvalAsk>;
/** It is allowed now: by this rule, or since a person agreed. */
export const approvalAsked = v.object({ profile: v.string(), use: v.picklist(['fetch', 'token']), rule: v.string() });
export type ApprovalAsked = v.InferOutput<typeof approvalAsked>;
