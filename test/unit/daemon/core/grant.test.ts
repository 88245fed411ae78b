import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptToken, expiryAsOf, findToken, isSurelyOver, NO_PROOF, parked, refreshed, serves, withToken } from '../../../../daemon/core/grant.ts';
import type { TokenNeed } from '../../../../daemon/core/grant.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { instant, scopes, someGrant, someProfile, someToken, someTraits, T0 } from '../../../support/builders.ts';
import { tokenSet } from '../../../support/fakes.ts';

const need = (over: Partial<TokenNeed> = {}): TokenNeed => ({ scopes: null, resource: null, minTtlMs: 60_000, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null, ...over });
const asked = (text: string) => ({ scopes: scopes(text), byDefault: true, resource: null, isStepUp: false, proof: NO_PROOF });

describe('which cached token serves', () => {
  const rows: readonly (readonly [string, Parameters<typeof someToken>[0], Partial<TokenNeed>, boolean])[] = [
    ['the default token serves who names no scope', {}, {}, true],
    ['a narrower token does not serve who names none', { byDefault: false, scopes: scopes('api') }, {}, false],
    ['a broad token serves a narrower need', {}, { scopes: scopes('api') }, true],
    ['a narrow token does not serve a broader need', { scopes: scopes('api') }, { scopes: scopes('api admin') }, false],
    ['another resource', { resource: 'https://a.example' }, { resource: 'https://b.example' }, false],
    ['a resource where none was asked for', { resource: 'https://a.example' }, {}, false],
    ['the same resource', { resource: 'https://a.example' }, { resource: 'https://a.example' }, true],
    ['too little life left', { expiresAt: (T0 + 59_999) as EpochMs }, {}, false],
    ['just enough life left', { expiresAt: (T0 + 60_000) as EpochMs }, {}, true],
    ['an expired one, though none is asked to be left', { expiresAt: T0 }, { minTtlMs: 0 }, false],
    ['another acr', { acr: 'low' }, { acrValues: ['high'] }, false],
    ['the asked acr', { acr: 'high' }, { acrValues: ['high'] }, true],
    ['older than asked for', { life: { bootId: 'boot-1', fromMs: 1_000_000, untilMs: 1_600_000 } }, { notBeforeMs: 1_000_001 }, false],
  ];
  it.each(rows)('%s', (_name, token, wanted, expected) => {
    expect(serves(someToken(token), need(wanted), {}, instant())).toBe(expected);
  });

  it('[AU-02] differing in any one field of its context, a token is never shared', () => {
    const resource = fc.constantFrom(null, 'https://a.example', 'https://b.example');
    const acr = fc.constantFrom(null, 'low', 'high');
    const scopeSet = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
    fc.assert(fc.property(resource, resource, acr, acr, scopeSet, scopeSet, (tokenResource, askedResource, tokenAcr, askedAcr, held, wanted) => {
      const token = someToken({ resource: tokenResource, acr: tokenAcr, scopes: scopes(held.join(' ')) });
      const served = serves(token, need({ resource: askedResource, acrValues: askedAcr === null ? [] : [askedAcr], scopes: scopes(wanted.join(' ')) }), {}, instant());
      const fits = tokenResource === askedResource && (askedAcr === null || tokenAcr === askedAcr) && wanted.every((s) => held.includes(s));
      expect(served).toBe(fits);
    }));
  });

  it('[TK-08] decides by the token response alone: what the token looks like changes nothing', () => {
    for (const value of ['opaque-EXAMPLE', 'eyJhbGciOiJub25lIn0.eyJleHAiOjF9.EXAMPLE', '{"exp":1}', '\u0000']) {
      const accepted = acceptToken({ ...tokenSet(1), accessToken: new Secret(value), scope: scopes('api') }, asked('api'), someProfile(), instant());
      expect(accepted).toMatchObject({ kind: 'token', token: { expiresAt: T0 + 600_000 } });
    }
  });

  it('takes the one that lives longest, and none of a parked grant', () => {
    const grant = someGrant({ state: { kind: 'active', refreshToken: null, tokens: [someToken(), someToken({ expiresAt: (T0 + 900_000) as EpochMs })] } });
    expect(findToken(grant, need(), {}, instant())?.expiresAt).toBe(T0 + 900_000);
    expect(findToken(parked(grant, 'expired', T0), need(), {}, instant())).toBeNull();
  });
});

