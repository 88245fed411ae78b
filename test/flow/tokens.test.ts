import type { Clock } from '../../daemon/core/ports.ts';
import type { Edges } from '../../daemon/daemon.ts';
import { createIssuer } from '../../daemon/issuer/issuer.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { createRandom } from '../../daemon/platform/random.ts';
import { LogSink } from '../support/fakes.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { grantRow } from '../../client/grant-rows.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const setUp = async (options: Parameters<typeof startHostileIssuer>[0] = {}, more = '') => {
  await vk?.stop();
  await hostile?.close();
  hostile = await startHostileIssuer({ lifetimes: { accessTokenS: 61 }, ...options });
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url, more), issuerTimeoutMs: 1_500 });
};
beforeEach(async () => {
  await setUp();
});
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
/** Tokens of 61 s: asking for 62 s makes the cached one too short, and asking for less is served again. */
const expired = { force: true };
const refreshes = () => hostile.requestsTo('token').filter((r) => r.params['grant_type'] === 'refresh_token');

describe('refresh at a real issuer that rotates and watches for reuse', () => {
  it('[TK-03] two hundred callers on an expired token are one request, and the family lives', async () => {
    await vk.signIn('work', 'alice');
    hostile.issuer.setLifetimes({ accessTokenS: 600 });
    const all = await Promise.all(Array.from({ length: 200 }, () => token({ min_ttl_s: 120 })));
    expect(new Set(all.map((t) => t.access_token)).size).toBe(1);
    expect(refreshes()).toHaveLength(1);
    expect(hostile.issuer.events.filter((e) => e.name === 'grant.revoked')).toEqual([]);
    expect(await hostile.issuer.introspect(all[0].access_token)).toMatchObject({ active: true });
  });

  it('[TK-06] a refresh token that was used by something else ends the grant with one clear reason', async () => {
    await vk.signIn('work', 'alice');
    const stolen = hostile.issuer.minted.find((m) => m.kind === 'refresh_token')?.value ?? '';
    const used = await fetch(`${hostile.url}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'valetkey', refresh_token: stolen }) });
    expect(used.status).toBe(200);
    const mine = refreshes().length;
    for (let i = 0; i < 20; i += 1) expect(await token(expired)).toMatchObject({ code: 'login_required', reason: 'revoked_or_reused' });
    expect(refreshes()).toHaveLength(mine + 1);
    expect((await vk.api('GET', '/v1/grants')).body.grants[0]).toMatchObject({ state: 'login_required', reason: 'revoked_or_reused', tokens: [] });
    expect(hostile.issuer.events.map((e) => e.name)).toContain('grant.revoked');
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it('[TK-02] a token is handed out only with 60 s left, and where the profile names a maximum only if it lives no longer', async () => {
    await setUp({ lifetimes: { accessTokenS: 3_600 } }, 'max_token_life_s = 600\n');
    await vk.signIn('work', 'alice');
    for (let i = 0; i < 5; i += 1) expect(await token()).toMatchObject({ code: 'as_token_too_long', detail: expect.stringContaining('3600 s; profile work allows 600 s') });
    expect(refreshes()).toHaveLength(0);
    hostile.issuer.setLifetimes({ accessTokenS: 300 });
    expect(await token(expired)).toMatchObject({ source: 'refresh' });
    expect(await token()).toMatchObject({ source: 'cache' });
    // Of its 300 s fewer than 60 are left.
    vk.skipMs = 250_000;
    expect(await token()).toMatchObject({ source: 'refresh' });
    // Without a maximum what the issuer gives is handed out, and warned of above an hour.
    await setUp({ lifetimes: { accessTokenS: 7_200 } });
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ source: 'cache' });
    expect((await vk.api('GET', '/v1/status')).body.warnings.join()).toContain('access tokens live 120 minutes');
  });

  it('[TK-10] the end of a sign-in that the issuer names is shown, and warned of before it comes', async () => {
    hostile.fault('token', faults.withMembers({ refresh_token_timeout: 86_400, authorization_expires_in: 36_000 }));
    await vk.signIn('work', 'alice');
    const { body } = await vk.api('GET', '/v1/status');
    const [grant] = body.grants;
    expect(grant.authorization_expires_at - grant.signed_in_at).toBeGreaterThanOrEqual(35_999);
    expect(grant.refresh_token_expires_at - grant.signed_in_at).toBeGreaterThanOrEqual(86_399);
    expect(grantRow(grant, grant.signed_in_at)[2]).toBe('active for 10 h');
    expect(body.warnings.join()).not.toContain('the sign-in ends');
    vk.skipMs = 9 * 3_600_000;
    expect((await vk.api('GET', '/v1/status')).body.warnings.join()).toMatch(/work: the sign-in ends in (59|60) minutes, whatever is refreshed; run: valetkey login work/);
  });

  it('a stop waits for an answer that takes most of a minute, and saves it', async () => {
    // Where the daemon waits a second, it waits 10 ms here.
    const real = createClock();
    const clock: Clock = { ...real, sleep: (ms, signal) => real.sleep(ms / 100, signal) };
    const random = createRandom();
    const issuer = createIssuer({ clock: real, random, log: new LogSink() });
    let sent: () => void = () => undefined;
    const isSent = new Promise<void>((resolve) => { sent = resolve; });
    const slow: Edges['issuer'] = {
      ...issuer,
      async refresh(...asked) {
        sent();
        await real.sleep(500, new AbortController().signal);
        return issuer.refresh(...asked);
      },
    };
    await vk.stop();
    vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url), edges: { clock, issuer: slow } });
    await vk.signIn('work', 'alice');
    void token(expired);
    await isSent;
    await vk.daemon.stop('the end of the session');
    expect(vk.log.lines.map(({ event }) => event)).not.toContain('drain_timed_out');
    expect(vk.audit.events.map(({ event }) => event)).toContain('token_refreshed');
  });

  it('[TK-05] a lost answer asks for one sign-in, and never uses the consumed token again', async () => {
    await vk.signIn('work', 'alice');
    hostile.fault('token', faults.lostAnswer());
    expect(await token(expired)).toMatchObject({ code: 'login_required', reason: 'refresh_answer_lost' });
    expect(await token(expired)).toMatchObject({ code: 'login_required' });
    expect(refreshes()).toHaveLength(1);
    expect(hostile.issuer.events.filter((e) => e.name === 'grant.revoked')).toEqual([]);
  });

  it('a request that was surely not sent keeps everything', async () => {
    await vk.signIn('work', 'alice');
    const before = hostile;
    await hostile.close();
    expect(await token(expired)).toMatchObject({ code: 'issuer_unreachable', retryable: true, retry_after_s: expect.any(Number) });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].state).toBe('active');
    expect(before.issuer.events.filter((e) => e.name === 'grant.revoked')).toEqual([]);
  });

  it.each([
    ['500', faults.status(500)], ['503 with Retry-After', faults.status(503, 2)], ['429 with a date', faults.status(429, new Date(Date.now() + 3_000))],
    ['408', faults.status(408)], ['an empty 400', { kind: 'answer', status: 400 } as const], ['HTML at 502', faults.html(502)],
  ])('%s keeps the grant, says when to come back, and the next try works', async (_name, fault) => {
    await vk.signIn('work', 'alice');
    hostile.fault('token', fault);
    expect(await token(expired)).toMatchObject({ status: expect.any(Number), code: expect.stringMatching(/^issuer_(unreachable|refused|response_invalid)$/) });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].state).toBe('active');
    await expect.poll(async () => (await token(expired)).source, { interval: 250 }).toBe('refresh');
    expect(hostile.issuer.events.filter((e) => e.name === 'grant.revoked')).toEqual([]);
  });

  it('[ID-03] an ID token of another account on refresh drops the grant', async () => {
    await vk.signIn('work', 'alice');
    hostile.fault('token', faults.editIdToken(hostile.issuer, (claims) => ({ ...claims, sub: 'mallory' })));
    expect(await token(expired)).toMatchObject({ code: 'login_required', reason: 'identity_changed' });
    expect((await vk.api('GET', '/v1/grants')).body.grants[0].tokens).toEqual([]);
  });

  it('[TK-08] tokens that turn from opaque to JWT change nothing', async () => {
    const shapes: string[] = [];
    for (const accessTokenFormat of ['jwt', 'opaque'] as const) {
      await setUp({ accessTokenFormat }, 'resource = "https://api.example"');
      await vk.signIn('work', 'alice');
      const first = await token();
      const second = await token(expired);
      expect([first.source, second.source]).toEqual(['cache', 'refresh']);
      shapes.push(String(first.access_token).split('.').length === 3 ? 'jwt' : 'opaque');
    }
    expect(shapes).toEqual(['jwt', 'opaque']);
  });

  it('[AU-01] names one resource in every request, and a token serves one', async () => {
    await setUp({ accessTokenFormat: 'jwt' }, 'resource = "https://a.example"');
    await vk.signIn('work', 'alice');
    const audience = (jwt: string): unknown => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()).aud;
    const a = await token();
    const again = await token({ force: true });
    expect([audience(a.access_token), audience(again.access_token)]).toEqual(['https://a.example', 'https://a.example']);
    expect(hostile.requestsTo('par')[0]?.params['resource']).toBe('https://a.example');
    expect(hostile.requestsTo('token').map((r) => r.params['resource'])).toEqual(['https://a.example', 'https://a.example']);
    expect((await token({ resource: 'https://a.example#part' })).code).toBe('bad_request');
  });

  it('a deadline ends the wait of its caller, and the refresh is kept', async () => {
    await vk.signIn('work', 'alice');
    hostile.fault('token', faults.delay(1_200));
    expect(await token({ ...expired, wait_s: 1 })).toMatchObject({ code: 'deadline_exceeded' });
    await expect.poll(async () => (await vk.api('GET', '/v1/grants')).body.grants[0].generation).toBe(2);
  });
});

describe('the end of a grant', () => {
  it('[RV-01] a logout is over here at once, and the tokens are dead at the issuer', async () => {
    await vk.signIn('work', 'alice');
    const { access_token } = await token();
    const reply = await vk.api('DELETE', '/v1/grants/work');
    expect(reply.body).toEqual({ profile: 'work', revoked: [{ token: 'refresh_token', outcome: 'revoked', until: null }, { token: 'access_token', outcome: 'revoked', until: null }] });
    expect(await hostile.issuer.introspect(access_token)).toMatchObject({ active: false });
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'signed_out' });
  });

  it('[RV-01] a revocation that cannot be sent is kept, and sent when the issuer answers again', async () => {
    await vk.signIn('work', 'alice');
    const { access_token } = await token();
    const fault = hostile.fault('revocation', faults.status(503, 1), 100);
    const reply = await vk.api('DELETE', '/v1/grants/work');
    expect(reply.body.revoked.map((r: { outcome: string }) => r.outcome)).toEqual(['pending', 'pending']);
    expect((await vk.api('GET', '/v1/status')).body.pending_revocations).toBe(2);
    expect(await hostile.issuer.introspect(access_token)).toMatchObject({ active: true });
    fault.cancel();
    await expect.poll(async () => (await vk.api('GET', '/v1/status')).body.pending_revocations).toBe(0);
    expect(await hostile.issuer.introspect(access_token)).toMatchObject({ active: false });
  });

  it('a profile that now points elsewhere never gets the old refresh token; pointed back, it works', async () => {
    const other = await startHostileIssuer();
    await vk.signIn('work', 'alice');
    await vk.config(profileToml('work', other.url));
    await vk.api('POST', '/v1/reload');
    expect(await token(expired)).toMatchObject({ code: 'login_required', reason: 'grant_rebound' });
    expect(other.log).toEqual([]);
    await vk.config(`# a comment\n${profileToml('work', hostile.url, 'browser = ["firefox"]')}`);
    await vk.api('POST', '/v1/reload');
    expect(await token(expired)).toMatchObject({ source: 'refresh' });
    await other.close();
  });

  it('lock stops issuing at once, unlock resumes', async () => {
    await vk.signIn('work', 'alice');
    await vk.api('POST', '/v1/lock');
    expect(await token()).toMatchObject({ code: 'vault_locked' });
    expect((await vk.api('POST', '/v1/logins', { profile: 'work' })).body).toMatchObject({ code: 'vault_locked' });
    await vk.api('POST', '/v1/unlock', {});
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it('a broken configuration is refused and the old one stays', async () => {
    await vk.signIn('work', 'alice');
    await vk.config('[profiles.work]\nissuer = "https://x.example"\nclient_id = "x"\nscope = ["typo"]\n');
    expect((await vk.api('POST', '/v1/reload')).body).toMatchObject({ code: 'config_invalid', detail: expect.stringContaining('scope') });
    expect(await token()).toMatchObject({ source: 'cache' });
  });
});

describe('status', () => {
  it('names the scopes that the issuer did not grant', async () => {
    hostile.fault('token', faults.withMembers({ scope: 'openid offline_access' }));
    await vk.signIn('work', 'alice');
    expect((await vk.api('GET', '/v1/status')).body.warnings).toEqual(expect.arrayContaining(['work: the issuer did not grant: email']));
  });
});
