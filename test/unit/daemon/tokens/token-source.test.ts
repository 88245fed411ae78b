import { Fingerprints } from '../../../../daemon/core/fingerprints.ts';
import { describe, expect, it } from 'vitest';
import type { TokenNeed } from '../../../../daemon/core/grant.ts';
import type { Grant, Profile } from '../../../../daemon/core/domain.ts';
import type { IssuerOutcome } from '../../../../daemon/core/ports.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import { Admission } from '../../../../daemon/tokens/admission.ts';
import { Circuits } from '../../../../daemon/tokens/circuit.ts';
import { Grants } from '../../../../daemon/tokens/grant-book.ts';
import { Revocations } from '../../../../daemon/tokens/revocations.ts';
import { TokenSource } from '../../../../daemon/tokens/token-source.ts';
import { signOut } from '../../../../daemon/tokens/sign-out.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, scopes, someGrant, someProfile, someServer, someToken, someTraits, T0 } from '../../../support/builders.ts';
import { FakeAudit, FakeIssuer, FakeVault, fakeRandom, LogSink, refusal, tokenSet } from '../../../support/fakes.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

const never = new AbortController().signal;
const need = (over: Partial<TokenNeed> = {}): TokenNeed => ({ scopes: null, resource: null, minTtlMs: 60_000, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null, ...over });
const expired = someToken({ expiresAt: (T0 + 1_000) as EpochMs });
const stale = (over: Partial<Grant> = {}): Grant => someGrant({ state: { kind: 'active', refreshToken: new Secret('rt-1-EXAMPLE'), tokens: [expired] }, ...over });
const lost: IssuerOutcome = { kind: 'transient', answerLost: true, retryAfterMs: null, reach: 'network', cause: 'timeout', timedOut: true };
const down: IssuerOutcome = { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false };

async function rig(grant: Grant | null, profile: Profile = someProfile()) {
  const clock = new FakeClock(T0);
  const issuer = new FakeIssuer();
  const vault = new FakeVault();
  const audit = new FakeAudit();
  const log = new LogSink();
  if (grant !== null) vault.stored.set(grant.profile, { grant, intent: null });
  const stop = new AbortController();
  const deps = { clock, issuer, vault, audit, log, fingerprints: new Fingerprints(), random: fakeRandom(), signal: stop.signal };
  const book = new Grants({ ...deps, graceOf: () => profile.traits.refreshGraceS, onChange: () => undefined });
  const revocations = new Revocations({ ...deps, revokeOfWorkload: async () => ({ kind: 'unsupported' }) });
  const gate = { isLocked: false };
  const source = new TokenSource({ ...deps, book, revocations, isLocked: () => gate.isLocked, admission: new Admission({ circuits: new Circuits(deps), clock }), serverOf: (grant) => grant.server, onRefreshed: () => undefined, onServed: () => undefined });
  await book.load();
  const get = (over: Partial<TokenNeed> = {}, signal = never) => source.get(profile, need(over), signal);
  return { clock, issuer, vault, audit, log, book, source, revocations, profile, get, stop, gate };
}

