/**
 * ID tokens at the Issuer port: well signed but wrong, badly signed, and those that come with a refresh. The
 * shim changes one thing at a time in what a real server issued; without a change the same sign-in works.
 */
import { createPublicKey } from 'node:crypto';
import { SignJWT, UnsecuredJWT, generateKeyPair } from 'jose';
import type { JWK } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { approveDevice } from '../../demo/browser.ts';
import type { IssuerOptions } from '../../demo/issuer.ts';
import type { AuthorizationServer, Profile } from '../../daemon/core/domain.ts';
import type { ClientAt, IssuerOutcome, StepUp, TokenSet } from '../../daemon/core/ports.ts';
import { BrokerError } from '../../daemon/core/errors.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { boundMs } from '../support/bound.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { Fault, HostileIssuer } from '../support/hostile-issuer.ts';
import { atOnce, NO_STEP_UP, clientOf, discovered, makeIssuer, profileAt, signIn, tokensOf, wantOf } from '../support/issuer-under-test.ts';
import type { UnderTest } from '../support/issuer-under-test.ts';

type Json = Record<string, unknown>;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type World = UnderTest & { readonly shim: HostileIssuer; readonly profile: Profile; readonly server: AuthorizationServer; readonly client: ClientAt };

async function start(options: IssuerOptions = {}): Promise<World> {
  const shim = await startHostileIssuer(options);
  const under = makeIssuer();
  // The server first: what hangs there would be waited for.
  closing.push(() => shim.close(), () => under.issuer.close());
  const profile = profileAt(shim.url);
  const server = await discovered(under.issuer, profile);
  return { ...under, shim, profile, server, client: clientOf(profile, server) };
}

const signInAt = ({ issuer, client, profile }: World, stepUp: StepUp = NO_STEP_UP): Promise<IssuerOutcome> => signIn(issuer, client, profile, stepUp);
const refreshAt = ({ issuer, client, profile }: World, set: TokenSet): Promise<IssuerOutcome> =>
  issuer.refresh(client, profile, set.refreshToken ?? new Secret(''), { scopes: [], resource: null }, set.identity, atOnce);
const edited = (world: World, edit: (claims: Json) => Json, header?: Readonly<Record<string, string>>): Fault => faults.editIdToken(world.shim.issuer, edit, header);
const replaced = (make: (claims: Json) => Promise<string>): Fault => faults.editJson(async (body) => {
  const claims = JSON.parse(Buffer.from(String(body['id_token']).split('.')[1] ?? '', 'base64url').toString()) as Json;
  return { ...body, id_token: await make(claims) };
});
const invalid = { kind: 'rejected', code: 'id_token_invalid', oauthError: null };

/** What came with a rejected answer is all there, and lives at the issuer until it is revoked by it. */
async function expectRevocable({ issuer, client, shim }: World, outcome: IssuerOutcome): Promise<void> {
  const tokens = outcome.kind === 'rejected' ? outcome.tokens : null;
  if (tokens === null || tokens.refreshToken === null) throw new Error(`no tokens to revoke: ${JSON.stringify(outcome)}`);
  expect(tokens.withheld).toBeNull();
  expect(await shim.issuer.introspect(tokens.accessToken.reveal())).toMatchObject({ active: true });
  await issuer.revoke(client, tokens.refreshToken, 'refresh_token');
  expect(await shim.issuer.introspect(tokens.refreshToken.reveal())).toEqual({ active: false });
}

/** Nobody is known, the access token is not to be used, and the new refresh token is here and alive. */
async function expectKept({ shim }: World, before: TokenSet, outcome: IssuerOutcome, why: string): Promise<TokenSet> {
  const tokens = tokensOf(outcome);
  expect(tokens.identity).toBeNull();
  expect(tokens.withheld).toContain(why);
  expect(tokens.refreshToken?.reveal()).not.toBe(before.refreshToken?.reveal());
  expect(await shim.issuer.introspect(tokens.refreshToken?.reveal() ?? '')).toMatchObject({ active: true });
  return tokens;
}

const without = (name: string) => (claims: Json): Json => Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name));
const nowS = (): number => Math.floor(Date.now() / 1000);

