import type { Profile } from '../core/domain.ts';
import type { ClientAt, StepUp, TokenSet, Want } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import type { Answer } from './exchange.ts';
import { AnswerRefused } from './failures.ts';
import type { IdTokens } from './id-token.ts';
import { receivedTokens } from './token-set.ts';

export type SignInTerms = {
  readonly client: ClientAt;
  readonly profile: Profile;
  readonly want: Want;
  /** Null where the flow sends none (RFC 8628). */
  readonly nonce: Secret | null;
  readonly stepUp: StepUp;
};

/** The tokens of a sign-in whose every part holds. Throws AnswerRefused, KeysUnavailable; what came is to be revoked then. */
export async function acceptSignIn(idTokens: IdTokens, answer: Answer | null, { client, profile, want, nonce, stepUp }: SignInTerms): Promise<TokenSet> {
  const set = receivedTokens(answer, profile, want);
  if (set === null || set.withheld !== null) throw new AnswerRefused('issuer_response_invalid', set?.withheld ?? 'the answer holds no token');
  const isOpenId = want.scopes.some((scope) => scope === 'openid');
  const identity = await idTokens.atSignIn(client, answer?.idToken ?? null, set.accessToken, isOpenId ? nonce : null, isOpenId, stepUp);
  return { ...set, identity };
}
