/**
 * The conditions of a rule as functions of the facts, in three values: a fact that is not known makes a
 * condition neither true nor false, and whoever asks takes the stricter of both ways (judge.ts). Each says
 * in words what it wanted and what is there.
 */
import type { Ancestor, Origin } from '../core/domain.ts';
import { TIERS } from '../core/policy-rules.ts';
import type { Finding, Tier, When } from '../core/policy-rules.ts';
import type { Facts } from './facts.ts';
import { compilePatterns } from './pattern.ts';
import type { Matcher } from './pattern.ts';

export type Truth = 'yes' | 'no' | 'unknown';

/** `tier` is the one that the request was lifted to. */
export type Condition = {
  readonly holds: (facts: Facts, tier: Tier) => Truth;
  readonly says: (facts: Facts, tier: Tier) => string;
};

const truth = (value: boolean): Truth => (value ? 'yes' : 'no');

export const tierRank = (tier: Tier): number => TIERS.indexOf(tier);

/** @param read - the fact; undefined: not known, null: known to be none */
function textCondition(key: string, patterns: readonly string[], read: (facts: Facts) => string | null | undefined): Condition {
  const matches = compilePatterns(patterns);
  return {
    holds: (facts) => {
      const fact = read(facts);
      return fact === undefined ? 'unknown' : truth(fact !== null && matches(fact));
    },
    says: (facts) => {
      const fact = read(facts);
      return `${key} is ${fact === undefined ? 'not known' : fact ?? 'none'}, not ${patterns.join(' or ')}`;
    },
  };
}

function flagCondition(key: string, wanted: boolean, read: (facts: Facts) => boolean): Condition {
  return { holds: (facts) => truth(read(facts) === wanted), says: (facts) => `${key} is ${String(read(facts))}, not ${String(wanted)}` };
}

/** `..` behind a name, which may be a link: where it leads is not known. */
const isDevious = (path: string): boolean => path.includes('/../');

/** Of which a script cannot be told apart from none: the executable is not known either. */
function scriptOf({ program: { executable, script } }: Origin): string | null | undefined {
  if (script === null) return executable === null ? undefined : null;
  return isDevious(script) ? undefined : script;
}

function ancestorCondition(patterns: readonly string[]): Condition {
  const tests = patterns.map((pattern): ((ancestor: Ancestor) => boolean) => {
    const matches: Matcher = compilePatterns([pattern]);
    return pattern.includes('/')
      ? ({ executable, script }) => (executable !== null && matches(executable)) || (script !== null && !isDevious(script) && matches(script))
      : ({ name }) => matches(name);
  });
  const namesPath = patterns.some((pattern) => pattern.includes('/'));
  // An orphan's line is cut off: what stood above it may have been anything.
  const isCertain = ({ lineage, isOrphan }: Origin): boolean => !isOrphan && !(namesPath && lineage.some(({ script }) => script !== null && isDevious(script)));
  return {
    holds: ({ subject: { origin } }) => (origin.lineage.some((each) => tests.some((test) => test(each))) ? 'yes' : isCertain(origin) ? 'no' : 'unknown'),
    says: ({ subject: { origin } }) => `no ancestor is ${patterns.join(' or ')}${origin.isOrphan ? ', as far as the line of an orphan can be seen' : ''}`,
  };
}

function scopesCondition({ any, all, none }: NonNullable<When['scopes']>): Condition {
  const some = any === null ? null : compilePatterns(any);
  const every = all === null ? null : compilePatterns(all);
  const not = none === null ? null : compilePatterns(none);
  return {
    // `all` of nothing is no reason to let anything out.
    holds: ({ request: { scopes } }) => truth((some === null || scopes.some(some)) && (every === null || (scopes.length > 0 && scopes.every(every))) && (not === null || !scopes.some(not))),
    says: ({ request: { scopes } }) => `scopes are ${scopes.join(' ') || 'none'}, not ${[...(any === null ? [] : [`any of ${any.join(' ')}`]), ...(all === null ? [] : [`all of ${all.join(' ')}`]), ...(none === null ? [] : [`none of ${none.join(' ')}`])].join(' and ')}`,
  };
}

function foundCondition(wanted: readonly Finding[]): Condition {
  return {
    holds: ({ request: { found } }) => truth(found.some((each) => wanted.includes(each))),
    says: ({ request: { found } }) => `found within the last hour is ${found.join(' ') || 'nothing'}, not ${wanted.join(' or ')}`,
  };
}

