/** Questions about policy. What they tell is made by the functions that decide, so that it cannot differ from them. */
import type * as v from 'valibot';
import type { CallerFacts, PolicyCheckReply, PolicyExplainReply, policyCheckRequest, policyExplainRequest } from '../../../shared/policy-schemas.ts';
import type { ProfileName } from '../../../shared/names.ts';
import type { Caller, Origin } from '../../core/domain.ts';
import { BrokerError } from '../../core/errors.ts';
import type { PolicyDocument } from '../../core/policy-rules.ts';
import { instantOf } from '../../core/time.ts';
import { compilePolicy, decideAloud, ruleText } from '../../policy/decide.ts';
import type { Decision, Policy } from '../../policy/decide.ts';
import { subjectFor } from '../../policy/facts.ts';
import type { PolicyRequest, Subject } from '../../policy/facts.ts';
import type { Look } from '../../policy/judge.ts';
import { NO_LIMITS } from '../../policy/strictness.ts';
import type { Limits } from '../../policy/strictness.ts';
import { withinLimits } from '../../tokens/bounds.ts';
import { refuseFlow } from '../../workloads/refusals.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';
import { momentOf } from './moment.ts';
import { pickProfile } from './pick-profile.ts';
import { groundOf, refuseUnrecordedOf, refuseWithout } from './privileged.ts';
import { builtInDenial, refusalOf } from './ruling.ts';
import { needOf } from './token-need.ts';
import { workloadRequestOf } from './workload-token.ts';

type Draft = NonNullable<v.InferOutput<typeof policyCheckRequest>['draft']>;

export async function checkPolicy({ policies: { files } }: Broker, ask: Ask): Promise<PolicyCheckReply> {
  const { draft, name } = ask.body as v.InferOutput<typeof policyCheckRequest>; // parsed by this method's schema
  if (draft !== undefined) return { files: [viewOf(files.parse(draft.text, name ?? 'the text', draft.source))] };
  const { admin, user } = await files.read();
  return { files: [admin, user].flatMap((document) => (document === null ? [] : [viewOf(document)])) };
}

function viewOf({ source, file, rules, lifts, digest }: PolicyDocument): PolicyCheckReply['files'][number] {
  return { source: source === 'admin' ? 'admin' : 'user', file: file ?? '', rules: rules.length, tiers: lifts.length, digest: digest ?? '' };
}

export async function explainPolicy(broker: Broker, ask: Ask): Promise<PolicyExplainReply> {
  const body = ask.body as v.InferOutput<typeof policyExplainRequest>; // parsed by this method's schema
  const workload = broker.config.current().workloads.get(body.profile);
  const policy = body.draft === undefined ? broker.policies.current() : drafted(broker, body.draft);
  const who = await whoOf(broker, policy, body.pid, body.caller, ask.caller);
  const over = { ...(body.use === undefined ? {} : { use: body.use }), ...(body.flow === undefined ? {} : { flow: body.flow }), ...(body.signed_in_s === undefined ? {} : { signedInS: body.signed_in_s }) };
  if (workload === undefined) {
    const profile = pickProfile(broker.config.current(), body.profile);
    const need = needOf({ scopes: body.scopes, resource: body.resource }, profile, 0);
    const ground = groundOf(broker, policy, who.subject, profile, need, instantOf(broker.clock), over);
    return explain(broker, policy, who, {
      name: profile.name, request: ground.request,
      before: () => refuseWithout(broker, ground, profile, need),
      limit: (limits) => void withinLimits(profile, ground.grant, need, limits),
    });
  }
  const need = needOf({ scopes: body.scopes, resource: body.resource }, workload, 0);
  return explain(broker, policy, who, {
    name: workload.name, request: { ...workloadRequestOf(workload, need), ...momentOf(broker, policy, who.subject, workload.name), ...over },
    before: ({ tier }) => refuseUnrecordedOf(broker, tier),
    limit: (limits) => refuseFlow(workload.name, withinLimits(workload, null, need, limits).bounds),
  });
}

type Who = { readonly subject: Subject; readonly label: string };

/** What is asked for, and what says no beside the rules. */
type Explained = {
  readonly name: ProfileName;
  readonly request: PolicyRequest;
  /** Where the rules do not say no. Throws. */
  readonly before: (decision: Decision) => void;
  /** Where they say yes. Throws. */
  readonly limit: (limits: Limits) => void;
};

