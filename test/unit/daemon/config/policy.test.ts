import { describe, expect, it } from 'vitest';
import { trustFault } from '../../../../daemon/config/policy/admin-file.ts';
import { parsePolicy } from '../../../../daemon/config/policy/parse.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { NO_CEILING, NO_CONDITIONS } from '../../../../daemon/core/policy-rules.ts';
import { boundMs } from '../../../support/bound.ts';

const parse = (text: string, source: 'admin' | 'user' = 'admin') => parsePolicy(text, '/p.toml', source);

function refusal(text: string, source: 'admin' | 'user' = 'admin'): string {
  try {
    parse(text, source);
  } catch (error) {
    if (error instanceof BrokerError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const RULE = 'v = 1\n\n[[rules]]\nname = "a"\n';

describe('a policy file', () => {
  it('becomes rules, in its order, with everything that it says', () => {
    const { rules, lifts, device, session, digest } = parse(`v = 1
[device]
issuers = ["https://issuer.example"]
same_device = true

[[tiers]]
name = "admin-scopes"
tier = "privileged"
when = { scopes = { any = ["admin:*"] } }

[[rules]]
name = "terraform"
decide = "confirm"
ask = "for:2h"
reason = "changes production"
[rules.when]
executable = ["/usr/bin/terraform", "/opt/*/bin/tf"]
class = "human"
signed_in_under = "8h"
terminal = true
[rules.ceiling]
scopes = ["api:*"]
max_token_life = "5m"
flows = ["authorization_code"]

[[rules]]
name = "rest"
decide = "deny"
`);
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    expect(session).toEqual({ screenLock: null, locksOnSuspend: false });
    expect(device).toEqual({ issuers: ['https://issuer.example'], sameDevice: true });
    expect(lifts).toEqual([{ name: 'admin-scopes', tier: 'privileged', when: { ...NO_CONDITIONS, scopes: { any: ['admin:**'], all: null, none: null } } }]);
    expect(rules).toEqual([
      {
        name: 'terraform', verdict: { kind: 'confirm', ask: { kind: 'for', seconds: 7_200 } }, reason: 'changes production',
        when: { ...NO_CONDITIONS, executable: ['/usr/bin/terraform', '/opt/*/bin/tf'], class: ['human'], signedInUnderS: 28_800, terminal: true },
        ceiling: { ...NO_CEILING, scopes: ['api:**'], maxTokenLifeS: 300, flows: ['authorization_code'] },
      },
      { name: 'rest', verdict: { kind: 'deny' }, reason: null, when: NO_CONDITIONS, ceiling: NO_CEILING },
    ]);
  });

  it.each([
    ['v = 1\nrule = []\n', '/p.toml:2:1: "rule" is not a key; did you mean "rules"? Allowed: v, rules, tiers, device, session'],
    ['[[rules]]\nname = "a"\ndecide = "deny"\n', '/p.toml: "v" is missing: the file begins with v = 1'],
    [`${RULE}decide = "permit"\n`, '/p.toml:5:1: "decide" of [[rules]] number 1 must be one of "allow", "confirm", "deny", not this text'],
    [`${RULE}`, '/p.toml:3:3: "decide" of [[rules]] number 1 is missing'],
    [`${RULE}decide = "deny"\nwhen = { executeable = "/x" }\n`, '/p.toml:6:10: "when.executeable" of [[rules]] number 1 is not a key; did you mean "executable"? Allowed: executable, script,'],
    [`${RULE}decide = "deny"\n[rules.when]\nclass = "robot"\n`, '/p.toml:7:1: "when.class" of [[rules]] number 1 must be'],
    [`${RULE}decide = "deny"\n[rules.when]\nexecutable = "git"\n`, '/p.toml:7:1: "when.executable" of [[rules]] number 1 must be'],
    [`${RULE}decide = "deny"\n\n${RULE.slice(7)}decide = "allow"\n`, '/p.toml:8:1: "name" of [[rules]] number 2 stands there twice'],
    [`${RULE}decide = "confirm"\n`, '"ask" of [[rules]] number 1 is missing: decide = "confirm" takes "once", "each" or "for:1h"'],
    [`${RULE}decide = "confirm"\nask = "for:1w"\n`, '/p.toml:6:1: "ask" of [[rules]] number 1 must be "once", "each", or "for:" with a duration'],
    [`${RULE}decide = "allow"\nask = "once"\n`, '/p.toml:6:1: "ask" of [[rules]] number 1 means nothing where decide is "allow"'],
    [`${RULE}decide = "deny"\nceiling = { max_age = "5m" }\n`, '/p.toml:6:1: "ceiling" of [[rules]] number 1 means nothing where decide is "deny"'],
    [`${RULE}decide = "allow"\nceiling = { max_age = 300 }\n`, '/p.toml:6:13: "ceiling.max_age" of [[rules]] number 1 must be text in quotes, not a number'],
    [`${RULE}decide = "deny"\nwhen = { scopes = { some = ["x"] } }\n`, '"when.scopes.some" of [[rules]] number 1 is not a key; did you mean "none"? Allowed: any, all, none'],
    ['v = 1\n[[tiers]]\nname = "t"\ntier = "high"\nwhen = { tier = "low" }\n', '"when.tier" of [[tiers]] number 1 cannot be asked for by what gives the tier'],
    ['v = 1\n[device]\nsame_devic = true\n', '/p.toml:3:1: "same_devic" in [device] is not a key; did you mean "same_device"?'],
    ['v = 1\n[session]\nscreen_lock = "off"\n', '/p.toml:3:1: "screen_lock" in [session] must be one of "hold", "lock", not this text'],
    ['v = 1\n[session]\nsuspend = true\n', '/p.toml:3:1: "suspend" in [session] must be'],
    ['v = 1\n[session]\nscreen = "hold"\n', '/p.toml:3:1: "screen" in [session] is not a key. Allowed: screen_lock, suspend'],
    ['v = 1\nrules = 3\n', '/p.toml:2:1: "rules" must be an array, not a number'],
    ['v = 1\nrules = [3]\n', '/p.toml:2:1: [[rules]] number 1 must be a table, not a number'],
    ['v = 1\n[[rules]\n', 'policy_invalid /p.toml:2:'],
  ])('with a mistake is refused by line: %j', (text, expected) => {
    expect(refusal(text)).toContain(expected);
    expect(refusal(text)).toMatch(/^policy_invalid /);
  });

  it('of the user does not say what only the admin may', () => {
    expect(refusal('v = 1\n[device]\nsame_device = true\n', 'user')).toContain('can be said in the admin\'s file only');
    expect(refusal('v = 1\n[device]\nsame_device = true\n')).toBe('accepted');
  });

  it('is judged soon, whatever it is like: anybody of this user can send one', () => {
    const begun = performance.now();
    expect(refusal(`${RULE}decide = "x"\n[other]\ny = [\n${'1,\n'.repeat(18_000)}]\n`)).toContain('"other" is not a key');
    expect(refusal(`${RULE}decide = "deny"\n[rules.x]\ny = [\n${'1,\n'.repeat(18_000)}]\n`)).toContain('"x" of [[rules]] number 1 is not a key');
    expect(performance.now() - begun).toBeLessThan(boundMs(5_000));
  });

  it('says what a locked screen and suspend are to do', () => {
    expect(parse('v = 1\n[session]\nscreen_lock = "lock"\n').session).toEqual({ screenLock: 'lock', locksOnSuspend: false });
    expect(parse('v = 1\n[session]\nscreen_lock = "hold"\nsuspend = "lock"\n').session).toEqual({ screenLock: 'hold', locksOnSuspend: true });
  });

  it('of a newer version is refused unread', () => {
    expect(refusal('v = 2\n')).toBe('file_too_new /p.toml has version 2; this build reads version 1');
  });
});

describe('[FC-09] the admin\'s file', () => {
  const root = { uid: 0, mode: 0o755, kind: 'directory' } as const;
  const chain = [{ path: '/etc/valetkey/policy.toml', kind: 'file', uid: 0, mode: 0o644 }, { path: '/etc/valetkey', ...root }, { path: '/etc', ...root }, { path: '/', ...root }] as const;

  it('is trusted where only root can change what stands at its path', () => {
    expect(trustFault(chain)).toBeNull();
  });

  it.each([
    [0, { uid: 1000 }, 'belongs to the user with id 1000, not to root'], [0, { mode: 0o666 }, 'can be written by others (mode 666)'], [0, { mode: 0o664 }, 'can be written by others (mode 664)'],
    [0, { kind: 'link' }, 'is a symbolic link'], [0, { kind: 'other' }, 'is not a regular file'], [1, { uid: 1000 }, 'belongs to the user with id 1000, not to root'],
    [1, { mode: 0o777 }, 'can be written by others (mode 777)'], [1, { kind: 'link' }, 'is a symbolic link'], [2, { mode: 0o1777 }, 'can be written by others (mode 1777)'], [3, { uid: 65_534 }, 'belongs to the user with id 65534, not to root'],
  ] as const)('is not, where place %i has %j', (place, over, why) => {
    const places = chain.map((each, i) => (i === place ? { ...each, ...over } : each));
    expect(trustFault(places)).toEqual({ path: chain[place].path, why });
  });
});