describe('a token', () => {
  it('comes from the cache without any request', async () => {
    const { get, issuer } = await rig(someGrant());
    expect(await get()).toMatchObject({ source: 'cache' });
    expect(issuer.refreshes).toEqual([]);
  });

  it('[TK-03] is refreshed once for two hundred waiting callers, who all get the same one', async () => {
    const { get, issuer } = await rig(stale());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const waiting = Array.from({ length: 200 }, () => get());
    await settle();
    answer({ kind: 'tokens', tokens: tokenSet(2) });
    const served = await Promise.all(waiting);
    expect(issuer.refreshes).toEqual(['rt-1-EXAMPLE']);
    expect(new Set(served.map((s) => s.token.value.reveal()))).toEqual(new Set(['at-2-EXAMPLE']));
  });

  it('[TK-04] is durable before anybody gets it: intent, save, and only then the answer', async () => {
    const { get, vault, issuer } = await rig(stale());
    issuer.onRefresh = async () => {
      vault.steps.push('sent');
      return { kind: 'tokens', tokens: tokenSet(2) };
    };
    await get();
    expect(vault.steps).toEqual(['grants', 'intent', 'sent', 'save']);
  });

  it('with force is new, also where a good one is cached', async () => {
    const { get, issuer, clock } = await rig(someGrant());
    expect(await get({ notBeforeMs: null })).toMatchObject({ source: 'cache' });
    await clock.advance(5);
    expect(await get({ notBeforeMs: clock.boottimeMs() })).toMatchObject({ source: 'refresh' });
    expect(issuer.refreshes).toHaveLength(1);
  });

  it('of a narrower scope is asked for by that scope, and one beyond the sign-in is refused without a request', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { scope: scopes('api') }) });
    await get({ scopes: scopes('api') });
    expect(issuer.refreshWants).toEqual([{ scopes: ['api'], resource: null }]);
    await expect(get({ scopes: scopes('admin') })).rejects.toMatchObject({ code: 'scope_not_granted' });
    expect(issuer.refreshes).toHaveLength(1);
  });

  it('of two resources are two tokens, where resources are scopes', async () => {
    const { get, issuer } = await rig(stale(), someProfile({ traits: someTraits({ resourceStyle: 'scope_prefix' }) }));
    issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1) });
    const a = await get({ resource: 'https://a.example' });
    const b = await get({ resource: 'https://b.example' });
    const again = await get({ resource: 'https://a.example' });
    expect([a.token.resource, b.token.resource]).toEqual(['https://a.example', 'https://b.example']);
    expect(again).toMatchObject({ source: 'cache', token: { resource: 'https://a.example' } });
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('of a resource that the sign-in did not name is refused unsent: an issuer may spend the refresh token before it looks', async () => {
    const { get, issuer } = await rig(stale());
    await expect(get({ resource: 'https://b.example' })).rejects.toMatchObject({ code: 'resource_not_granted' });
    expect(issuer.refreshes).toEqual([]);
  });

  it('a caller\'s deadline ends its wait and not the flight', async () => {
    const { get, issuer, book } = await rig(stale());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const mine = new AbortController();
    const first = get({}, mine.signal);
    await settle();
    mine.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    answer({ kind: 'tokens', tokens: tokenSet(2) });
    await settle();
    expect(book.get(profileName('work'))?.generation).toBe(2);
    expect(await get()).toMatchObject({ source: 'cache' });
    expect(issuer.refreshes).toHaveLength(1);
  });

  it('that lives shorter than asked for says how long it lives', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { expiresInS: 30 }) });
    await expect(get()).rejects.toMatchObject({ code: 'min_ttl_unmet' });
    expect(await get({ minTtlMs: 10_000 })).toMatchObject({ source: 'cache' });
  });

  it('[TK-09] of an answer that breaks the rules is not stored, but the new refresh token is', async () => {
    const { get, issuer, book } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { expiresInS: null }) });
    await expect(get()).rejects.toMatchObject({ code: 'issuer_response_invalid' });
    const state = book.get(profileName('work'))?.state;
    expect(state?.kind === 'active' && state.refreshToken?.equals('rt-2-EXAMPLE')).toBe(true);
    expect(state?.kind === 'active' && state.tokens.some((t) => t.value.equals('at-2-EXAMPLE'))).toBe(false);
  });
});

