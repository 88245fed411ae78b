/** How a person signed in, and how long that is good for: ID-02, ID-04 and SU-03 over the socket. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../daemon/core/domain.ts';
import { createCallers } from '../../daemon/callers/callers.ts';
import { someCaller, someDesktop, someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { someApprover, someAsker } from '../support/parties.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const own = ({ uid: _uid, ...facts }: Caller): object => facts;

async function setUp(more = '', options: Parameters<typeof startHostileIssuer>[0] = {}, backend: 'memory' | 'passphrase' = 'memory'): Promise<void> {
  await vk?.stop();
  await hostile?.close();
  hostile = await startHostileIssuer(options);
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url, more), backend });
  vk.caller = { origin: someOrigin() };
}
beforeEach(() => setUp());
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const grant = async () => (await vk.api('GET', '/v1/grants')).body.grants[0];
const rules = async (source: 'admin' | 'user', ceiling: string, more = '', decide = 'decide = "allow"') => {
  await vk.policy(source, `v = 1\n[[rules]]\nname = "mfa_phr"\n${decide}\n${ceiling === '' ? '' : `ceiling = { ${ceiling} }\n`}${more}`);
  return (await vk.api('POST', '/v1/reload')).body;
};
/** A well signed ID token that says this of the sign-in. */
const says = (claims: object) => hostile.fault('token', faults.editIdToken(hostile.issuer, (c) => ({ ...c, ...claims })));
const signIn = async (claims: object = {}, ask: Record<string, unknown> = {}) => {
  if (Object.keys(claims).length > 0) says(claims);
  return (await vk.signIn('work', 'alice', ask)).end.body;
};
const UNMET = { state: 'failed', error: { code: 'stepup_unmet' } };

describe('[ID-02] a sign-in that was to be strong or fresh', () => {
  const old = Math.floor(Date.now() / 1000) - 3_600;
  it.each([
    ['an old auth_time', { acr: 'gold', auth_time: old }],
    ['no auth_time', { acr: 'gold', auth_time: undefined }],
    ['a lower acr', { acr: 'bronze' }],
    ['no acr', { acr: undefined }],
    ['an acr that is no text', { acr: ['gold'] }],
  ])('is stepup_unmet by %s, and nothing is stored', async (_, claims) => {
    expect(await signIn(claims, { acr_values: ['gold'], max_age_s: 300 })).toMatchObject(UNMET);
    expect(await grant()).toBeUndefined();
    await signIn();
    const before = await grant();
    says(claims);
    const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold", max_age=300';
    expect((await vk.signIn('work', 'alice', { challenge })).end.body).toMatchObject(UNMET);
    expect(await grant()).toEqual(before);
  });

  it('is good with what was asked for, by policy as well as by a program', async () => {
    expect(await signIn({ acr: 'gold' }, { acr_values: ['gold'], max_age_s: 300 })).toMatchObject({ state: 'complete' });
    await rules('user', 'acr = ["gold", "platinum"], max_age = "5m"');
    expect(await token()).toMatchObject({ rule: 'user/mfa_phr' });
    expect(await signIn({ acr: 'silver' })).toMatchObject(UNMET);
    expect(hostile.requestsTo('par').at(-1)?.params).toMatchObject({ acr_values: 'gold platinum', max_age: '300' });
    expect(await token()).toMatchObject({ rule: 'user/mfa_phr' }); // the sign-in before is still there
  });
});

