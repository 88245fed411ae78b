/** Policy for tests: documents and requests by hand, and generators of all of it for properties. */
import fc from 'fast-check';
import type { Ancestor, FlowKind } from '../../daemon/core/domain.ts';
import { NO_ASSURANCE, NO_CEILING, NO_CONDITIONS, NO_DEMAND, TIERS, USES } from '../../daemon/core/policy-rules.ts';
import type { Ceiling, Lift, PolicyDocument, PolicySource, Rule, Verdict, When } from '../../daemon/core/policy-rules.ts';
import type { PolicyRequest, Subject } from '../../daemon/policy/facts.ts';
import { someOrigin } from './builders.ts';

export function someRule(over: Partial<Omit<Rule, 'when' | 'ceiling'>> & { readonly when?: Partial<When>; readonly ceiling?: Partial<Ceiling> } = {}): Rule {
  const { when = {}, ceiling = {}, ...rest } = over;
  return { name: 'a-rule', verdict: { kind: 'allow' }, reason: null, ...rest, when: { ...NO_CONDITIONS, ...when }, ceiling: { ...NO_CEILING, ...ceiling } };
}

export function someDocument(source: PolicySource, rules: readonly Rule[], lifts: readonly Lift[] = []): PolicyDocument {
  return { source, file: `/${source}/policy.toml`, digest: 'd'.repeat(64), rules, lifts, device: { issuers: null, sameDevice: false }, session: NO_DEMAND, assurance: NO_ASSURANCE };
}

export function someSubject(over: Partial<Subject['origin']> = {}): Subject {
  return { uid: 1000, terminal: { device: 34816, foreground: true }, origin: someOrigin(over) };
}

export function someRequest(over: Partial<PolicyRequest> = {}): PolicyRequest {
  return { profile: 'work', issuer: 'https://issuer.example', tenant: null, resource: null, scopes: ['openid', 'api'], flow: 'authorization_code', use: 'token', signedInS: 60, found: [], screenLocked: null, tier: 'normal', isSignIn: false, ...over };
}

// Few values, so that rules and requests meet.
const EXECUTABLES = ['/usr/bin/git', '/usr/bin/node', '/opt/x/bin/agent'];
const SCRIPTS = ['/home/u/a.py', '/opt/x/cli.js'];
const DIGESTS = ['ab'.repeat(32), 'cd'.repeat(32)];
const NAMES = ['bash', 'claude', 'sshd'];
const SCOPES = ['openid', 'api:read', 'api:write', 'admin:all'];
const FLOWS: readonly FlowKind[] = ['authorization_code', 'device_code'];
const ISSUERS = ['https://issuer.example', 'https://other.example/t1'];
const RESOURCES = ['https://api.example', 'https://admin.example/v1'];

const nullable = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 2, nil: null });
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { freq: 1, nil: null }).chain((value) => fc.boolean().map((kept) => (kept ? value : null)));
const someOf = (values: readonly string[]): fc.Arbitrary<readonly string[]> => fc.array(fc.constantFrom(...values, '*', '**', ...values.map((value) => `${value.slice(0, 4)}*`)), { minLength: 1, maxLength: 2 });

const ancestor: fc.Arbitrary<Ancestor> = fc.record({
  pid: fc.constant(7), startTime: fc.constant('1'), name: fc.constantFrom(...NAMES), executable: nullable(fc.constantFrom(...EXECUTABLES)), script: nullable(fc.constantFrom(...SCRIPTS)),
});

export const subjects: fc.Arbitrary<Subject> = fc.record({
  uid: fc.constant(1000),
  terminal: nullable(fc.constant({ device: 1, foreground: true })),
  origin: fc.record({
    class: fc.constantFrom('human', 'agent', 'workload'),
    agent: nullable(fc.constantFrom('claude', 'codex')),
    program: fc.record({ executable: nullable(fc.constantFrom(...EXECUTABLES)), script: nullable(fc.constantFrom(...SCRIPTS)) }),
    run: fc.constant(null),
    digest: nullable(fc.constantFrom(...DIGESTS)),
    lineage: fc.array(ancestor, { maxLength: 2 }),
    agentProcess: fc.constant(null), sessionLeader: fc.constant(null),
    isOrphan: fc.boolean(),
    unit: nullable(fc.constantFrom('a.service', 'session-1.scope')),
    container: fc.boolean(), remote: fc.boolean(), forwarded: fc.boolean(),
  }),
});

