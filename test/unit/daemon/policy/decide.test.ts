import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TIERS } from '../../../../daemon/core/policy-rules.ts';
import type { Verdict } from '../../../../daemon/core/policy-rules.ts';
import { hasMethods } from '../../../../daemon/core/grant.ts';
import { compilePolicy, decide, decideAloud } from '../../../../daemon/policy/decide.ts';
import type { Decision } from '../../../../daemon/policy/decide.ts';
import type { PolicyRequest, Subject } from '../../../../daemon/policy/facts.ts';
import type { Look } from '../../../../daemon/policy/judge.ts';
import { bothLimits, NO_LIMITS, resourceHolds, scopeHolds, strictnessOf } from '../../../../daemon/policy/strictness.ts';
import type { Limits } from '../../../../daemon/policy/strictness.ts';
import { documents, requests, someDocument, someRequest, someRule, someSubject, subjects, verdicts } from '../../../support/policies.ts';

const NONE = { admin: null, user: null };
const SCOPES = ['openid', 'api:read', 'api:write', 'admin:all', 'x'];
const METHODS = [[], ['otp'], ['hwk'], ['otp', 'hwk'], ['foo']];
const holdsMethods = (amr: readonly string[], limits: Limits): boolean => hasMethods({ acr: null, authTime: null, amr }, limits.amr);
const RESOURCES = [null, 'https://api.example', 'https://admin.example/v1'];

const strictnessOfDecision = (decision: Decision): number => strictnessOf(decision.kind === 'confirm' ? { kind: 'confirm', ask: decision.ask } : { kind: decision.kind });
const limitsOfDecision = (decision: Decision): Limits => (decision.kind === 'deny' ? NO_LIMITS : decision.limits);

const atMost = (a: number | null, b: number | null): boolean => b === null || (a !== null && a <= b);
const within = <T>(a: readonly T[] | null, b: readonly T[] | null): boolean => b === null || (a !== null && a.every((each) => b.includes(each)));

/** Whether everything that `a` lets through `b` lets through as well. */
function isWithin(a: Limits, b: Limits): boolean {
  return SCOPES.every((scope) => !scopeHolds(a, scope) || scopeHolds(b, scope)) && RESOURCES.every((resource) => !resourceHolds(a, resource) || resourceHolds(b, resource))
    && atMost(a.maxRemainingS, b.maxRemainingS) && atMost(a.maxTokenLifeS, b.maxTokenLifeS) && atMost(a.maxAgeS, b.maxAgeS) && within(a.flows, b.flows) && within(a.acr, b.acr)
    && atMost(a.maxSessionS, b.maxSessionS) && atMost(a.maxIdleS, b.maxIdleS) && METHODS.every((amr) => !holdsMethods(amr, a) || holdsMethods(amr, b));
}

const isAsStrict = (a: Decision, b: Decision): boolean => strictnessOfDecision(a) >= strictnessOfDecision(b) && (a.kind === 'deny' || isWithin(limitsOfDecision(a), limitsOfDecision(b)));

/** All that the facts that are not known could be. */
const known = (subject: Subject, request: PolicyRequest): readonly (readonly [Subject, PolicyRequest])[] => {
  const { origin } = subject;
  const ancestors = origin.isOrphan ? [[], [{ pid: 9, startTime: '1', name: 'claude', executable: '/opt/x/bin/agent', script: null }]] : [[]];
  const executables = origin.program.executable === null ? ['/usr/bin/git', '/opt/x/bin/agent', '/else'] : [origin.program.executable];
  const digests = origin.digest === null ? ['ab'.repeat(32), 'ef'.repeat(32)] : [origin.digest];
  const tenants = request.tenant === null ? ['t1', 'else'] : [request.tenant];
  const flows = request.flow === null ? ['authorization_code', 'device_code'] as const : [request.flow];
  const ages = request.signedInS === null ? [1, 1_000, 1_000_000] : [request.signedInS];
  return ancestors.flatMap((more) => executables.flatMap((executable) => digests.flatMap((digest) => tenants.flatMap((tenant) => flows.flatMap((flow) => ages.map((signedInS) => [
    { ...subject, origin: { ...origin, isOrphan: origin.isOrphan, lineage: [...origin.lineage, ...more], digest, program: { ...origin.program, executable } } },
    { ...request, tenant, flow, signedInS },
  ] as const))))));
};

