import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AccessToken, Grant } from '../../../../daemon/core/domain.ts';
import { findToken, hasMethods } from '../../../../daemon/core/grant.ts';
import type { TokenBounds, TokenNeed } from '../../../../daemon/core/grant.ts';
import { findSteppedUp, shortfall } from '../../../../daemon/tokens/demands.ts';
import { instant, someGrant, someIdentity, someProfile, someToken, T0 } from '../../../support/builders.ts';
import { someNeed } from '../../../support/engine-rig.ts';

const now = T0 / 1000;
const bounds = (over: Partial<TokenBounds>): TokenBounds => ({
  rule: 'r', key: 'r', beyond: null, maxTokenLifeS: null, maxRemainingS: null, flows: null, maxAgeS: null, amr: [], maxSessionS: null, maxIdleS: null, ...over,
});
const high = (over: Partial<AccessToken> = {}): AccessToken => someToken({ acr: 'gold', amr: ['hwk'], authTime: now, isStepUp: true, ...over });
const holding = (...tokens: readonly AccessToken[]): Grant => someGrant({ state: { kind: 'active', refreshToken: null, tokens } });
const reason = (grant: Grant, need: Partial<TokenNeed>) => shortfall(someProfile(), grant, someNeed(need), instant())?.facts.reason ?? null;
const stepped = (need: Partial<TokenNeed>, token = high()) => findSteppedUp(holding(token), someNeed(need), {}, instant()) !== null;

describe('the sign-in of a grant', () => {
  const ageing = (s: number, over = {}) => someGrant({ identity: someIdentity({ authTime: now - s, acr: 'silver', amr: ['otp'], ...over }) });
  it.each<[string, Grant, Partial<TokenNeed>, string | null]>([
    ['as old as is allowed', ageing(300), { maxAgeS: 300 }, null],
    ['older', ageing(301), { maxAgeS: 300 }, 'max_age'],
    ['of an age that nobody says, for a caller', ageing(0, { authTime: null }), { maxAgeS: 300 }, 'max_age'],
    ['of an age that nobody says, for policy: since it was stored', ageing(0, { authTime: null }), { bounds: bounds({ maxAgeS: 300 }) }, null],
    ['of one of the classes', ageing(0), { acrValues: ['gold', 'silver'] }, null],
    ['of another', ageing(0), { acrValues: ['gold'] }, 'acr'],
    ['of none', ageing(0, { acr: null }), { acrValues: ['gold'] }, 'acr'],
    ['that nobody describes', someGrant({ identity: null }), { acrValues: ['gold'] }, 'acr'],
    ['by another flow', ageing(0), { bounds: bounds({ flows: ['device_code'] }) }, 'flow'],
    ['by one of the methods', ageing(0), { bounds: bounds({ amr: [['otp', 'hwk']] }) }, null],
    ['by one of one list, and none of the other', ageing(0), { bounds: bounds({ amr: [['otp'], ['hwk']] }) }, 'amr'],
    ['by a method of which none counts', ageing(0), { bounds: bounds({ amr: [[]] }) }, 'amr'],
  ])('%s', (_, grant, need, expected) => {
    expect(reason(grant, need)).toBe(expected);
  });
});

describe('[SU-01] a token of a step-up', () => {
  it.each<[string, Partial<TokenNeed>, Partial<AccessToken>, boolean]>([
    ['the class that is asked for', { acrValues: ['gold'] }, {}, true],
    ['another class', { acrValues: ['platinum'] }, {}, false],
    ['within the age', { maxAgeS: 300 }, { authTime: now - 300 }, true],
    ['too old', { maxAgeS: 300 }, { authTime: now - 301 }, false],
    ['a minute for an age of none', { maxAgeS: 0 }, { authTime: now - 60 }, true],
    ['and no more', { maxAgeS: 0 }, { authTime: now - 61 }, false],
    ['of an age that nobody says', { maxAgeS: 300 }, { authTime: null }, false],
    ['within the age of policy', { bounds: bounds({ maxAgeS: 900 }) }, { authTime: now - 900 }, true],
    ['beyond it', { bounds: bounds({ maxAgeS: 900 }) }, { authTime: now - 901 }, false],
    ['by a flow that policy does not have', { bounds: bounds({ flows: ['device_code'] }) }, {}, false],
    ['by its own methods', { bounds: bounds({ amr: [['hwk']] }) }, {}, true],
    ['not by those of the grant', { bounds: bounds({ amr: [['otp']] }) }, {}, false],
    ['with more scopes than policy lets out', { bounds: bounds({ beyond: (held) => held }) }, {}, false],
    ['for another resource', { resource: 'https://api.example' }, {}, false],
    ['that is over', {}, { expiresAt: T0 }, false],
  ])('%s', (_, need, over, expected) => {
    expect(stepped(need, high(over))).toBe(expected);
  });

  it('never goes to who asks for no more than the grant\'s own sign-in has', () => {
    const token = fc.record({ acr: fc.constantFrom(null, 'silver', 'gold'), isStepUp: fc.boolean(), authTime: fc.constantFrom(null, now, now - 400) }).map((over) => someToken(over));
    fc.assert(fc.property(fc.array(token, { maxLength: 4 }), fc.subarray(['silver', 'gold']), fc.constantFrom(null, 300), (tokens, acrValues, maxAgeS) => {
      const grant = holding(...tokens);
      const need = someNeed({ acrValues, maxAgeS });
      expect(findToken(grant, need, {}, instant())?.isStepUp ?? false).toBe(false);
      expect(findSteppedUp(grant, need, {}, instant())?.isStepUp ?? true).toBe(true);
    }));
  });

  it('[ID-04] has a method of each list or none of them holds', () => {
    fc.assert(fc.property(fc.array(fc.constantFrom<string>('otp', 'hwk', 'foo')), fc.array(fc.subarray(['otp', 'hwk'])), (amr, lists) => {
      expect(hasMethods({ acr: null, amr, authTime: null }, lists)).toBe(lists.every((list) => list.some((method) => amr.includes(method))));
    }));
  });
});