describe('a failed refresh', () => {
  it('[TK-06] invalid_grant parks the grant: tokens gone, one request, one clear reason', async () => {
    const { get, issuer, book, vault, audit } = await rig(stale());
    issuer.onRefresh = async () => refusal('invalid_grant');
    for (let i = 0; i < 1_000; i += 1) await expect(get()).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'revoked_or_reused' } });
    expect(issuer.refreshes).toHaveLength(1);
    expect(book.get(profileName('work'))?.state.kind).toBe('parked');
    expect(vault.stored.get(profileName('work'))?.grant.state.kind).toBe('parked');
    expect(audit.events.map((e) => e.event)).toContain('grant_parked');
  });

  it('that was surely not sent keeps everything and backs off', async () => {
    const { get, issuer, book, vault, clock } = await rig(stale());
    issuer.onRefresh = async () => down;
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toHaveLength(1);
    expect(book.get(profileName('work'))).toMatchObject({ generation: 1, state: { kind: 'active' } });
    expect(vault.steps).toEqual(['grants', 'intent', 'abandon']);
    await clock.advance(31_000);
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2) });
    expect(await get()).toMatchObject({ source: 'refresh' });
  });

  it('honours Retry-After', async () => {
    const { get, issuer, clock } = await rig(stale());
    issuer.onRefresh = async () => ({ ...down, retryAfterMs: 120_000, reach: 'server', cause: 'http_429' });
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable', facts: { retryAfterS: 120 } });
    await clock.advance(119_000);
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toHaveLength(1);
    await clock.advance(1_100);
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('[TK-05] whose answer was lost asks for a sign-in instead of sending the token twice', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => lost;
    await expect(get()).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'refresh_answer_lost' } });
    await expect(get()).rejects.toMatchObject({ code: 'login_required' });
    expect(issuer.refreshes).toEqual(['rt-1-EXAMPLE']);
  });

  it('whose answer was lost keeps the grant where the issuer does not rotate', async () => {
    const { get, issuer, book } = await rig(stale({ rotates: false }));
    issuer.onRefresh = async () => lost;
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(book.get(profileName('work'))?.state.kind).toBe('active');
  });

  it('[TK-05] whose answer was lost is sent once more, at once, where the issuer allows a grace, and never a third time', async () => {
    const grace = someProfile({ traits: someTraits({ refreshGraceS: 30 }) });
    const lucky = await rig(stale(), grace);
    lucky.issuer.onRefresh = async (n) => (n === 1 ? lost : { kind: 'tokens', tokens: tokenSet(2) });
    expect(await lucky.get()).toMatchObject({ source: 'refresh' });
    expect(lucky.issuer.refreshes).toEqual(['rt-1-EXAMPLE', 'rt-1-EXAMPLE']);
    const unlucky = await rig(stale(), grace);
    unlucky.issuer.onRefresh = async () => lost;
    await expect(unlucky.get()).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
    await expect(unlucky.get()).rejects.toMatchObject({ code: 'login_required' });
    expect(unlucky.issuer.refreshes).toHaveLength(2);
  });

  it('[TK-05] lost once and then not sent waits, and is parked when the grace is over', async () => {
    const { get, issuer, clock } = await rig(stale(), someProfile({ traits: someTraits({ refreshGraceS: 30 }) }));
    issuer.onRefresh = async (n) => (n === 1 ? lost : down);
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    await clock.advance(40_000);
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('[ID-03] with another account\'s ID token drops the grant', async () => {
    const { get, issuer, book } = await rig(stale());
    issuer.onRefresh = async () => refusal(null, { code: 'id_token_invalid', tokens: tokenSet(9) });
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'identity_changed' } });
    expect(book.get(profileName('work'))?.state.kind).toBe('parked');
  });

  it('refused for the scope or the resource leaves the grant alone', async () => {
    for (const [oauthError, code] of [['invalid_scope', 'scope_not_granted'], ['invalid_target', 'resource_not_granted'], ['invalid_client', 'issuer_refused']] as const) {
      const { get, issuer, book } = await rig(stale());
      issuer.onRefresh = async () => refusal(oauthError);
      await expect(get()).rejects.toMatchObject({ code });
      expect(book.get(profileName('work'))).toMatchObject({ generation: 1, state: { kind: 'active' } });
    }
  });

  it('[TK-04] on a disk that refuses the save keeps the new generation in memory, serves it, and never sends the old token again', async () => {
    const { get, issuer, vault, book, clock } = await rig(stale());
    vault.failOn = 'save';
    expect(await get()).toMatchObject({ source: 'refresh' });
    expect(await get()).toMatchObject({ source: 'cache' });
    expect(book.unsaved()).toEqual(['work']);
    expect(issuer.refreshes).toEqual(['rt-1-EXAMPLE']);
    vault.failOn = null;
    await clock.advance(5_100);
    expect(book.unsaved()).toEqual([]);
    expect(vault.stored.get(profileName('work'))?.grant.generation).toBe(2);
  });

  it('[TK-04] that found no connection has written nothing: a crash meanwhile is no lost answer', async () => {
    const { get, issuer, vault } = await rig(stale());
    issuer.isReached = false;
    issuer.onRefresh = async () => {
      expect(vault.stored.get(profileName('work'))?.intent).toBeNull();
      return down;
    };
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable' });
    expect(vault.steps).toEqual(['grants']);
  });

  it('that a logout, a sign-in or a lock overtakes while the connection is made sends nothing and leaves no intent', async () => {
    for (const overtake of ['logout', 'sign-in', 'lock'] as const) {
      const { get, issuer, vault, book, gate } = await rig(stale());
      let connected: () => void = () => undefined;
      const sent: string[] = [];
      issuer.refresh = async (_client, _profile, token, _want, _previous, onConnected) => {
        await new Promise<void>((resolve) => { connected = resolve; });
        await onConnected();
        sent.push(token.reveal());
        return { kind: 'tokens', tokens: tokenSet(9) };
      };
      const waiting = get().catch((cause: unknown) => cause);
      await settle();
      if (overtake === 'logout') await book.take(profileName('work'), async () => undefined);
      else if (overtake === 'sign-in') await book.commit(someGrant({ generation: book.nextGeneration(profileName('work')) }), null);
      else gate.isLocked = true;
      connected();
      await waiting;
      await settle();
      expect(sent, overtake).toEqual([]);
      expect(vault.steps, overtake).not.toContain('intent');
    }
  });

  it('whose intent cannot be written is not sent', async () => {
    const { get, issuer, vault } = await rig(stale());
    vault.failOn = 'intent';
    await expect(get()).rejects.toMatchObject({ code: 'vault_unwritable' });
    expect(issuer.refreshes).toEqual([]);
  });
});

