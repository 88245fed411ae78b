/** The two questions that people ask of each profile, and the words of them for a shell prompt. */
import * as v from 'valibot';
import { epoch, profileName } from './schema-parts.ts';

/** Of one profile: whether somebody is signed in, and until when. */
export const standingView = v.object({
  profile: v.string(),
  /** `unknown`: the vault is closed, or everything is locked. */
  state: v.picklist(['signed_in', 'login_required', 'unknown']),
  reason: v.nullable(v.string()),
  /** When a person has to sign in again, whatever is refreshed; null: nobody says. */
  session_ends_at: v.nullable(epoch),
  /** The same, unless the sign-in is used before. */
  idle_ends_at: v.nullable(epoch),
  /** Of the token that lives longest; it is renewed by itself. */
  token_ends_at: v.nullable(epoch),
});
export type StandingView = v.InferOutput<typeof standingView>;

// ---- POST /v1/prompt
export const promptRequest = v.strictObject({ profile: v.optional(profileName) });
/** `text` holds letters, digits and `._-:+ ` only. `nothing`: there is no profile. */
export const promptReply = v.object({ text: v.string(), state: v.picklist(['signed_in', 'login_required', 'locked', 'nothing']) });
export type PromptReply = v.InferOutput<typeof promptReply>;
