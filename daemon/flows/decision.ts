/**
 * The decision of one login, and its one record (FC-13). Most stand as soon as their facts are in. One that waits
 * for a browser to fetch /start stands when that comes, or does not: the record is written then, before the
 * browser is told of the issuer, and holds the input from which the pure chooser comes to the same outcome.
 */
import { BUILD_VERSION } from '../../shared/version.ts';
import type { Caller, Profile } from '../core/domain.ts';
import type { Audit, Random } from '../core/ports.ts';
import { chooseFlow, safetyRank } from '../policy/chooser.ts';
import type { Choice, ChooserInput } from '../policy/chooser.ts';
import type { Policy } from '../policy/decide.ts';
import type { LoginAsk } from './login-ask.ts';

export type DecisionDeps = { readonly audit: Audit; readonly random: Random; readonly machine: string };

/** What is recorded beside the input. */
export type Asked = {
  readonly profile: Profile;
  readonly caller: Caller;
  readonly ask: LoginAsk;
  readonly policy: Policy | null;
  /** The rule of policy that decided; null: there is no policy to decide by. */
  readonly rule: string | null;
  /** As the issuer named it at the last sign-in; null: it named none, or there was none. */
  readonly tenant: string | null;
  /** What is on record already of the same sign-in, whose browser did not come; null: nothing. */
  readonly before: Choice | null;
};

export class Decision {
  readonly #deps: DecisionDeps;
  readonly #asked: Asked;
  #input: ChooserInput;
  #made: Promise<Choice> | null = null;

  constructor(deps: DecisionDeps, asked: Asked, input: ChooserInput) {
    this.#deps = deps;
    this.#asked = asked;
    this.#input = input;
  }

  get input(): ChooserInput {
    return this.#input;
  }

  /** As far as the facts are known. */
  get choice(): Choice {
    return chooseFlow(this.#input);
  }

  /** Facts that came in later; once it stands they change nothing. */
  learn(more: (input: ChooserInput) => ChooserInput): Choice {
    if (this.#made === null) this.#input = more(this.#input);
    return this.choice;
  }

  /** Writes the record, once; who comes later gets what was decided. */
  stand(): Promise<Choice> {
    this.#made ??= this.#write(this.choice);
    return this.#made;
  }

  /** As stand(), with what the browser did: whoever is first decides. */
  standOn(startHit: boolean): Promise<Choice> {
    this.learn((input) => ({ ...input, probes: { ...input.probes, startHit } }));
    return this.stand();
  }

  async #write(choice: Choice): Promise<Choice> {
    const { audit, random, machine } = this.#deps;
    const { profile, caller, ask, policy, rule, tenant, before } = this.#asked;
    if (before !== null && before.rule === choice.rule && before.reason === choice.reason) return choice;
    const input = this.#input;
    await audit.append({
      event: 'login_decided', profile: profile.name, caller, request: null,
      facts: {
        decision_id: random.token(16), outcome: choice.outcome, reason: choice.reason, rule: choice.rule, rank: safetyRank(choice.outcome),
        failed_probes: choice.failedProbes, preference: input.preference, risk: input.risk,
        issuer: profile.issuer, tenant, client_id: profile.clientId, scopes: ask.scopes ?? profile.scopes, resource: profile.resource,
        acr_values: ask.stepUp.acrValues, max_age_s: ask.stepUp.maxAgeS,
        policy: policyVersions(policy), policy_rule: rule, policy_override: choice.reason === 'device_admin_override',
        machine, input,
      },
    });
    return choice;
  }
}

/** Of each file in force its digest; the rules that ship are those of the build. */
function policyVersions(policy: Policy | null): { readonly admin: string | null; readonly user: string | null; readonly shipped: string } | null {
  if (policy === null) return null;
  const { admin, user } = policy.documents;
  return { admin: admin?.digest ?? null, user: user?.digest ?? null, shipped: BUILD_VERSION };
}

export function isPkce({ outcome }: Choice): boolean {
  return outcome === 'pkce_loopback' || outcome === 'pkce_ssh_forward';
}