describe('one caller\'s wish', () => {
  it('is refused to that caller alone: who waited for the same flight gets a token', async () => {
    const { get, issuer } = await rig(stale(), someProfile({ traits: someTraits({ resourceStyle: 'scope_prefix' }) }));
    issuer.onRefresh = async (n) => (n === 1 ? refusal('invalid_target') : { kind: 'tokens', tokens: tokenSet(2) });
    const odd = expect(get({ resource: 'https://nowhere.example' })).rejects.toMatchObject({ code: 'resource_not_granted' });
    const plain = get();
    await odd;
    expect(await plain).toMatchObject({ source: 'refresh' });
    await expect(get({ resource: 'https://nowhere.example' })).rejects.toMatchObject({ code: 'resource_not_granted' });
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('for a resource that nobody consented to does not end the sign-in, though the issuer says invalid_grant', async () => {
    const { get, issuer, book } = await rig(stale(), someProfile({ traits: someTraits({ resourceStyle: 'scope_prefix' }) }));
    issuer.onRefresh = async () => refusal('invalid_grant', { subError: 'consent_required' });
    await expect(get({ resource: 'https://nowhere.example' })).rejects.toMatchObject({ code: 'resource_not_granted' });
    expect(book.get(profileName('work'))?.state.kind).toBe('active');
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'revoked_or_reused' } });
  });

  it('for a longer life than the issuer gives is one refresh, however often and by however many it is asked', async () => {
    const { get, issuer } = await rig(stale());
    for (let i = 0; i < 50; i += 1) await expect(get({ minTtlMs: 3_600_000 })).rejects.toMatchObject({ code: 'min_ttl_unmet' });
    const many = await Promise.allSettled(Array.from({ length: 200 }, () => get({ minTtlMs: 3_600_000 })));
    expect(many.every((r) => r.status === 'rejected' && (r.reason as { code: string }).code === 'min_ttl_unmet')).toBe(true);
    expect(issuer.refreshes).toHaveLength(1);
    expect(await get()).toMatchObject({ source: 'cache' });
  });

  it('that was met by a short token does not hold back one for a longer', async () => {
    const { get, issuer, clock } = await rig(stale());
    issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: n === 1 ? 2 : 600 }) });
    await clock.advance(1_500); // the cached one is over
    expect(await get({ minTtlMs: 0 })).toMatchObject({ source: 'refresh' });
    expect(await get()).toMatchObject({ source: 'refresh' });
  });

  it('that is answered with something unusable is not repeated for a while', async () => {
    const { get, issuer, clock } = await rig(stale());
    issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: null }) });
    for (let i = 0; i < 20; i += 1) await expect(get()).rejects.toMatchObject({ code: 'issuer_response_invalid' });
    expect(issuer.refreshes).toHaveLength(1);
    await clock.advance(30_001);
    await expect(get()).rejects.toMatchObject({ code: 'issuer_response_invalid' });
    expect(issuer.refreshes).toHaveLength(2);
  });

  it('that is answered with a token that is over already is sent once, and a new refresh token is kept', async () => {
    const { get, issuer, book, clock } = await rig(stale());
    issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, { expiresInS: 0 }) });
    await clock.advance(1_500); // the cached one is over
    for (let i = 0; i < 20; i += 1) await expect(get({ minTtlMs: 0 })).rejects.toMatchObject({ code: 'issuer_response_invalid', message: expect.stringContaining('expires_in 0') });
    expect(issuer.refreshes).toHaveLength(1);
    expect(book.get(profileName('work'))?.generation).toBe(2);
  });

  it('that is answered with no OAuth answer says that a sign-in may help, the first time and while it waits', async () => {
    const { get, issuer, profile } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'rejected', code: 'issuer_response_invalid', oauthError: null, subError: null, description: 'the endpoint answers 400 without an OAuth error', tokens: null });
    const hint = expect.stringContaining(`valetkey login ${profile.name}`);
    await expect(get()).rejects.toMatchObject({ code: 'issuer_response_invalid', facts: { hint } });
    await expect(get()).rejects.toMatchObject({ code: 'issuer_unreachable', facts: { hint } });
    expect(issuer.refreshes).toHaveLength(1);
  });

  it('for fewer scopes may be answered with all that the sign-in was granted', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { scope: scopes('openid api') }) });
    expect(await get({ scopes: scopes('api') })).toMatchObject({ source: 'refresh' });
  });

  it('may be called like a member of every object', async () => {
    const { get } = await rig(stale());
    await expect(get({ scopes: scopes('constructor') })).rejects.toMatchObject({ code: 'scope_not_granted' });
    const granted = await rig(stale(), someProfile({ traits: someTraits({ extraScopes: 'allow' }) }));
    granted.issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { scope: scopes('openid api toString __proto__') }) });
    expect((await granted.get()).token.beyond).toEqual(['toString', '__proto__']);
  });
});