export const requests: fc.Arbitrary<PolicyRequest> = fc.record({
  profile: fc.constantFrom('work', 'prod'), issuer: fc.constantFrom(...ISSUERS), tenant: nullable(fc.constantFrom('t1', 't2')), resource: nullable(fc.constantFrom(...RESOURCES)),
  scopes: fc.subarray([...SCOPES]), flow: nullable(fc.constantFrom(...FLOWS)), use: fc.constantFrom(...USES), signedInS: nullable(fc.constantFrom(10, 1_000, 100_000)), found: fc.subarray(['new_digest', 'unusual_caller'] as const), screenLocked: nullable(fc.boolean()), tier: fc.constantFrom(...TIERS), isSignIn: fc.constant(false),
});

export const verdicts: fc.Arbitrary<Verdict> = fc.oneof(
  fc.constant<Verdict>({ kind: 'allow' }), fc.constant<Verdict>({ kind: 'deny' }), fc.constant<Verdict>({ kind: 'confirm', ask: { kind: 'once' } }),
  fc.constant<Verdict>({ kind: 'confirm', ask: { kind: 'each' } }), fc.integer({ min: 1, max: 2_592_000 }).map((seconds): Verdict => ({ kind: 'confirm', ask: { kind: 'for', seconds } })),
);

/** @param lifting - `tier` is no condition of what gives the tier */
const whens = (lifting: boolean): fc.Arbitrary<When> => fc.record({
  executable: someOf(EXECUTABLES), script: someOf(SCRIPTS), digest: fc.subarray([...DIGESTS], { minLength: 1 }), ancestor: someOf([...NAMES, ...EXECUTABLES]),
  unit: someOf(['a.service']), terminal: fc.boolean(), container: fc.boolean(), forwarded: fc.boolean(), remote: fc.boolean(), orphan: fc.boolean(),
  class: fc.subarray(['human', 'agent', 'workload'] as const, { minLength: 1 }), agent: someOf(['claude', 'codex']), profile: someOf(['work', 'prod']),
  issuer: someOf(ISSUERS), tenant: someOf(['t1', 't2']), resource: someOf(RESOURCES),
  scopes: fc.record({ any: rarely(someOf(SCOPES)), all: rarely(someOf(SCOPES)), none: rarely(someOf(SCOPES)) }),
  flow: fc.subarray([...FLOWS], { minLength: 1 }), use: fc.subarray([...USES], { minLength: 1 }), signedInOverS: fc.constantFrom(5, 5_000), signedInUnderS: fc.constantFrom(5, 5_000), found: fc.subarray(['new_digest', 'unusual_caller'] as const, { minLength: 1 }), screenLocked: fc.boolean(),
  tier: lifting ? fc.constant(null) : fc.constantFrom(...TIERS),
}).chain((when) => fc.subarray(Object.keys(when) as (keyof When)[], { maxLength: 2 }).map((kept) => ({ ...NO_CONDITIONS, ...Object.fromEntries(kept.map((key) => [key, when[key]])) })));

const ceilings: fc.Arbitrary<Ceiling> = fc.record({
  scopes: rarely(someOf(SCOPES)), resources: rarely(someOf(RESOURCES)), maxRemainingS: rarely(fc.constantFrom(60, 600)), maxTokenLifeS: rarely(fc.constantFrom(60, 600)),
  flows: rarely(fc.subarray([...FLOWS], { minLength: 1 })), acr: rarely(fc.subarray(['a', 'b'], { minLength: 1 })), amr: rarely(fc.subarray(['otp', 'hwk'], { minLength: 1 })), phishingResistant: fc.boolean(), maxAgeS: rarely(fc.constantFrom(60, 600)),
  maxSessionS: rarely(fc.constantFrom(60, 600)), maxIdleS: rarely(fc.constantFrom(60, 600)), managedDevice: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

export function documents(source: PolicySource): fc.Arbitrary<PolicyDocument> {
  const rules = fc.array(fc.record({ when: whens(false), verdict: verdicts, ceiling: ceilings }), { maxLength: 5 });
  const lifts = fc.array(fc.record({ when: whens(true), tier: fc.constantFrom(...TIERS) }), { maxLength: 2 });
  return fc.tuple(rules, lifts).map(([some, lifted]) => someDocument(
    source, some.map((rule, i) => ({ ...rule, name: `r${i}`, reason: null })), lifted.map((lift, i) => ({ ...lift, name: `l${i}` })),
  ));
}
