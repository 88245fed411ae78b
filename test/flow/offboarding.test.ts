/**
 * How long access outlives its end at the issuer. Nothing that the issuer could send reaches a laptop, so what bounds it
 * is the life of the access token that is cached: measured here on the daemon's clock, asked for at every second of it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { someOrigin } from '../support/builders.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let issuer: HostileIssuer;
let vk: InProcess;
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;

async function signedIn(accessTokenS: number, more = ''): Promise<void> {
  issuer = await startHostileIssuer({ lifetimes: { accessTokenS } });
  vk = await startInProcess({ config: profileToml('work', issuer.url, more) });
  vk.caller = { origin: someOrigin() };
  vk.isPlay = true;
  await vk.signIn('work', 'alice');
}
afterEach(async () => {
  await vk.stop();
  await issuer.close();
});

type Measured = { readonly lastSuccessS: number; readonly lastExpiryS: number; readonly after: Readonly<Record<string, unknown>> };

/** Asks every second from the revocation on, for twice the token's life. @param ask - min_ttl_s 0 is the caller that is served longest */
async function measure(accessTokenS: number, ask: object): Promise<Measured> {
  const startedMs = vk.skipMs;
  const revokedAtS = Math.floor((Date.now() + startedMs) / 1000);
  expect(await issuer.issuer.revokeGrantsOf('alice')).toBe(1);
  let measured: Measured = { lastSuccessS: -1, lastExpiryS: 0, after: {} };
  for (let s = 0; s <= 2 * accessTokenS; s += 1) {
    vk.skipMs = startedMs + s * 1000;
    const body = await token(ask);
    measured = body.access_token === undefined ? { ...measured, after: body } : { lastSuccessS: s, lastExpiryS: body.expires_at - revokedAtS, after: {} };
  }
  return measured;
}

describe('[RV-04] access that ended at the issuer', () => {
  it.each([
    ['the caller that takes any token', 120, { min_ttl_s: 0 }],
    ['a caller as most are', 120, {}],
    ['tokens of five minutes', 300, { min_ttl_s: 0 }],
  ])('[GV-03] is gone here within the life of an access token: %s', async (what, accessTokenS, ask) => {
    await signedIn(accessTokenS);
    expect(await token()).toMatchObject({ source: 'cache' });
    const { lastSuccessS, lastExpiryS, after } = await measure(accessTokenS, ask);
    console.log(`offboarding, ${what}: tokens of ${accessTokenS} s; last one handed out ${lastSuccessS} s after the revocation, and over ${lastExpiryS} s after it`);
    // At least one: a measurement of nothing would pass as well.
    expect(lastSuccessS).toBeGreaterThanOrEqual(0);
    expect(lastSuccessS).toBeLessThanOrEqual(accessTokenS);
    expect(lastExpiryS).toBeLessThanOrEqual(accessTokenS + 60);
    expect(after).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
    // Nothing of it is left to be used, and the issuer was asked once.
    expect((await vk.api('GET', '/v1/grants')).body.grants).toMatchObject([{ state: 'login_required', tokens: [] }]);
    expect(issuer.requestsTo('token').filter(({ params }) => params['grant_type'] === 'refresh_token')).toHaveLength(1);
  }, 120_000);

  it('[GV-03] ends at once for whoever refreshes, and a restart brings nothing back', async () => {
    await signedIn(3_600);
    await issuer.issuer.revokeGrantsOf('alice');
    // What is cached is handed out: nobody can have told the daemon.
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(await token({ force: true })).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
  });
});