describe('narrowing', () => {
  it('is not asked for where the server may narrow the sign-in for good: a broader token serves as well', async () => {
    const { get, issuer } = await rig(stale(), someProfile({ traits: someTraits({ narrowing: 'unknown' }) }));
    expect(await get({ scopes: scopes('api') })).toMatchObject({ source: 'refresh', token: { byDefault: true } });
    expect(issuer.refreshWants).toEqual([{ scopes: [], resource: null }]);
    expect(await get()).toMatchObject({ source: 'cache' });
  });
});

describe('an issuer that wants the person', () => {
  it.each(['interaction_required', 'login_required', 'consent_required'])('%s asks for a sign-in and keeps the grant', async (oauthError) => {
    const { get, issuer, book } = await rig(stale());
    issuer.onRefresh = async () => refusal(oauthError);
    for (let i = 0; i < 10; i += 1) await expect(get()).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'interaction_required' } });
    expect(issuer.refreshes).toHaveLength(1);
    expect(book.get(profileName('work'))?.state.kind).toBe('active');
  });
  it('for the organisation\'s limit says so', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => refusal('invalid_grant', { subError: 'invalid_rapt' });
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'session_limit' } });
  });
});

describe('tokens that came with a bad answer', () => {
  it('are revoked where the answer is rejected', async () => {
    const { get, issuer } = await rig(stale());
    issuer.onRefresh = async () => refusal(null, { code: 'id_token_invalid', tokens: tokenSet(9) });
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'identity_changed' } });
    expect(issuer.revoked).toEqual(['rt-9-EXAMPLE', 'at-9-EXAMPLE']);
  });
  it('are kept where only the access token must not be used, as with a clock that is behind', async () => {
    const { get, issuer, book, clock } = await rig(stale());
    issuer.onRefresh = async (n) => ({ kind: 'tokens', tokens: tokenSet(n + 1, n === 1 ? { withheld: 'the ID token is from the future' } : {}) });
    await expect(get()).rejects.toMatchObject({ code: 'issuer_response_invalid', message: expect.stringContaining('future') });
    const state = book.get(profileName('work'))?.state;
    expect(state?.kind === 'active' && state.refreshToken?.equals('rt-2-EXAMPLE')).toBe(true);
    await clock.advance(30_001);
    expect(await get()).toMatchObject({ source: 'refresh' });
  });
});

describe('the user\'s lock', () => {
  it('is said to those who wait for a refresh, and what was read before is gone', async () => {
    const { get, issuer, book, gate, vault } = await rig(stale());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const waiting = get();
    await settle();
    gate.isLocked = true;
    answer({ kind: 'tokens', tokens: tokenSet(2) });
    await expect(waiting).rejects.toMatchObject({ code: 'vault_locked' });
    expect(vault.stored.get(profileName('work'))?.grant.generation).toBe(2);
    const again = book.load();
    book.forget();
    await again;
    expect(book.list()).toEqual([]);
  });
  it('saves before it goes what the disk refused', async () => {
    const { get, vault, book } = await rig(stale());
    vault.failOn = 'save';
    await get();
    vault.failOn = null;
    await book.flush();
    expect(vault.stored.get(profileName('work'))?.grant.generation).toBe(2);
    expect(book.unsaved()).toEqual([]);
  });
});