describe('at a sign-in', () => {
  it('accepts the ID token that the shim signs anew without a change', async () => {
    const world = await start();
    world.shim.fault('token', edited(world, (claims) => claims));
    expect(tokensOf(await signInAt(world)).identity).toMatchObject({ sub: 'ada', aud: ['valetkey'] });
  });

  it.each<[string, (claims: Json) => Json, string]>([
    ['iss of another issuer', (c) => ({ ...c, iss: 'https://other.example' }), 'iss'],
    ['iss with a slash more', (c) => ({ ...c, iss: `${String(c['iss'])}/` }), 'iss'],
    ['no iss', without('iss'), 'iss'],
    ['aud of another client', (c) => ({ ...c, aud: 'other' }), 'aud'],
    ['no aud', without('aud'), 'aud'],
    ['an extra aud without azp', (c) => ({ ...c, aud: ['valetkey', 'other'] }), 'azp'],
    ['an extra aud with azp of the other', (c) => ({ ...c, aud: ['valetkey', 'other'], azp: 'other' }), 'azp'],
    ['azp of another client', (c) => ({ ...c, azp: 'other' }), 'azp'],
    ['exp that has passed', (c) => ({ ...c, exp: nowS() - 90 }), 'exp'],
    ['no exp', without('exp'), 'exp'],
    ['exp that is a text', (c) => ({ ...c, exp: 'tomorrow' }), 'exp'],
    ['iat of more than five minutes ahead', (c) => ({ ...c, iat: nowS() + 330 }), 'iat'],
    ['no iat', without('iat'), 'iat'],
    ['nbf of more than five minutes ahead', (c) => ({ ...c, nbf: nowS() + 330 }), 'nbf'],
    ['nbf that is a text', (c) => ({ ...c, nbf: 'now' }), 'nbf'],
    ['another nonce', (c) => ({ ...c, nonce: 'other' }), 'nonce'],
    ['no nonce', without('nonce'), 'nonce'],
    ['at_hash of another token', (c) => ({ ...c, at_hash: 'LDktKdoQak3Pk0cnXxCltA' }), 'at_hash'],
    ['at_hash that is no text', (c) => ({ ...c, at_hash: 7 }), 'at_hash'],
    ['no sub', without('sub'), 'sub'],
    ['an empty sub', (c) => ({ ...c, sub: '' }), 'sub'],
    ['a sub longer than 255', (c) => ({ ...c, sub: 'x'.repeat(256) }), 'sub'],
  ])('[ID-01] refuses %s, and no token gets out', async (_name, edit, why) => {
    const world = await start();
    world.shim.fault('token', edited(world, edit));
    const outcome = await signInAt(world);
    expect(outcome).toMatchObject(invalid);
    expect(outcome.kind === 'rejected' ? outcome.description : '').toContain(why);
    await expectRevocable(world, outcome);
  });

  it.each<[string, (claims: Json) => Json]>([
    ['iat and nbf of a clock that is almost five minutes ahead', (c) => ({ ...c, iat: nowS() + 290, nbf: nowS() + 290 })],
    ['exp of a clock that is 50 s behind', (c) => ({ ...c, exp: nowS() - 50 })],
    ['an extra aud with azp of this client', (c) => ({ ...c, aud: ['other', 'valetkey'], azp: 'valetkey' })],
    ['no at_hash', without('at_hash')],
  ])('accepts %s', async (_name, edit) => {
    const world = await start();
    world.shim.fault('token', edited(world, edit));
    tokensOf(await signInAt(world));
  });

  it('[MD-04] refuses no signature, a public key as a secret, foreign keys, unlisted algorithms and unknown crit', async () => {
    const world = await start();
    const jwks = (await (await fetch(world.server.jwksUri ?? '')).json()) as { keys: JWK[] };
    const own = jwks.keys[0] ?? {};
    const publicPem = createPublicKey({ key: { ...own }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const stranger = await generateKeyPair('ES256');
    const rsa = await generateKeyPair('RS256');
    const attacks: readonly (readonly [string, Fault])[] = [
      ['none', replaced(async (claims) => new UnsecuredJWT(claims).encode())],
      ['HS256 by the public key', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: own.kid ?? '' }).sign(Buffer.from(publicPem)))],
      ['another key under the same kid', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: own.kid ?? '' }).sign(stranger.privateKey))],
      ['an algorithm that is not listed', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: own.kid ?? '' }).sign(rsa.privateKey))],
      ['a key of the token itself', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', jwk: stranger.publicKey as unknown as JWK }).sign(stranger.privateKey))],
      ['unknown crit', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: own.kid ?? '', crit: ['exp'], exp: 1 }).sign(stranger.privateKey, { crit: { exp: true } }))],
      ['no JWT', replaced(async () => 'not.a.jwt')],
      ['an encrypted one', replaced(async () => 'a.b.c.d.e')],
    ];
    for (const [name, fault] of attacks) {
      world.shim.fault('token', fault);
      expect([name, await signInAt(world)]).toMatchObject([name, invalid]);
    }
    const listsAnother = { ...world.client, server: { ...world.server, idTokenSigningAlgs: ['RS256', 'HS256', 'none'] } };
    expect(await signInAt({ ...world, client: listsAnother })).toMatchObject(invalid);
    tokensOf(await signInAt(world));
    expect(world.shim.requestsTo('jwks').length).toBeLessThanOrEqual(2);
  });

  it('[MD-04] fetches the keys at most once a minute, whatever key ids come', async () => {
    const world = await start();
    tokensOf(await signInAt(world));
    const flood = async (): Promise<void> => {
      for (let i = 0; i < 5; i += 1) {
        world.shim.fault('token', edited(world, (claims) => claims, { kid: `unknown-${i}` }));
        expect(await signInAt(world)).toMatchObject(invalid);
      }
    };
    await flood();
    expect(world.shim.requestsTo('jwks')).toHaveLength(1);
    world.clock.aheadMs += 30_000;
    await flood();
    expect(world.shim.requestsTo('jwks')).toHaveLength(1);
    world.clock.aheadMs += 31_000;
    await flood();
    expect(world.shim.requestsTo('jwks')).toHaveLength(2);
  }, 40_000);

  it('learns a key that is new since the last fetch', async () => {
    const world = await start();
    const { keys } = (await (await fetch(world.server.jwksUri ?? '')).json()) as { keys: JWK[] };
    world.shim.fault('jwks', faults.json({ keys: keys.map((key) => ({ ...key, kid: 'old' })) }));
    expect(await signInAt(world)).toMatchObject(invalid);
    world.clock.aheadMs += 61_000;
    world.shim.fault('token', edited(world, (claims) => ({ ...claims, iat: nowS() })));
    tokensOf(await signInAt(world));
  });

  it('asks for the keys once more before a signature counts as false, as a key may change under its id', async () => {
    const world = await start();
    const { keys } = (await (await fetch(world.server.jwksUri ?? '')).json()) as { keys: JWK[] };
    const { publicKey } = await generateKeyPair('ES256', { extractable: true });
    const old = { ...(await crypto.subtle.exportKey('jwk', publicKey as CryptoKey)), alg: 'ES256', use: 'sig', kid: keys[0]?.kid };
    const asked = world.shim.requestsTo('jwks').length;
    world.shim.fault('jwks', faults.json({ keys: [old] }));
    expect(await signInAt(world)).toMatchObject(invalid);
    world.clock.aheadMs += 61_000;
    world.shim.fault('token', edited(world, (claims) => ({ ...claims, iat: nowS() })));
    tokensOf(await signInAt(world));
    expect(world.shim.requestsTo('jwks')).toHaveLength(asked + 2);
  });

  it('tries each key that fits where the token names none', async () => {
    const world = await start();
    const { keys } = (await (await fetch(world.server.jwksUri ?? '')).json()) as { keys: JWK[] };
    const decoys = await Promise.all([1, 2].map(async () => {
      const { publicKey } = await generateKeyPair('ES256', { extractable: true });
      return { ...(await crypto.subtle.exportKey('jwk', publicKey as CryptoKey)), alg: 'ES256', use: 'sig' };
    }));
    world.shim.fault('jwks', faults.json({ keys: [...decoys, ...keys.map((key) => without('kid')({ ...key }))] }));
    world.shim.fault('token', edited(world, (claims) => claims, { kid: undefined as unknown as string }));
    tokensOf(await signInAt(world));
  });

  it('says that the keys cannot be had, which is no verdict on the token, but costs the code', async () => {
    const world = await start();
    for (const [fault, reason] of [[faults.status(503), 'http_503'], [faults.html(), 'unreadable'], [faults.dropBefore(), 'reset']] as const) {
      world.shim.fault('jwks', fault);
      const outcome = await signInAt(world);
      expect(outcome).toMatchObject({ kind: 'rejected', code: 'issuer_unreachable', description: `its signing keys cannot be fetched (${reason})` });
      await expectRevocable(world, outcome);
    }
  });

  it('hands on what came with a sign-in that has no ID token, and with a device flow whose ID token is wrong', async () => {
    const world = await start();
    const { issuer, client, profile, shim } = world;
    shim.fault('token', faults.withMembers({ id_token: undefined }));
    const without = await signInAt(world);
    expect(without).toMatchObject(invalid);
    await expectRevocable(world, without);

    const started = await issuer.startDevice(client, profile, wantOf(profile));
    if (started.kind !== 'device') throw new Error(JSON.stringify(started));
    await approveDevice(started.verificationUri, started.userCode, 'ada');
    // The abort comes while the answer is judged: what came is there even so.
    const stop = new AbortController();
    world.clock.aheadMs += 11 * 60_000;
    shim.fault('token', edited(world, (claims) => ({ ...claims, aud: 'other' })));
    shim.fault('jwks', faults.editJson((body) => {
      stop.abort(new BrokerError('login_cancelled', 'nobody waits any more'));
      return body;
    }));
    const polled = await issuer.pollDevice(client, profile, started, wantOf(profile), stop.signal);
    if (polled.kind === 'pending') throw new Error('still pending');
    expect(polled).toMatchObject(invalid);
    await expectRevocable(world, polled);
  });

  it('cleans the names that it hands on', async () => {
    const world = await start();
    world.shim.fault('token', edited(world, (claims) => ({ ...claims, name: 'A\u001b[31mda\u202e', email: 'ada@example.test\n', tid: 't', acr: 'x', amr: ['pwd', 7] })));
    expect(tokensOf(await signInAt(world)).identity).toMatchObject({ name: 'Ada', email: 'ada@example.test', tenant: 't', amr: ['pwd'] });
  });
});

