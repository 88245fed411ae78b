/** POST /v1/logins/explain: made by the functions that choose, so that it cannot differ from what would be done. */
import type * as v from 'valibot';
import type { LoginExplanation, loginQuestion } from '../../../shared/explain-schemas.ts';
import { remedyOf } from '../../policy/chooser.ts';
import type { Choice } from '../../policy/chooser.ts';
import { whatIf } from '../../policy/what-if.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { loginAskOf } from './logins.ts';

export async function explainLogin(broker: Broker, ask: Ask): Promise<LoginExplanation> {
  const wish = loginAskOf(broker, ask.body as v.InferOutput<typeof loginQuestion>); // parsed by this method's schema
  const { input, choice, rule } = await broker.logins.consider(wish, ask.caller);
  return {
    profile: wish.profile.name,
    issuer: wish.profile.issuer,
    caller: ask.caller.label,
    ...choiceView(choice),
    failed_probes: [...choice.failedProbes],
    hint: choice.outcome === 'refuse' || choice.outcome === 'forward_broker' ? remedyOf(choice.reason).replaceAll('PROFILE', wish.profile.name) : null,
    policy_rule: rule,
    input: { ...input },
    changes: whatIf(input).map(({ field, to, choice: other }) => ({ field, to, ...choiceView(other) })),
  };
}

function choiceView({ outcome, rule, reason, proofS }: Choice): Pick<LoginExplanation, 'outcome' | 'rule' | 'reason' | 'waits_s'> {
  return { outcome, rule, reason, waits_s: proofS };
}