describe('races', () => {
  it('a logout during a refresh wins: nothing is saved, and the new tokens are revoked', async () => {
    const { get, issuer, book, vault } = await rig(stale());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const waiting = get();
    await settle();
    await book.take(profileName('work'), async () => undefined);
    answer({ kind: 'tokens', tokens: tokenSet(2) });
    await expect(waiting).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'signed_out' } });
    expect(vault.stored.size).toBe(0);
    expect(issuer.revoked).toEqual(['rt-2-EXAMPLE', 'at-2-EXAMPLE']);
  });

  it('a new sign-in during a refresh wins, also after a logout', async () => {
    const { get, issuer, book } = await rig(stale());
    let answer: (outcome: IssuerOutcome) => void = () => undefined;
    issuer.onRefresh = () => new Promise((resolve) => { answer = resolve; });
    const waiting = get();
    await settle();
    await book.take(profileName('work'), async () => undefined);
    const next = someGrant({ generation: book.nextGeneration(profileName('work')), state: { kind: 'active', refreshToken: new Secret('rt-new-EXAMPLE'), tokens: [someToken({ value: new Secret('at-new-EXAMPLE') })] } });
    await book.commit(next, null);
    answer({ kind: 'tokens', tokens: tokenSet(2) });
    expect((await waiting).token.value.reveal()).toBe('at-new-EXAMPLE');
    expect(next.generation).toBe(2);
    expect(book.get(profileName('work'))).toBe(next);
  });
});

describe('after a crash', () => {
  const crashed = async (grant: Grant, sentAgoMs: number, profile = someProfile()) => {
    const r = await rig(null, profile);
    r.vault.stored.set(grant.profile, { grant, intent: { generation: grant.generation, at: (T0 - sentAgoMs) as EpochMs, boottime: null } });
    r.book.forget();
    await r.book.load();
    return r;
  };
  it('an intent without its generation asks for a sign-in, once, and sends nothing', async () => {
    const { get, issuer } = await crashed(stale(), 1_000);
    await expect(get()).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'refresh_answer_lost' } });
    expect(issuer.refreshes).toEqual([]);
  });
  it('counts the grace by the clock since boot too: a time of day that was set back gives no second chance', async () => {
    const grace = someProfile({ traits: someTraits({ refreshGraceS: 30 }) });
    for (const [what, bootId, ranMs, sends] of [['within it', 'boot-1', 20_000, 1], ['over, by the clock since boot', 'boot-1', 40_000, 0], ['of an earlier boot', 'boot-0', 40_000, 1]] as const) {
      const one = await rig(null, grace);
      one.vault.stored.set(profileName('work'), { grant: stale(), intent: { generation: 1, at: (T0 - 5_000) as EpochMs, boottime: { bootId, ms: 1_000_000 - ranMs } } });
      one.book.forget();
      await one.book.load();
      await one.get().catch(() => null); // what counts is what was sent
      expect(one.issuer.refreshes, what).toHaveLength(sends);
    }
  });

  it('tries the old token once where the preset knows a grace, within it', async () => {
    const profile = someProfile({ traits: someTraits({ refreshGraceS: 30 }) });
    const within = await crashed(stale(), 10_000, profile);
    expect(await within.get()).toMatchObject({ source: 'refresh' });
    const after = await crashed(stale(), 31_000, profile);
    await expect(after.get()).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
  });
  it('goes on where the issuer was seen not to rotate', async () => {
    const { get } = await crashed(stale({ rotates: false }), 86_400_000);
    expect(await get()).toMatchObject({ source: 'refresh' });
  });
});

describe('a grant below its floor', () => {
  const work = profileName('work');
  const rolledBack = async (failOn: string | null = null) => {
    const r = await rig(null);
    r.vault.stored.set(work, { grant: stale({ generation: 3, rotates: false }), intent: { generation: 3, at: T0, boottime: null } });
    r.vault.floors.set(work, 7);
    r.vault.failOn = failOn;
    r.book.forget();
    return r;
  };

  it.each([null, 'save'])('[ST-03] is parked above it, keeps who it was, and sends nothing, whatever its issuer was seen to do: failing %s', async (failOn) => {
    const { get, book, issuer, audit } = await rolledBack(failOn);
    const loaded = book.load();
    await settle();
    await loaded;
    await expect(get()).rejects.toMatchObject({ code: 'login_required', facts: { reason: 'rolled_back' } });
    expect(book.get(work)).toMatchObject({ generation: 8, identity: { sub: expect.any(String) }, state: { kind: 'parked', reason: 'rolled_back' } });
    expect(book.nextGeneration(work)).toBe(9);
    expect(book.unanswered(work)).toBeNull();
    expect(issuer.refreshes).toEqual([]);
    expect(audit.events).toMatchObject([{ event: 'grant_parked', profile: 'work', facts: { reason: 'rolled_back', generation: 3, floor: 7 } }]);
  });

  it('is never in reach with its tokens, not even before it was saved as parked', async () => {
    const { book, vault } = await rolledBack();
    let release = (): void => undefined;
    const save = vault.save.bind(vault);
    vault.save = async (grant) => {
      await new Promise<void>((resolve) => { release = resolve; });
      return save(grant);
    };
    const loaded = book.load();
    await settle();
    expect(book.get(work)?.state.kind).toBe('parked');
    release();
    await loaded;
    expect(vault.stored.get(work)?.grant.state.kind).toBe('parked');
  });

  it('is found parked, and not suspected again, after the next start', async () => {
    const { book, audit } = await rolledBack();
    await book.load();
    book.forget();
    await book.load();
    expect(book.get(work)).toMatchObject({ generation: 8, state: { kind: 'parked', reason: 'rolled_back' } });
    expect(audit.events).toHaveLength(1);
  });

  it('gives its number to the next sign-in where there is no grant any more', async () => {
    const { book, vault } = await rig(null);
    vault.floors.set(work, 7);
    book.forget();
    await book.load();
    expect(book.get(work)).toBeNull();
    expect(book.nextGeneration(work)).toBe(8);
  });
});