describe('a step-up', () => {
  it('[ID-02] is met by the class that was asked for and a fresh sign-in, and by nothing less', async () => {
    const world = await start({ acrValues: ['gold', 'silver'], signIn: () => ({ acr: 'gold' }) });
    const gold: StepUp = { ...NO_STEP_UP, acrValues: ['gold'], maxAgeS: 300 };
    const unmet = { kind: 'rejected', code: 'stepup_unmet', oauthError: null };
    expect(tokensOf(await signInAt(world, gold)).identity).toMatchObject({ acr: 'gold' });
    for (const edit of [
      (c: Json): Json => ({ ...c, acr: 'silver' }), without('acr'),
      (c: Json): Json => ({ ...c, auth_time: nowS() - 400 }), without('auth_time'), (c: Json): Json => ({ ...c, auth_time: 'now' }),
    ]) {
      world.shim.fault('token', edited(world, edit));
      const outcome = await signInAt(world, gold);
      expect(outcome).toMatchObject(unmet);
      await expectRevocable(world, outcome);
    }
    world.shim.fault('token', edited(world, (c) => ({ ...c, auth_time: nowS() - 330 })));
    tokensOf(await signInAt(world, gold));
    expect(await signInAt(await start({ acrValues: ['gold'] }), gold)).toMatchObject(unmet);
  });
});