function explain(broker: Broker, policy: Policy, { subject, label }: Who, { name, request, before, limit }: Explained): PolicyExplainReply {
  const looks: Look[] = [];
  const denied = builtInDenial(broker, subject);
  const decision = denied ?? decideAloud(policy, subject, request, looks);
  // In the order in which a request meets them.
  const refusal = (decision.kind === 'deny' ? null : boundaryRefusal(() => before(decision))) ?? refusalOf(decision, name) ?? boundaryRefusal(() => {
    if (decision.kind === 'allow') limit(decision.limits);
  });
  return {
    caller: label,
    decision: decision.kind,
    ask: decision.kind === 'confirm' ? (decision.ask.kind === 'for' ? `for:${decision.ask.seconds}s` : decision.ask.kind) : null,
    outcome: refusal === null ? 'allow' : refusal.code,
    detail: refusal === null ? null : refusal.message,
    rule: ruleText(decision.by),
    reason: decision.reason,
    tier: decision.tier,
    ...limitsView(decision),
    looked_at: looks.map(({ rule: name, source, outcome, why }) => ({ rule: ruleText({ rule: name, source }), outcome, why })),
  };
}

function boundaryRefusal(check: () => void): BrokerError | null {
  try {
    check();
    return null;
  } catch (cause) {
    if (cause instanceof BrokerError) return cause;
    throw cause;
  }
}

function limitsView(decision: Decision): Pick<PolicyExplainReply, 'scopes' | 'resources' | 'max_token_life_s' | 'max_remaining_s' | 'max_age_s' | 'flows' | 'acr' | 'amr' | 'max_session_s' | 'max_idle_s'> {
  const limits = decision.kind === 'deny' ? NO_LIMITS : decision.limits;
  return {
    scopes: limits.scopes.map(({ patterns }) => [...patterns]), resources: limits.resources.map(({ patterns }) => [...patterns]),
    max_token_life_s: limits.maxTokenLifeS, max_remaining_s: limits.maxRemainingS, max_age_s: limits.maxAgeS,
    flows: limits.flows === null ? null : [...limits.flows], acr: limits.acr === null ? null : [...limits.acr],
    amr: limits.amr.map((list) => [...list]), max_session_s: limits.maxSessionS, max_idle_s: limits.maxIdleS,
  };
}

/** The policy as it would be with this text in the place of that file. */
function drafted({ policies }: Broker, { source, text }: Draft): Policy {
  const documents = policies.inForce()?.documents ?? { admin: null, user: null };
  return compilePolicy({ ...documents, [source]: policies.files.parse(text, 'the text', source) });
}

async function whoOf(broker: Broker, policy: Policy, pid: number | undefined, facts: CallerFacts | undefined, asker: Caller): Promise<Who> {
  if (facts !== undefined) return { subject: { uid: broker.uid, terminal: facts.terminal === false ? null : { device: 0, foreground: true }, origin: originFrom(facts) }, label: facts.executable ?? 'a program that is not named' };
  if (pid === undefined) return { subject: await subjectFor(policy, asker, broker.callers), label: asker.label };
  const caller = await broker.callers.attest({ uid: broker.uid, pid }, null);
  if (caller === null) throw new BrokerError('bad_request', `there is no process ${pid} of this user`);
  return { subject: await subjectFor(policy, caller, broker.callers), label: caller.label };
}

/** What is not said is as of a program that a person started; an executable that is not said is not known. */
function originFrom(facts: CallerFacts): Origin {
  return {
    class: facts.class ?? 'human',
    agent: facts.agent ?? null,
    agentProcess: null,
    run: null,
    program: { executable: facts.executable ?? null, script: facts.script ?? null },
    digest: facts.digest ?? null,
    lineage: (facts.ancestors ?? []).map((each, i) => ({
      pid: i + 1, startTime: '0', name: each.slice(each.lastIndexOf('/') + 1).slice(0, 15), executable: each.includes('/') ? each : null, script: null,
    })),
    sessionLeader: null,
    isOrphan: facts.orphan ?? false,
    unit: facts.unit ?? null,
    container: facts.container ?? false,
    remote: facts.remote ?? false,
    forwarded: facts.forwarded ?? false,
  };
}