describe('a grant that may not be used', () => {
  it('is refused when the profile was rebound, and untouched', async () => {
    const { source, book, profile, issuer } = await rig(stale());
    await expect(source.get({ ...profile, digest: 'digest-2' }, need(), never)).rejects.toMatchObject({ facts: { reason: 'grant_rebound' } });
    expect(book.get(profileName('work'))?.state.kind).toBe('active');
    expect(issuer.refreshes).toEqual([]);
  });
  it('is refused when the sign-in is older or weaker than asked for', async () => {
    const { get, clock } = await rig(someGrant());
    await clock.advance(120_000);
    await expect(get({ maxAgeS: 60 })).rejects.toMatchObject({ facts: { reason: 'max_age' } });
    await expect(get({ acrValues: ['high'] })).rejects.toMatchObject({ facts: { reason: 'acr' } });
  });
  it('without a refresh token works until its token expires, then says so', async () => {
    const { get } = await rig(someGrant({ state: { kind: 'active', refreshToken: null, tokens: [expired] } }));
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'no_refresh_token' } });
    expect(await get({ minTtlMs: 500 })).toMatchObject({ source: 'cache' });
  });
});

describe('[RV-01] the end of a grant', () => {
  it('seals tombstones first, then forgets the grant, then asks the issuer', async () => {
    const { book, revocations, vault, issuer, profile } = await rig(stale());
    issuer.onRevoke = async () => {
      vault.steps.push('asked');
      return { kind: 'revoked' };
    };
    await signOut({ book, revocations }, profileName('work'), profile);
    expect(vault.steps).toEqual(['grants', 'tombstone', 'tombstone', 'remove', 'asked', 'asked']);
    expect(vault.kept.size).toBe(0);
  });
  it('revokes even where the disk refuses to forget, and says so', async () => {
    const { book, revocations, vault, issuer, profile } = await rig(stale());
    vault.failOn = 'remove';
    await expect(signOut({ book, revocations }, profileName('work'), profile)).rejects.toMatchObject({ code: 'vault_unwritable' });
    expect(issuer.revoked).toEqual(['rt-1-EXAMPLE', 'at-1-EXAMPLE']);
    expect(book.get(profileName('work'))).toBeNull();
  });
  it('one issuer\'s Retry-After holds back no other issuer', async () => {
    const { revocations, issuer, clock, profile } = await rig(null);
    const tried: string[] = [];
    issuer.revoke = async ({ server }) => {
      tried.push(server.issuer);
      return { kind: 'transient', answerLost: false, retryAfterMs: server.issuer.includes('slow') ? 86_400_000 : null, reach: 'server' as const, cause: 'http_503', timedOut: false };
    };
    for (const name of ['slow', 'good']) await revocations.send(await revocations.prepare(someGrant({ server: someServer({ issuer: `https://${name}.example` }) }), profile));
    tried.length = 0;
    await clock.advance(60_000);
    expect(tried.filter((t) => t.includes('good')).length).toBeGreaterThan(2);
    expect(tried.filter((t) => t.includes('slow')).length).toBeLessThanOrEqual(1); // the second token, once
  });
  it('a secret of ours that is missing is no word of the issuer\'s: the tombstone stays', async () => {
    const { revocations, issuer, profile } = await rig(null);
    issuer.onRevoke = async () => refusal(null, { code: 'client_secret_required' });
    await revocations.send(await revocations.prepare(someGrant(), profile));
    expect(revocations.pendingOf(profileName('work'))).toBe(2);
  });
});