describe('decide', () => {
  it('is total: whatever the facts and the rules, it answers, and names a rule that there is', () => {
    fc.assert(fc.property(documents('admin'), documents('user'), subjects, requests, fc.boolean(), fc.boolean(), (admin, user, subject, request, hasAdmin, hasUser) => {
      const policy = compilePolicy({ admin: hasAdmin ? admin : null, user: hasUser ? user : null });
      const { by } = decide(policy, subject, request);
      const there = by.source === 'shipped' ? policy.shipped.map(({ hit }) => hit.rule) : (by.source === 'admin' ? admin : user).rules.map(({ name }) => name);
      expect(there).toContain(by.rule);
    }), { numRuns: 500 });
  });

  it('[FC-09] never gives more with rules of the user than without, whatever both files say', () => {
    fc.assert(fc.property(documents('admin'), documents('user'), subjects, requests, fc.boolean(), (admin, user, subject, request, hasAdmin) => {
      const base = { admin: hasAdmin ? admin : null, user: null };
      const without = compilePolicy(base);
      const withUser = compilePolicy({ ...base, user });
      const [before, after] = [decide(without, subject, request), decide(withUser, subject, request)];
      expect(isAsStrict(after, before)).toBe(true);
    }), { numRuns: 5_000 });
  });

  it('[GV-01] gives for what is not known no more than for anything that it could be', () => {
    fc.assert(fc.property(documents('admin'), documents('user'), subjects, requests, (admin, user, subject, request) => {
      const policy = compilePolicy({ admin, user });
      const unknown = decide(policy, subject, request);
      expect(known(subject, request).every(([who, what]) => isAsStrict(unknown, decide(policy, who, what)))).toBe(true);
    }), { numRuns: 4_000 });
  });

  it('explains what it does, since both are one function', () => {
    fc.assert(fc.property(documents('admin'), documents('user'), subjects, requests, (admin, user, subject, request) => {
      const policy = compilePolicy({ admin, user });
      const looks: Look[] = [];
      const told = decideAloud(policy, subject, request, looks);
      const done = decide(policy, subject, request);
      expect({ ...told, limits: null }).toEqual({ ...done, limits: null });
      const plain = (text: Limits): string => JSON.stringify(text);
      expect(plain(limitsOfDecision(told))).toBe(plain(limitsOfDecision(done)));
      expect(looks.filter(({ outcome }) => outcome !== 'fits').every(({ why }) => why !== '')).toBe(true);
    }), { numRuns: 10_000 });
  });

  it('takes a script behind `..`, which may lead through a link, for none that a rule names', () => {
    const devious = '/tmp/link/../tools/deploy.py';
    const asking = { program: { executable: '/usr/bin/python3', script: devious } };
    const below = { lineage: [{ pid: 9, startTime: '1', name: 'python3', executable: '/usr/bin/python3', script: devious }] };
    for (const pattern of ['/tmp/tools/deploy.py', devious, '/tmp/**', '**']) {
      const kinds = (['allow', 'deny'] as const).map((kind) => {
        const rules = [someRule({ verdict: { kind }, when: { script: [pattern] } }), someRule({ name: 'rest', verdict: { kind: kind === 'allow' ? 'deny' : 'allow' } })];
        return decide(compilePolicy({ admin: someDocument('admin', rules), user: null }), someSubject(asking), someRequest()).kind;
      });
      expect(kinds).toEqual(['deny', 'deny']);
      const above = someRule({ verdict: { kind: 'allow' }, when: { ancestor: [pattern.includes('/') ? pattern : '/**'] } });
      expect(decide(compilePolicy({ admin: someDocument('admin', [above, someRule({ name: 'rest', verdict: { kind: 'deny' } })]), user: null }), someSubject({ ...below, lineage: below.lineage.map((each) => ({ ...each, executable: null })) }), someRequest()).kind).toBe('deny');
    }
  });

  it('orders verdicts totally: deny, each time, for a time, once, allow', () => {
    const each = (seconds: number): Verdict => ({ kind: 'confirm', ask: { kind: 'for', seconds } });
    const order: readonly Verdict[] = [{ kind: 'allow' }, { kind: 'confirm', ask: { kind: 'once' } }, each(2_592_000), each(3_600), each(1), { kind: 'confirm', ask: { kind: 'each' } }, { kind: 'deny' }];
    expect(order.map(strictnessOf)).toEqual(order.map(strictnessOf).toSorted((a, b) => a - b));
    fc.assert(fc.property(verdicts, verdicts, (a, b) => {
      expect(strictnessOf(a) === strictnessOf(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
    }), { numRuns: 500 });
  });

  it('lets two ceilings through what both let through', () => {
    const limits = documents('admin').map((document) => compilePolicy({ admin: document, user: null }).base.map(({ hit }) => hit.limits));
    fc.assert(fc.property(limits, limits, (some, others) => {
      for (const a of some) for (const b of others) {
        const both = bothLimits(a, b);
        expect(isWithin(both, a) && isWithin(both, b) && SCOPES.every((scope) => scopeHolds(both, scope) === (scopeHolds(a, scope) && scopeHolds(b, scope)))).toBe(true);
      }
    }), { numRuns: 300 });
  });

  it('takes the first rule that fits, the admin\'s before those that ship', () => {
    const admin = someDocument('admin', [someRule({ name: 'not-git', when: { executable: ['/usr/bin/gh'] }, verdict: { kind: 'deny' } }), someRule({ name: 'git', when: { executable: ['/usr/bin/*'] } }), someRule({ name: 'rest', verdict: { kind: 'deny' } })]);
    const policy = compilePolicy({ admin, user: null });
    expect(decide(policy, someSubject({ class: 'agent' }), someRequest())).toMatchObject({ kind: 'allow', by: { rule: 'git', source: 'admin' } });
    expect(decide(policy, someSubject({ program: { executable: '/opt/x', script: null } }), someRequest())).toMatchObject({ kind: 'deny', by: { rule: 'rest', source: 'admin' } });
  });

  it('does not let an orphan escape a rule about its ancestors', () => {
    const admin = someDocument('admin', [someRule({ name: 'no-bots', when: { ancestor: ['claude'] }, verdict: { kind: 'deny' } }), someRule({ name: 'rest' })]);
    const policy = compilePolicy({ admin, user: null });
    expect(decide(policy, someSubject(), someRequest()).kind).toBe('allow');
    expect(decide(policy, someSubject({ isOrphan: true }), someRequest())).toMatchObject({ kind: 'deny', by: { rule: 'no-bots' } });
  });

  it('lets a sign-in begin where rules ask for a tenant, and holds its tokens to it', () => {
    const admin = someDocument('admin', [
      someRule({ name: 'not-personal', when: { tenant: ['personal'] }, verdict: { kind: 'deny' } }), someRule({ name: 'ours', when: { tenant: ['ours'] } }), someRule({ name: 'rest', verdict: { kind: 'deny' } }),
    ]);
    const policy = compilePolicy({ admin, user: null });
    const by = (tenant: string | null, isSignIn: boolean) => decide(policy, someSubject(), someRequest({ tenant, isSignIn }));
    expect(by(null, true)).toMatchObject({ kind: 'allow', by: { rule: 'ours' } });
    expect(by(null, false).kind).toBe('deny');
    expect(by('personal', true)).toMatchObject({ kind: 'deny', by: { rule: 'not-personal' } });
    expect(by('ours', false).kind).toBe('allow');
    expect(by('theirs', false)).toMatchObject({ kind: 'deny', by: { rule: 'rest' } });
  });

  it('[GV-04] refuses a program of production the profile of development, and the reverse', () => {
    const admin = someDocument('admin', [
      someRule({ name: 'prod-cli-prod-only', when: { executable: ['/opt/prod/**'], profile: ['dev*'] }, verdict: { kind: 'deny' } }),
      someRule({ name: 'prod-for-prod-cli', when: { executable: ['/opt/prod/**'], profile: ['prod*'] } }),
      someRule({ name: 'prod-for-nobody-else', when: { profile: ['prod*'] }, verdict: { kind: 'deny' } }),
    ]);
    const policy = compilePolicy({ admin, user: null });
    const prod = someSubject({ program: { executable: '/opt/prod/bin/cli', script: null } });
    expect(decide(policy, prod, someRequest({ profile: 'dev-eu' }))).toMatchObject({ kind: 'deny', by: { rule: 'prod-cli-prod-only' } });
    expect(decide(policy, prod, someRequest({ profile: 'prod-eu' })).kind).toBe('allow');
    expect(decide(policy, someSubject(), someRequest({ profile: 'prod-eu' }))).toMatchObject({ kind: 'deny', by: { rule: 'prod-for-nobody-else' } });
  });
});

describe('the policy that ships', () => {
  const policy = compilePolicy(NONE);
  const by = (subject: Subject, request = someRequest()): string => decide(policy, subject, request).by.rule;

  it('leaves the programs of a login session alone, for low and normal profiles', () => {
    for (const tier of ['low', 'normal'] as const) expect(decide(policy, someSubject(), someRequest({ tier }))).toMatchObject({ kind: 'allow', by: { rule: 'login-session', source: 'shipped' } });
  });

  it.each([[{ class: 'agent', agent: 'claude' }], [{ class: 'workload' }], [{ isOrphan: true }]] as const)('asks once about %j', (over) => {
    expect(decide(policy, someSubject(over), someRequest())).toMatchObject({ kind: 'confirm', ask: { kind: 'once' }, by: { rule: 'asked-once' } });
  });

  it.each(['low', 'normal', 'high', 'privileged'] as const)('[IP-12] asks at each request that comes over a forwarded socket: %s', (tier) => {
    expect(decide(policy, someSubject({ forwarded: true }), someRequest({ tier }))).toMatchObject({ kind: 'confirm', ask: { kind: 'each' } });
  });

  it.each([['low', 'once'], ['normal', 'once'], ['high', 'for'], ['privileged', 'each']] as const)('[IP-12] asks a program in a container, at least once: %s', (tier, kind) => {
    const decision = decide(policy, someSubject({ container: true }), someRequest({ tier }));
    expect(decision).toMatchObject({ kind: 'confirm', ask: { kind } });
  });

  it('asks more often where more harm can be done, and whoever asks', () => {
    expect(by(someSubject(), someRequest({ tier: 'high' }))).toBe('high-for-an-hour');
    expect(decide(policy, someSubject({ class: 'agent' }), someRequest({ tier: 'privileged' }))).toMatchObject({ kind: 'confirm', ask: { kind: 'each' } });
  });

  it('[SU-02] holds the high tiers to short tokens, to PKCE and to a sign-in of today', () => {
    expect(limitsOfDecision(decide(policy, someSubject(), someRequest({ tier: 'high' })))).toMatchObject({ maxTokenLifeS: 300, flows: ['authorization_code', 'client_credentials'], maxAgeS: 28_800, maxSessionS: 86_400, maxIdleS: 3_600 });
    expect(limitsOfDecision(decide(policy, someSubject(), someRequest({ tier: 'privileged' })))).toMatchObject({ maxTokenLifeS: 300, flows: ['authorization_code', 'client_credentials'], maxAgeS: 900 });
  });

  it('gives a higher tier never more than a lower one', () => {
    fc.assert(fc.property(subjects, requests, (subject, request) => {
      const [first, ...rest] = TIERS.map((tier) => decide(policy, subject, { ...request, tier }));
      rest.reduce((lower, higher) => {
        expect(isAsStrict(higher, lower)).toBe(true);
        return higher;
      }, first as Decision);
    }), { numRuns: 300 });
  });

  it('lifts a request into a tier by its scopes, whatever the profile says of itself', () => {
    const admin = someDocument('admin', [], [{ name: 'admin-scopes', tier: 'privileged', when: someRule({ when: { scopes: { any: ['admin:*'], all: null, none: null } } }).when }]);
    expect(decide(compilePolicy({ admin, user: null }), someSubject(), someRequest({ scopes: ['admin:users'], tier: 'low' }))).toMatchObject({ tier: 'privileged', by: { rule: 'privileged-each' } });
  });
});

describe('a tier that only the user gives', () => {
  const admins = someRule({ when: { scopes: { any: ['admin:*'], all: null, none: null } } }).when;
  const user = someDocument('user', [], [{ name: 'mine', tier: 'privileged', when: admins }]);
  const asked = someRequest({ scopes: ['admin:users'] });

  it('is answered for by the rules that ship, though the rule that fits below it allows', () => {
    expect(decide(compilePolicy({ admin: null, user: null }), someSubject(), asked)).toMatchObject({ kind: 'allow', by: { rule: 'login-session' } });
    expect(decide(compilePolicy({ admin: null, user }), someSubject(), asked)).toMatchObject({ kind: 'confirm', ask: { kind: 'each' }, tier: 'privileged', by: { rule: 'privileged-each', source: 'shipped' } });
  });

  it('is not answered for by a rule of the admin\'s that is gentler there', () => {
    const admin = someDocument('admin', [
      someRule({ name: 'gentle', when: { tier: 'privileged' } }),
      someRule({ name: 'ask-once', verdict: { kind: 'confirm', ask: { kind: 'once' } } }),
    ]);
    expect(decide(compilePolicy({ admin, user: null }), someSubject(), asked)).toMatchObject({ kind: 'confirm', ask: { kind: 'once' }, by: { rule: 'ask-once' } });
    expect(decide(compilePolicy({ admin, user }), someSubject(), asked)).toMatchObject({ kind: 'confirm', ask: { kind: 'each' }, by: { rule: 'privileged-each' } });
  });

  it('is asked about as one that the profile gives itself', () => {
    const policy = compilePolicy({ admin: null, user: someDocument('user', [], [{ name: 'mine', tier: 'normal', when: admins }]) });
    const decision = decide(policy, someSubject({ class: 'agent' }), { ...asked, tier: 'low' });
    expect(decision).toMatchObject({ kind: 'confirm', ask: { kind: 'once' }, tier: 'normal', by: { rule: 'asked-once', source: 'shipped' } });
  });
});
