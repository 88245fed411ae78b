/**
 * A token that meets a resource's challenge (RFC 9470): the daemon's, where it has one, else after a person has
 * signed in for it. At most two sign-ins an operation, however often the issuer or the resource are not content;
 * the daemon counts for itself what the issuer did not meet.
 */
import type { TokenReply } from '../shared/schemas.ts';
import { ValetkeyError } from './valetkey-error.ts';

export type StepUpParties = {
  ask(): Promise<TokenReply>;
  /** Resolves when a person has signed in. */
  signIn(): Promise<unknown>;
};

/** Sign-ins that one operation may still start; counted down. */
export type LoginBudget = { left: number };

export const loginBudget = (): LoginBudget => ({ left: 2 });

/** @param refused - a token that the resource has just refused; null: it is not known */
export async function stepUp({ ask, signIn }: StepUpParties, refused: string | null, budget: LoginBudget): Promise<TokenReply> {
  for (;;) {
    const asked = await ask().catch((error: unknown) => {
      if (error instanceof ValetkeyError && error.code === 'login_required') return error;
      throw error;
    });
    if (!(asked instanceof ValetkeyError) && asked.access_token !== refused) return asked;
    if (budget.left === 0) {
      throw asked instanceof ValetkeyError ? asked : ValetkeyError.local('stepup_unmet', 'the resource refuses the token of a sign-in that is what it asked for', { hint: 'Tell whoever runs the resource' });
    }
    budget.left -= 1;
    try {
      await signIn();
    } catch (error) {
      const isUnmet = error instanceof ValetkeyError && error.code === 'stepup_unmet';
      if (!isUnmet || budget.left === 0) throw error;
    }
  }
}