describe('the end of a token', () => {
  it('comes no later than the whole second that callers are told', () => {
    const token = someToken({ expiresAt: (T0 + 600_700) as EpochMs });
    const at = (ms: number): boolean => serves(token, need({ minTtlMs: 0 }), {}, instant(ms));
    expect([at(599_999), at(600_000), at(600_600)]).toEqual([true, false, false]);
  });

  const HOUR = 3_600_000;
  const life = { bootId: 'boot-1', fromMs: 1_000_000, untilMs: 1_000_000 + 600_000 };
  const timed = someToken({ life });
  const wall = (token: typeof timed, by: Parameters<typeof serves>[3]): boolean => serves(token, need({ minTtlMs: 0 }), {}, by);

  it('[TK-07] is told by the clock that says less: set back, forward, slept through', () => {
    const minutes = (n: number): number => n * 60_000;
    const rows: readonly (readonly [string, number, number, boolean])[] = [
      // what happened, the time of day, the clock since boot (both since it came), served
      ['nothing', minutes(9), minutes(9), true],
      ['it is over', minutes(10), minutes(10), false],
      ['set back by an hour, it lives on', minutes(5) - HOUR, minutes(5), true],
      ['set back by an hour, it ends when it ends', minutes(11) - HOUR, minutes(11), false],
      ['set back by twelve hours', minutes(30) - 12 * HOUR, minutes(30), false],
      ['set forward by twelve hours', minutes(1) + 12 * HOUR, minutes(1), false],
      ['slept for eight hours, timers standing', 8 * HOUR, 8 * HOUR, false],
    ];
    for (const [what, now, boot, expected] of rows) {
      expect(wall(timed, { now: (T0 + now) as EpochMs, boottimeMs: 1_000_000 + boot, bootId: 'boot-1' }), what).toBe(expected);
    }
  });

  it('[TK-07] after another boot goes by the time of day, unless that lies before its own birth', () => {
    const after = (ms: number): Parameters<typeof serves>[3] => ({ now: (T0 + ms) as EpochMs, boottimeMs: 5_000, bootId: 'boot-2' });
    expect(wall(timed, after(60_000))).toBe(true);
    expect(wall(timed, after(600_000))).toBe(false);
    expect(wall(timed, after(-60_000))).toBe(false);
  });

  it('is told to callers by the clock that they have, also after it was set', () => {
    expect(expiryAsOf(timed, instant(60_000))).toBe(timed.expiresAt);
    const back = { now: (T0 + 60_000 - 12 * HOUR) as EpochMs, boottimeMs: 1_060_000, bootId: 'boot-1' };
    expect(expiryAsOf(timed, back)).toBe(back.now + 540_000);
  });

  it('has to be said by both clocks before a revocation is left out', () => {
    expect(isSurelyOver(timed, { now: (T0 + 12 * HOUR) as EpochMs, boottimeMs: 1_060_000, bootId: 'boot-1' })).toBe(false);
    expect(isSurelyOver(timed, instant(600_000))).toBe(true);
  });
});

describe('the end of a sign-in', () => {
  it('[TK-10] is what the issuer says: an idle limit starts anew with each answer, the last day stands', () => {
    const first = refreshed(someGrant(), tokenSet(2, { refreshTokenExpiresInS: 900, authorizationExpiresInS: 86_400 }), someToken(), false, instant());
    expect(first).toMatchObject({ refreshTokenExpiresAt: T0 + 900_000, authorizationExpiresAt: T0 + 86_400_000 });
    const second = refreshed(first, tokenSet(3), someToken(), false, instant(60_000));
    expect(second).toMatchObject({ refreshTokenExpiresAt: null, authorizationExpiresAt: T0 + 86_400_000 });
  });
});

