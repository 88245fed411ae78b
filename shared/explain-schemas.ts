/** POST /v1/logins/explain: which sign-in it would be, and what would change it. Nothing is started or asked of an issuer. */
import * as v from 'valibot';
import { loginRequest } from './schemas.ts';

export const loginQuestion = v.omit(loginRequest, ['consent', 'claimed', 'newer_than']);
export type LoginQuestion = v.InferInput<typeof loginQuestion>;

const outcome = v.picklist(['pkce_loopback', 'pkce_ssh_forward', 'device', 'forward_broker', 'refuse']);
const choice = {
  outcome,
  rule: v.string(),
  reason: v.string(),
  /** Seconds in which a browser has to follow the link for it to be so; null: it is so at once. */
  waits_s: v.nullable(v.number()),
};

export const loginExplanation = v.object({
  profile: v.string(),
  issuer: v.string(),
  caller: v.string(),
  ...choice,
  failed_probes: v.array(v.string()),
  /** The next step where it is refused. */
  hint: v.nullable(v.string()),
  policy_rule: v.nullable(v.string()),
  /** Everything that the chooser looked at, as in the record of a decision. */
  input: v.record(v.string(), v.unknown()),
  /** One thing of the input changed, and what would be chosen then. */
  changes: v.array(v.object({ field: v.string(), to: v.unknown(), ...choice })),
});
export type LoginExplanation = v.InferOutput<typeof loginExplanation>;