describe('[RV-01] revocation', () => {
  it('sends the refresh token first, then the access tokens', async () => {
    const { revocations, issuer, profile } = await rig(null);
    const done = await revocations.send(await revocations.prepare(someGrant(), profile));
    expect(issuer.revoked).toEqual(['rt-1-EXAMPLE', 'at-1-EXAMPLE']);
    expect(done).toEqual([{ token: 'refresh_token', outcome: 'revoked', until: null }, { token: 'access_token', outcome: 'revoked', until: null }]);
  });
  it('keeps what could not be sent, sealed, and sends it when the issuer is back', async () => {
    const { revocations, issuer, vault, clock, profile } = await rig(null);
    issuer.onRevoke = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: 20_000, reach: 'server' as const, cause: 'http_5xx', timedOut: false });
    expect(await revocations.send(await revocations.prepare(someGrant(), profile))).toMatchObject([{ outcome: 'pending' }, { outcome: 'pending' }]);
    expect(vault.kept.size).toBe(2);
    await clock.advance(3_000);
    const tries = issuer.revoked.length;
    issuer.onRevoke = async () => ({ kind: 'revoked' });
    await clock.advance(10_000);
    expect(issuer.revoked.length).toBe(tries); // Retry-After holds it back
    await clock.advance(30_000);
    expect(vault.kept.size).toBe(0);
    expect(revocations.count).toBe(0);
  });
});

describe('a profile that was changed after the sign-in', () => {
  it('lends its proxy and CA to no revocation: a changed configuration must not see the refresh token', async () => {
    const { revocations, issuer, profile } = await rig(null);
    const seen: unknown[] = [];
    issuer.revoke = async (client) => {
      seen.push(client.connection);
      return { kind: 'revoked' };
    };
    await revocations.send(await revocations.prepare(someGrant(), { ...profile, digest: 'digest-2', proxy: 'http://evil.example:3128', caPem: 'EVIL' }));
    await revocations.send(await revocations.prepare(someGrant(), { ...profile, proxy: 'http://proxy.example:3128' }));
    await revocations.send(await revocations.prepare(someGrant(), null));
    expect(seen.map((c) => (c as { proxy: string | null }).proxy)).toEqual([null, null, 'http://proxy.example:3128', 'http://proxy.example:3128', null, null]);
  });
});

describe('a grant that is taken away while its next generation is being saved', () => {
  it('does not come back, and it is the newest tokens that are revoked', async () => {
    const { get, book, revocations, vault, issuer, profile } = await rig(stale());
    let saved: () => void = () => undefined;
    const save = vault.save.bind(vault);
    vault.save = async (grant) => {
      await new Promise<void>((resolve) => { saved = resolve; });
      await save(grant);
    };
    const waiting = get().catch((cause: unknown) => cause);
    await settle();
    const out = signOut({ book, revocations }, profileName('work'), profile);
    await settle();
    saved();
    await out;
    await waiting;
    expect(book.list()).toEqual([]);
    expect(vault.stored.size).toBe(0);
    expect(issuer.revoked).toEqual(['rt-2-EXAMPLE', 'at-2-EXAMPLE']);
  });
});

describe('a token whose whole life is what was asked for', () => {
  it('is served once it came, also where saving it took a while, and is one request', async () => {
    const { get, issuer, vault, clock } = await rig(stale());
    issuer.onRefresh = async () => ({ kind: 'tokens', tokens: tokenSet(2, { expiresInS: 60 }) });
    const save = vault.save.bind(vault);
    vault.save = async (grant) => {
      await clock.sleep(3_000, never);
      await save(grant);
    };
    const waiting = get();
    await clock.advance(3_100);
    expect(await waiting).toMatchObject({ source: 'refresh' });
    expect(issuer.refreshes).toHaveLength(1);
  });
});

describe('a lost answer, then a refusal', () => {
  it('is not forgotten: when the grace is over the token is never sent again', async () => {
    const { get, issuer, clock } = await rig(stale(), someProfile({ traits: someTraits({ refreshGraceS: 30 }) }));
    issuer.onRefresh = async (n) => (n === 1 ? lost : refusal('invalid_client'));
    await expect(get()).rejects.toMatchObject({ code: 'issuer_refused' });
    await clock.advance(3_600_000);
    await expect(get()).rejects.toMatchObject({ facts: { reason: 'refresh_answer_lost' } });
    expect(issuer.refreshes).toHaveLength(2);
  });
});