describe('[TK-09] what is discarded', () => {
  it('an answer that does not say how long the token lives, unless the profile does', () => {
    const silent = tokenSet(1, { expiresInS: null });
    expect(acceptToken(silent, asked('api'), someProfile(), instant())).toMatchObject({ kind: 'discard' });
    expect(acceptToken(silent, asked('api'), someProfile({ traits: someTraits({ defaultExpiresInS: 300 }) }), instant())).toMatchObject({ token: { expiresAt: T0 + 300_000 } });
  });
  it('an answer that says that its token is over already, whatever the profile holds for those that say nothing', () => {
    const over = tokenSet(1, { expiresInS: 0 });
    expect(acceptToken(over, asked('api'), someProfile({ traits: someTraits({ defaultExpiresInS: 300 }) }), instant())).toMatchObject({ kind: 'discard', why: expect.stringContaining('expires_in 0') });
  });
  it('an answer wider than what was asked, unless the preset allows it; then it is recorded', () => {
    const wide = tokenSet(1, { scope: scopes('api admin') });
    expect(acceptToken(wide, asked('api'), someProfile(), instant())).toMatchObject({ kind: 'discard', why: expect.stringContaining('admin') });
    expect(acceptToken(wide, asked('api'), someProfile({ traits: someTraits({ extraScopes: 'allow' }) }), instant())).toMatchObject({ token: { beyond: ['admin'] } });
  });
  it('but not a scope under the name that the issuer uses for it', () => {
    const traits = someTraits({ scopeAliases: { email: ['https://issuer.example/email'] } });
    expect(acceptToken(tokenSet(1, { scope: scopes('https://issuer.example/email') }), asked('email'), someProfile({ traits }), instant())).toMatchObject({ kind: 'token' });
  });
});

describe('transitions', () => {
  it('a refresh raises the generation, keeps the old refresh token where none came, and learns whether the issuer rotates', () => {
    const grant = someGrant();
    const rotated = refreshed(grant, tokenSet(2), someToken(), false, instant());
    expect(rotated).toMatchObject({ generation: 2, rotates: true });
    const kept = refreshed(grant, tokenSet(2, { refreshToken: null }), someToken(), false, instant());
    expect(kept.rotates).toBe(false);
    expect(kept.state.kind === 'active' && kept.state.refreshToken?.equals('rt-1-EXAMPLE')).toBe(true);
    expect(refreshed(rotated, tokenSet(3, { refreshToken: null }), null, false, instant()).rotates).toBe(true);
  });
  it('a refresh never moves the time of the sign-in, by which callers ask for a recent one', () => {
    const grant = someGrant();
    if (grant.identity === null) throw new Error('somebody signed in');
    const later = { ...grant.identity, authTime: 1_800_000_000 };
    const first = { ...grant, identity: { ...grant.identity, authTime: 1_700_000_000 } };
    expect(refreshed(first, tokenSet(2, { identity: later }), null, false, instant()).identity?.authTime).toBe(1_700_000_000);
    const unsaid = { ...grant, identity: { ...grant.identity, authTime: null } };
    expect(refreshed(unsaid, tokenSet(2, { identity: later }), null, false, instant()).identity?.authTime).toBe(1_800_000_000);
  });
  it('where the issuer rotates, earlier access tokens are not served any more: most such servers end them', () => {
    const other = someToken({ byDefault: false, scopes: scopes('api') });
    const grant = someGrant({ state: { kind: 'active', refreshToken: new Secret('rt-1-EXAMPLE'), tokens: [other] } });
    const tokensOf = (g: typeof grant): number => (g.state.kind === 'active' ? g.state.tokens.length : -1);
    expect(tokensOf(refreshed(grant, tokenSet(2), someToken(), false, instant()))).toBe(1);
    expect(tokensOf(refreshed(grant, tokenSet(2), someToken(), true, instant()))).toBe(2);
    expect(tokensOf(refreshed(grant, tokenSet(2), null, false, instant()))).toBe(0);
    expect(tokensOf(refreshed(grant, tokenSet(2, { refreshToken: null }), someToken(), false, instant()))).toBe(2);
  });
  it('a parked grant holds no token and keeps its identity', () => {
    const done = parked(someGrant(), 'revoked_or_reused', T0);
    expect(done.state).toEqual({ kind: 'parked', reason: 'revoked_or_reused', at: T0 });
    expect(done.identity?.sub).toBe('alice');
  });
  it('keeps at most sixteen tokens, the newest first, and drops expired ones', () => {
    const many = Array.from({ length: 40 }, (_, i) => someToken({ resource: `https://r${i}.example` }))
      .reduce<readonly ReturnType<typeof someToken>[]>((all, token) => withToken(all, token, instant()), []);
    expect(many).toHaveLength(16);
    expect(many[0]?.resource).toBe('https://r39.example');
    expect(withToken(many, someToken(), instant(700_000))).toHaveLength(1);
  });
});