describe('[ID-04] the methods of a sign-in', () => {
  const STRONG = 'amr = ["mfa", "hwk"], phishing_resistant = true';

  it.each([[['foo']], [['sms']], [[]], [['pwd', 'foo', 'MFA']], ['mfa'], [undefined]])('amr %j under mfa_phr is a step-up', async (amr) => {
    await signIn({ amr, acr: 'phr' });
    expect(await token()).toMatchObject({ token_type: 'Bearer' });
    await rules('admin', STRONG);
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'amr' });
    expect(await signIn({ amr, acr: 'phr' })).toMatchObject({ ...UNMET, error: { detail: expect.stringContaining('mfa or hwk') } });
    expect(await signIn({ amr: ['hwk'], acr: 'phr' })).toMatchObject({ state: 'complete' });
    expect(await token()).toMatchObject({ rule: 'admin/mfa_phr' });
  });

  it('withstand phishing only where acr says so, or the admin says what acr means', async () => {
    await signIn({ amr: ['mfa', 'hwk'], acr: 'urn:corp:passkey' });
    await rules('admin', STRONG);
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'acr' });
    expect(await signIn({ amr: ['mfa'], acr: 'urn:corp:passkey' })).toMatchObject(UNMET);
    expect(hostile.requestsTo('par').at(-1)?.params).toMatchObject({ acr_values: 'phr phrh' });
    await rules('admin', STRONG, '[assurance]\nphishing_resistant_acr = ["urn:corp:passkey"]\n');
    expect(await token()).toMatchObject({ rule: 'admin/mfa_phr' });
    expect(await signIn({ amr: ['mfa'], acr: 'phrh' })).toMatchObject({ state: 'complete' });
    expect(hostile.requestsTo('par').at(-1)?.params).toMatchObject({ acr_values: 'phr phrh urn:corp:passkey' });
    expect(await token()).toMatchObject({ rule: 'admin/mfa_phr' });
  });

  it('count only where the admin\'s list has them', async () => {
    await signIn({ amr: ['mfa', 'sms'] });
    await rules('admin', 'amr = ["mfa", "sms"]');
    expect(await token()).toMatchObject({ rule: 'admin/mfa_phr' });
    await rules('admin', 'amr = ["mfa", "sms"]', '[assurance]\namr = ["otp", "hwk"]\n');
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'amr' });
    await rules('admin', 'amr = ["mfa", "hwk"]', '[assurance]\namr = ["otp", "hwk"]\n');
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'amr' });
  });

  it('cannot be weighed by the user\'s file, and no rule can ask for one that means nothing', async () => {
    expect(await rules('user', '', '[assurance]\nphishing_resistant_acr = ["0"]\n')).toMatchObject({ code: 'policy_invalid', detail: expect.stringContaining('admin\'s file only') });
    expect(await rules('user', 'amr = ["foo"]')).toMatchObject({ code: 'policy_invalid', detail: expect.stringContaining('amr') });
    // What the user adds is held against what the admin's list leaves of it: nothing counts any more.
    await signIn({ amr: ['hwk', 'otp'] });
    await rules('admin', '', '[assurance]\namr = ["hwk"]\n');
    await rules('user', 'amr = ["otp"]');
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'amr' });
  });
});

describe('[TK-02] the life of a token', () => {
  const issued = async (lifeS: number, more = ''): Promise<void> => {
    await setUp(more, { lifetimes: { accessTokenS: lifeS } });
    await rules('admin', more === '' ? 'max_token_life = "10m"' : '');
    await signIn();
  };

  it('is held to what policy says: one of an hour is refused, one of five minutes served', async () => {
    await issued(3_600);
    expect(await token()).toMatchObject({ code: 'as_token_too_long', reason: 'admin/mfa_phr' });
    expect(await token({ force: true })).toMatchObject({ code: 'as_token_too_long' });
    await issued(300);
    expect(await token()).toMatchObject({ rule: 'admin/mfa_phr' });
  });

  it('is five minutes in the tier that ships for what is risky', async () => {
    await issued(301, 'tier = "high"\n');
    expect(await token()).toMatchObject({ code: 'as_token_too_long', reason: 'tier/high' });
    await issued(300, 'tier = "high"\n');
    expect(await token()).toMatchObject({ token_type: 'Bearer' });
  });

  it('is as the issuer says where nothing limits it, with a warning above an hour', async () => {
    await setUp('', { lifetimes: { accessTokenS: 7_200 } });
    await signIn();
    expect(await token()).toMatchObject({ token_type: 'Bearer' });
    expect((await vk.api('GET', '/v1/status')).body.warnings.join('\n')).toContain('live 120 minutes');
  });
});