describe('after a refresh', () => {
  it.each<[string, (claims: Json) => Json]>([
    ['of another person', (c) => ({ ...c, sub: 'eve' })],
    ['of another person, that has also expired', (c) => ({ ...c, sub: 'eve', exp: nowS() - 90 })],
    ['of nobody', without('sub')],
    ['of another issuer', (c) => ({ ...c, iss: 'https://other.example' })],
    ['for another client', (c) => ({ ...c, aud: 'other' })],
    ['with azp where there was none', (c) => ({ ...c, azp: 'valetkey' })],
    ['with another nonce', (c) => ({ ...c, nonce: 'other' })],
  ])('refuses an ID token %s, which ends the grant, and hands on what is to be revoked', async (_name, edit) => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.shim.fault('token', edited(world, edit));
    const outcome = await refreshAt(world, set);
    expect(outcome).toMatchObject(invalid);
    await expectRevocable(world, outcome);
  });

  it('lets the time of sign-in pass that some servers move on whenever the person signs in anywhere', async () => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.shim.fault('token', edited(world, (c) => ({ ...c, auth_time: nowS() + 5 })));
    expect(tokensOf(await refreshAt(world, set))).toMatchObject({ withheld: null, identity: { sub: 'ada' } });
  });

  it.each<[string, (claims: Json) => Json, string]>([
    ['has expired', (c) => ({ ...c, exp: nowS() - 90 }), 'exp'],
    ['never expires', without('exp'), 'exp'],
    ['is of the future', (c) => ({ ...c, iat: nowS() + 330 }), 'iat'],
    ['says not when it was made', without('iat'), 'iat'],
    ['is not valid yet', (c) => ({ ...c, nbf: nowS() + 330 }), 'nbf'],
    ['is of another access token', (c) => ({ ...c, at_hash: 'LDktKdoQak3Pk0cnXxCltA' }), 'at_hash'],
  ])('keeps the refresh token and withholds the access token where the ID token %s', async (_name, edit, why) => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.shim.fault('token', edited(world, edit));
    await expectKept(world, set, await refreshAt(world, set), why);
  });

  const HOUR_MS = 3_600_000;

  it.each([-12 * HOUR_MS, -90_000, 3_700_000, 12 * HOUR_MS])('believes an ID token while this machine\'s clock is wrong by %i ms, as the Date of its answer explains it', async (wrongMs) => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.clock.aheadMs = wrongMs;
    expect(tokensOf(await refreshAt(world, set))).toMatchObject({ withheld: null, identity: { sub: 'ada' } });
    tokensOf(await signInAt(world));
  });

  it.each<[string, number, Fault]>([
    ['without a Date', -400_000, faults.dated(null)],
    ['without a Date', 3_700_000, faults.dated(null)],
    ['with a Date that is none', 3_700_000, faults.dated('soon')],
    // The true one: this far off, nobody knows who is wrong.
    ['with a Date more than a day from this machine\'s', 90_000_000, faults.dated(new Date())],
  ])('outlives an answer %s while this machine\'s clock is wrong by %i ms', async (_name, wrongMs, fault) => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    // As after a start of the daemon: nothing was learnt.
    const { issuer } = makeIssuer({}, world.clock);
    closing.unshift(() => issuer.close());
    world.clock.aheadMs = wrongMs;
    world.shim.fault('token', fault);
    const withheld = await expectKept(world, set, await refreshAt({ ...world, issuer }, set), "the ID token's ");
    world.clock.aheadMs = 0;
    expect(tokensOf(await refreshAt(world, { ...withheld, identity: set.identity }))).toMatchObject({ withheld: null, identity: { sub: 'ada' } });
  });

  it('is not made to believe an expired ID token of one issuer by the Date of another', async () => {
    const [world, liar] = [await start(), await start()];
    liar.shim.fault('token', faults.dated(new Date(Date.now() - HOUR_MS)));
    const set = tokensOf(await signInAt(world));
    // Of the same adapter, at the other issuer.
    await world.issuer.refresh(liar.client, liar.profile, new Secret('rt-EXAMPLE'), { scopes: [], resource: null }, null, atOnce);
    expect(world.issuer.skews().map(({ issuer }) => issuer).toSorted()).toEqual([world.shim.url, liar.shim.url].toSorted());
    world.shim.fault('token', edited(world, (c) => ({ ...c, exp: nowS() - 90 })));
    await expectKept(world, set, await refreshAt(world, set), 'exp');
  });

  it('keeps the refresh token where no key fits the ID token, or none can read it', async () => {
    const world = await start();
    const first = tokensOf(await signInAt(world));
    const rsa = await generateKeyPair('RS256');
    const stranger = await generateKeyPair('ES256');
    const header = (object: object): string => Buffer.from(JSON.stringify(object)).toString('base64url');
    const flawed: readonly (readonly [string, Fault, string])[] = [
      ['an unknown kid', edited(world, (claims) => claims, { kid: 'unknown' }), 'ERR_JWKS_NO_MATCHING_KEY'],
      ['an algorithm that is not listed', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).sign(rsa.privateKey)), 'ERR_JOSE_ALG_NOT_ALLOWED'],
      ['unknown crit', replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', crit: ['x'], x: 1 }).sign(stranger.privateKey, { crit: { x: true } })), 'ERR_JOSE_NOT_SUPPORTED'],
      ['no alg', replaced(async (claims) => `${header({})}.${header(claims)}.c2ln`), 'ERR_JWS_INVALID'],
      ['an alg that no text can be made of', replaced(async (claims) => `${header({ alg: { toString: 1 } })}.${header(claims)}.c2ln`), 'ERR_JWS_INVALID'],
      ['no JWT', replaced(async () => 'not.a.jwt'), 'ERR_JWS_INVALID'],
      ['an encrypted one', replaced(async () => 'a.b.c.d.e'), 'ERR_JWS_INVALID'],
      ['an empty text', replaced(async () => ''), 'ERR_JWS_INVALID'],
    ];
    let set = first;
    for (const [name, fault, why] of flawed) {
      world.shim.fault('token', fault);
      const outcome = await refreshAt(world, set);
      expect([name, outcome]).toMatchObject([name, { kind: 'tokens', tokens: { withheld: expect.stringContaining(why) } }]);
      set = { ...await expectKept(world, set, outcome, why), identity: first.identity };
    }
    // No claim of it is believed, but each counts against it.
    world.shim.fault('token', edited(world, (claims) => ({ ...claims, sub: 'eve' }), { kid: 'unknown' }));
    expect(await refreshAt(world, set)).toMatchObject(invalid);
  }, 20_000);

  it('[MD-04] ends the grant where the signature is false, or is one that anybody can make', async () => {
    const world = await start();
    const { keys } = (await (await fetch(world.server.jwksUri ?? '')).json()) as { keys: JWK[] };
    const kid = keys[0]?.kid ?? '';
    const stranger = await generateKeyPair('ES256');
    const header = (alg: string): string => Buffer.from(JSON.stringify({ alg })).toString('base64url');
    for (const fault of [
      replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(stranger.privateKey)),
      replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256' }).sign(stranger.privateKey)),
      replaced((claims) => new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from('valetkey'.repeat(4)))),
      replaced(async (claims) => new UnsecuredJWT(claims).encode()),
      replaced(async (claims) => new UnsecuredJWT(claims).encode().replace(/^[^.]*/, header('nOnE'))),
    ]) {
      const set = tokensOf(await signInAt(world));
      world.shim.fault('token', fault);
      const outcome = await refreshAt(world, set);
      expect(outcome).toMatchObject(invalid);
      await expectRevocable(world, outcome);
    }
  }, 20_000);

  it('accepts one with the nonce of the sign-in, one without, and an answer without any', async () => {
    const world = await start();
    let nonce: unknown;
    world.shim.fault('token', edited(world, (claims) => {
      nonce = claims['nonce'];
      return claims;
    }));
    let set = tokensOf(await signInAt(world));
    world.shim.fault('token', edited(world, (claims) => ({ ...claims, nonce })));
    const { identity } = set;
    set = { ...tokensOf(await refreshAt(world, set)), identity };
    world.shim.fault('token', edited(world, without('nonce')));
    set = { ...tokensOf(await refreshAt(world, set)), identity };
    world.shim.fault('token', faults.withMembers({ id_token: undefined }));
    expect(tokensOf(await refreshAt(world, set)).identity).toBeNull();
  });

  it('refuses one that lacks an audience of the sign-in', async () => {
    const world = await start();
    world.shim.fault('token', edited(world, (c) => ({ ...c, aud: ['valetkey', 'both'], azp: 'valetkey' })));
    const set = tokensOf(await signInAt(world));
    world.shim.fault('token', edited(world, (c) => ({ ...c, aud: ['valetkey'], azp: 'valetkey' })));
    expect(await refreshAt(world, set)).toMatchObject(invalid);
  });

  it('keeps the new refresh token while the keys cannot be had, but not one of another person', async () => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.clock.aheadMs += 11 * 60_000;
    world.shim.fault('jwks', faults.status(503), 99);
    world.shim.fault('token', edited(world, (claims) => claims));
    const kept = tokensOf(await refreshAt(world, set));
    expect(kept.refreshToken).not.toBeNull();
    expect(kept).toMatchObject({ identity: null, withheld: null });
    expect(world.log.lines.map((line) => line.event)).toContain('id_token_not_verified');
    world.shim.fault('token', edited(world, (c) => ({ ...c, sub: 'eve' })));
    expect(await refreshAt(world, { ...kept, identity: set.identity })).toMatchObject(invalid);
  });

  it('waits two seconds for the keys and not ten, as the new refresh token is in memory only', async () => {
    const world = await start();
    const set = tokensOf(await signInAt(world));
    world.clock.aheadMs += 11 * 60_000;
    world.shim.fault('jwks', faults.hang());
    const began = performance.now();
    expect(tokensOf(await refreshAt(world, set))).toMatchObject({ identity: null, withheld: null, refreshToken: expect.anything() });
    expect(performance.now() - began).toBeLessThan(boundMs(6_000));
    expect(world.log.lines).toContainEqual(expect.objectContaining({ event: 'id_token_not_verified', fields: { issuer: world.shim.url, why: 'timeout' } }));
  });
});