function screenCondition(wanted: boolean): Condition {
  return {
    holds: ({ request: { screenLocked } }) => (screenLocked === null ? 'unknown' : truth(screenLocked === wanted)),
    says: ({ request: { screenLocked } }) => (screenLocked === null ? 'nobody tells whether the screen is locked' : `the screen is ${screenLocked ? '' : 'not '}locked`),
  };
}

function ageCondition(limitS: number, over: boolean): Condition {
  return {
    holds: ({ request: { signedInS } }) => (signedInS === null ? 'unknown' : truth(over ? signedInS > limitS : signedInS <= limitS)),
    says: ({ request: { signedInS } }) => `the sign-in was ${signedInS === null ? 'at a time that is not known' : `${Math.floor(signedInS)} s ago`}, not ${over ? 'over' : 'under'} ${limitS} s`,
  };
}

/** All have to hold. What tells most rules apart comes first: the first `no` ends the look. */
/** @param denies - whether the rule does; what gives a tier does not */
export function compileWhen(when: When, denies: boolean | null): readonly Condition[] {
  const made: (Condition | null)[] = [
    when.executable === null ? null : textCondition('executable', when.executable, ({ subject }) => subject.origin.program.executable ?? undefined),
    when.script === null ? null : textCondition('script', when.script, ({ subject }) => scriptOf(subject.origin)),
    when.tier === null ? null : tierCondition(when.tier),
    when.class === null ? null : textCondition('class', when.class, ({ subject }) => subject.origin.class),
    when.container === null ? null : flagCondition('container', when.container, ({ subject }) => subject.origin.container),
    when.forwarded === null ? null : flagCondition('forwarded', when.forwarded, ({ subject }) => subject.origin.forwarded),
    when.remote === null ? null : flagCondition('remote', when.remote, ({ subject }) => subject.origin.remote),
    when.orphan === null ? null : flagCondition('orphan', when.orphan, ({ subject }) => subject.origin.isOrphan),
    when.terminal === null ? null : flagCondition('terminal', when.terminal, ({ subject }) => subject.terminal !== null),
    when.profile === null ? null : textCondition('profile', when.profile, ({ request }) => request.profile),
    when.issuer === null ? null : textCondition('issuer', when.issuer, ({ request }) => request.issuer),
    when.tenant === null ? null : tenantCondition(when.tenant, denies),
    when.resource === null ? null : textCondition('resource', when.resource, ({ request }) => request.resource),
    when.flow === null ? null : textCondition('flow', when.flow, ({ request }) => request.flow ?? undefined),
    when.use === null ? null : textCondition('use', when.use, ({ request }) => request.use),
    when.signedInOverS === null ? null : ageCondition(when.signedInOverS, true),
    when.signedInUnderS === null ? null : ageCondition(when.signedInUnderS, false),
    when.found === null ? null : foundCondition(when.found),
    when.screenLocked === null ? null : screenCondition(when.screenLocked),
    when.digest === null ? null : textCondition('digest', when.digest, ({ subject }) => subject.origin.digest ?? undefined),
    when.unit === null ? null : textCondition('unit', when.unit, ({ subject }) => subject.origin.unit),
    when.agent === null ? null : textCondition('agent', when.agent, ({ subject }) => subject.origin.agent),
    when.scopes === null ? null : scopesCondition(when.scopes),
    when.ancestor === null ? null : ancestorCondition(when.ancestor),
  ];
  return made.filter((each) => each !== null);
}

/** A sign-in is not refused for a tenant that nobody can know yet: its tokens are, once it is known to be the wrong one. */
function tenantCondition(patterns: readonly string[], denies: boolean | null): Condition {
  const { holds, says } = textCondition('tenant', patterns, ({ request }) => request.tenant ?? undefined);
  return { says, holds: (facts, tier) => (facts.request.isSignIn && facts.request.tenant === null && denies !== null ? truth(!denies) : holds(facts, tier)) };
}

function tierCondition(wanted: Tier): Condition {
  const rank = tierRank(wanted);
  return { holds: (_facts, tier) => truth(tierRank(tier) >= rank), says: (_facts, tier) => `tier is ${tier}, below ${wanted}` };
}