describe('[SU-03] a session over the socket', () => {
  it('ends while the refresh token is good, is told by status, and begins anew with a sign-in, across restarts', async () => {
    await setUp('', {}, 'passphrase');
    await vk.api('POST', '/v1/unlock', { passphrase: 'a long passphrase EXAMPLE', create: true });
    await signIn();
    await rules('user', 'max_session = "2h", max_idle = "1h"');
    const { session_ends_at: last, idle_ends_at: idle, signed_in_at: from, state, tokens } = await grant();
    expect({ state, last: Math.abs(last - from - 7_200) <= 1, idle: Math.abs(idle - from - 3_600) <= 1 }).toEqual({ state: 'active', last: true, idle: true });
    expect(tokens[0].expires_at).not.toBe(last);
    vk.skipMs = 3_590_000;
    expect(await token({ force: true })).toMatchObject({ source: 'refresh' });
    await vk.restart();
    await vk.api('POST', '/v1/unlock', { passphrase: 'a long passphrase EXAMPLE' });
    expect(await token()).toMatchObject({ source: 'cache' });
    vk.skipMs = 3_602_000;
    const sent = hostile.requestsTo('token').length;
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'session_limit', detail: expect.stringContaining('nobody has taken part for 1 h'), hint: 'Run: valetkey login work' });
    expect(await token({ force: true })).toMatchObject({ reason: 'session_limit' });
    expect(await grant()).toMatchObject({ state: 'login_required', reason: 'session_limit' });
    expect(hostile.requestsTo('token')).toHaveLength(sent);
    await signIn();
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(await grant()).toMatchObject({ state: 'active', reason: null });
  });

  it('is 30 days where nothing else is said, and status warns before', async () => {
    await signIn();
    const { session_ends_at: last, idle_ends_at: idle, signed_in_at: from } = await grant();
    expect({ days: Math.round((last - from) / 86_400), idle }).toEqual({ days: 30, idle: null });
    vk.skipMs = (30 * 86_400 - 1_800) * 1_000;
    expect((await vk.api('GET', '/v1/status')).body.warnings.join('\n')).toMatch(/work: the sign-in ends in 30 minutes, whatever is refreshed; run: valetkey login work/);
  });

  it('goes on by the word of a person, and not by a word that came too late', async () => {
    vk.isPlay = true;
    vk.caller = own(someApprover());
    await signIn();
    await rules('user', 'max_idle = "10m"', '', 'decide = "confirm"\nask = "each"');
    vk.caller = own(someAsker());
    const ask = async (): Promise<unknown> => {
      const waiting = token();
      let id = '';
      await expect.poll(async () => (id = (await vk.api('GET', '/v1/approvals')).body.pending[0]?.id ?? '')).not.toBe('');
      vk.caller = own(someApprover());
      await vk.api('POST', `/v1/approvals/${id}`, { allow: true });
      vk.caller = own(someAsker());
      return waiting;
    };
    const idle = async (): Promise<number> => (await grant()).idle_ends_at;
    const first = await idle();
    vk.skipMs = 300_000;
    expect(await ask()).toMatchObject({ rule: 'user/mfa_phr' });
    await expect.poll(idle).toBeGreaterThan(first + 290);
    vk.skipMs = 300_000 + 590_000;
    expect(await ask()).toMatchObject({ rule: 'user/mfa_phr' });
    await expect.poll(idle).toBeGreaterThan(first + 880);
    vk.skipMs += 602_000;
    // Nobody is asked to agree to what needs a sign-in first.
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'session_limit' });
    expect((await vk.api('GET', '/v1/approvals')).body.pending).toEqual([]);
  });

  it('goes on by a yes in a dialog at the desktop, and not by a no', async () => {
    await vk.stop();
    const kernel = createCallers({ loginctl: async () => null, ownCli: [] });
    const display = someCaller({ pid: 800, uid: process.getuid?.() ?? 0, startTime: '60', executable: '/usr/lib/xorg/Xorg', terminal: null, label: 'Xorg (pid 800)', origin: someOrigin({ lineage: [], sessionLeader: null }) });
    let isYes = false;
    vk = await startInProcess({
      config: MANY_CALLERS + profileToml('work', hostile.url, ''),
      edges: {
        callers: {
          ...kernel, stillSame: () => true, session: async () => vk.facts,
          attest: async (peer, pin) => {
            const caller = peer.pid === display.pid ? display : await kernel.attest(peer, pin);
            return caller === null || caller === display ? caller : { ...caller, ...vk.caller };
          },
        },
        desktop: someDesktop({
          find: async () => ({ servers: [{ uid: display.uid, pid: display.pid }], display: { x11: ':0', wayland: null, xauthority: null, type: 'x11', desktop: '' } }),
          ask: async () => (isYes ? { kind: 'yes', pin: null, afterMs: 4_000 } : { kind: 'no', afterMs: 4_000 }),
        }),
      },
    });
    vk.caller = own(someApprover());
    await signIn();
    await rules('user', 'max_idle = "10m"', '', 'decide = "confirm"\nask = "each"');
    vk.caller = own(someAsker());
    const idle = async (): Promise<number> => (await grant()).idle_ends_at;
    const first = await idle();
    vk.skipMs = 300_000;
    expect(await token()).toMatchObject({ code: 'approval_denied' });
    expect(await idle()).toBe(first);
    vk.skipMs += 120_000; // a no holds for a minute
    isYes = true;
    expect(await token()).toMatchObject({ rule: 'user/mfa_phr' });
    await expect.poll(idle).toBeGreaterThan(first + 410);
  });

  it('that is over is not stepped up: the person signs in, and then both limits are new', async () => {
    await setUp('tier = "high"\n', { lifetimes: { accessTokenS: 240 }, acrValues: ['gold'], signIn: () => ({ acr: 'gold' }) });
    await rules('admin', '');
    await signIn();
    vk.skipMs = 3_602_000;
    const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold"';
    expect(await token({ challenge })).toMatchObject({ reason: 'session_limit' });
    expect((await vk.signIn('work', 'alice', { challenge })).end.body).toMatchObject({ state: 'complete' });
    expect(await token({ min_ttl_s: 0 })).toMatchObject({ rule: 'admin/mfa_phr' });
    expect(await token({ force: true, min_ttl_s: 0 })).toMatchObject({ source: 'refresh' });
  });
});
