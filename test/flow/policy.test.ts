import { chmod } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller, Origin } from '../../daemon/core/domain.ts';
import { someCaller, someFacts, someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
const SCOPED = 'extra_scopes = "allow"\n';
const NARROWING = 'preset = "keycloak"\n';

async function setUp(options: Parameters<typeof startHostileIssuer>[0] = {}, more = '', top = ''): Promise<void> {
  await vk?.stop();
  await hostile?.close();
  hostile = await startHostileIssuer({ scopes: ['api:read', 'api:write', 'admin:all'], ...options });
  vk = await startInProcess({ config: MANY_CALLERS + top.replace('ISSUER', hostile.url) + profileToml('work', hostile.url, more), issuerTimeoutMs: 2_000 });
  vk.caller = { origin: someOrigin() };
}
beforeEach(() => setUp());
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const reload = async () => (await vk.api('POST', '/v1/reload')).body;
const warnings = async (): Promise<string> => (await vk.api('GET', '/v1/status')).body.warnings.join('\n');
const audited = (event: string) => vk.audit.events.filter((each) => each.event === event);
/** The other dialect: one line to the same socket. */
const line = (data: object): Promise<{ data: Record<string, unknown> }> => new Promise((resolve, reject) => {
  const socket = createConnection(vk.socket, () => socket.write(`${JSON.stringify({ type: 'token', id: 1, data })}\n`));
  socket.once('data', (chunk) => {
    socket.end();
    resolve(JSON.parse(chunk.toString()));
  });
  socket.once('error', reject);
});
const DENY = 'v = 1\n[[rules]]\nname = "no-git"\ndecide = "deny"\nreason = "git goes by ssh here"\nwhen = { executable = "/usr/bin/git" }\n';

describe('policy at every token', () => {
  it('names the rule in the answer, in the audit and in the error, in both dialects', async () => {
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ rule: 'shipped/login-session' });
    expect((await line({ profile: 'work' })).data).toMatchObject({ rule: 'shipped/login-session' });
    expect(audited('token_released').at(-1)?.facts).toMatchObject({ rule: 'shipped/login-session' });
    await vk.policy('user', DENY);
    await reload();
    for (const refused of [await token(), (await line({ profile: 'work' })).data]) {
      expect(refused).toMatchObject({ code: 'policy_denied', reason: 'user/no-git', detail: 'git goes by ssh here (rule user/no-git)' });
    }
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ rule: 'user/no-git', decision: 'deny' });
  });

  it('[GV-01] refuses the next request after the policy changed, cached token or not, and keeps to the old one while the new one is broken', async () => {
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ source: 'cache' });
    await vk.policy('admin', DENY);
    expect(await token()).toMatchObject({ source: 'cache' }); // not before it is read
    await reload();
    expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/no-git' });
    await vk.policy('admin', `${DENY}[[rules]]\nname = "x"\n`);
    expect(await reload()).toMatchObject({ code: 'policy_invalid', detail: expect.stringContaining('admin-policy.toml:7:3: "decide" of [[rules]] number 2 is missing') });
    expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/no-git' });
    expect(await warnings()).toContain('is missing; the policy from before is still in force');
    await vk.policy('admin', 'v = 1\n');
    await vk.daemon.reload(); // as SIGHUP does
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(await warnings()).not.toContain('policy');
  });

  it('[GV-01] asks again where policy changed while a caller waited for a refresh', async () => {
    await vk.signIn('work', 'alice');
    hostile.fault('token', faults.delay(700));
    const waiting = token({ force: true });
    await expect.poll(() => hostile.requestsTo('token').length, { interval: 5 }).toBeGreaterThan(1);
    await vk.policy('admin', DENY);
    await reload();
    expect(await waiting).toMatchObject({ code: 'policy_denied', reason: 'admin/no-git' });
    expect(audited('token_released')).toEqual([]);
  });

  it('says that nobody has signed in, also under rules about the sign-in', async () => {
    await vk.policy('admin', 'v = 1\n[[rules]]\nname = "today"\ndecide = "deny"\nwhen = { signed_in_over = "8h" }\n[[rules]]\nname = "no-codes"\ndecide = "deny"\nwhen = { flow = "device_code" }\n');
    await reload();
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'never_signed_in' });
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ source: 'cache' });
    vk.skipMs = 8 * 3_600_000 + 1_000;
    expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/today' });
  });

  it('[GV-01] refuses as soon as the user locks, whatever the rules say', async () => {
    await vk.signIn('work', 'alice');
    await vk.api('POST', '/v1/lock');
    expect(await token()).toMatchObject({ code: 'vault_locked' });
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ rule: 'user-lock' });
  });

  it('[FC-09] lets the user\'s file tighten and never loosen what the admin\'s says', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('admin', DENY);
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "all"\ndecide = "allow"\n');
    await reload();
    expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/no-git' });
  });

  it('refuses everything from a start with a broken file, and says so', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('user', 'v = 1\nrulez = []\n');
    await vk.restart();
    expect(await token()).toMatchObject({ code: 'policy_invalid', detail: expect.stringContaining('did you mean "rules"') });
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ code: 'policy_invalid' });
    expect(await warnings()).toContain('nothing is handed out');
    expect((await vk.api('POST', '/v1/logins', { profile: 'work' })).body).toMatchObject({ code: 'flow_refused', reason: 'policy_untrusted' });
  });

  it('[FC-09] refuses everything once a file could be changed by others, and gives again when that is mended', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('user', 'v = 1\n');
    await chmod(join(dirname(vk.configFile), 'user-policy.toml'), 0o666);
    expect(await reload()).toMatchObject({ code: 'policy_untrusted', detail: expect.stringContaining('can be written by others (mode 666)') });
    expect(await token()).toMatchObject({ code: 'policy_untrusted' });
    expect((await vk.api('POST', '/v1/logins', { profile: 'work' })).body).toMatchObject({ code: 'flow_refused', reason: 'policy_untrusted' });
    expect(await warnings()).toContain('nothing is handed out');
    await chmod(join(dirname(vk.configFile), 'user-policy.toml'), 0o600);
    await reload();
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it.each([{ class: 'agent', agent: 'claude' }, { class: 'workload' }, { isOrphan: true }] as const)('[WL-04] asks about %j before it has anything, without any file, and once', async (who) => {
    await vk.signIn('work', 'alice');
    vk.caller = { origin: someOrigin(who) };
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required', reason: 'shipped/asked-once' });
    expect(audited('token_released')).toEqual([]);
  });

  it('says that a sign-in is missing before it asks anybody', async () => {
    vk.caller = { origin: someOrigin({ class: 'agent', agent: 'claude' }) };
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'never_signed_in' });
    expect((await vk.api('GET', '/v1/approvals')).body).toMatchObject({ pending: [] });
  });

  it('gives an agent what an admin\'s rule allows', async () => {
    await vk.signIn('work', 'alice');
    vk.caller = { origin: someOrigin({ class: 'agent', agent: 'claude' }) };
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required', reason: 'shipped/asked-once' });
    await vk.policy('admin', 'v = 1\n[[rules]]\nname = "claude"\ndecide = "allow"\nwhen = { agent = "claude", profile = "work" }\n');
    await reload();
    expect(await token()).toMatchObject({ rule: 'admin/claude' });
  });
});

describe('[AU-03] scopes', () => {
  const refreshed = () => hostile.requestsTo('token').filter((r) => r.params['grant_type'] === 'refresh_token').map((r) => r.params['scope']);
  const ceiling = (scopes: string) => `v = 1\n[[rules]]\nname = "reader"\ndecide = "allow"\nceiling = { scopes = ${scopes} }\n`;
  const profile = (name: string, more: string) => profileToml(name, hostile.url, more).replace('"email", ', '"api:read", "api:write", ');

  it('beyond those of a rule are refused by name, also where a token that has them is cached', async () => {
    await vk.config(MANY_CALLERS + profile('work', SCOPED));
    await vk.policy('user', ceiling('["api:read"]'));
    await reload();
    await vk.signIn('work', 'alice');
    expect(await token({ scopes: ['api:read', 'api:write'] })).toMatchObject({ code: 'policy_denied', reason: 'user/reader', detail: 'rule user/reader does not allow scope api:write' });
    // This issuer is not known to narrow, and the token that is there holds too much.
    expect(await token()).toMatchObject({ code: 'policy_denied', detail: expect.stringContaining('api:write, and') });
    expect(refreshed()).toEqual([]);
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ code: 'policy_denied', rule: 'user/reader' });
  });

  it('are asked for at the issuer only as far as the rule goes, where the issuer is known to narrow', async () => {
    await setUp({ refreshTokens: 'always' });
    await vk.config(MANY_CALLERS + profile('work', NARROWING));
    await vk.policy('user', ceiling('["api:r*"]'));
    await reload();
    await vk.signIn('work', 'alice');
    const narrowed = await token();
    expect(narrowed).toMatchObject({ source: 'refresh', rule: 'user/reader' });
    expect(narrowed.scope.split(' ')).not.toContain('api:write');
    expect(refreshed()).toEqual([expect.stringContaining('api:read')]);
    expect(refreshed().join()).not.toContain('api:write');
    expect(await token()).toMatchObject({ source: 'cache' });
    expect(await token({ scopes: ['api:write'] })).toMatchObject({ code: 'policy_denied' });
  });
});

describe('[SU-02] each control, violated alone', () => {
  const limited = (ceiling: string) => `v = 1\n[[rules]]\nname = "limits"\ndecide = "allow"\nceiling = { ${ceiling} }\n`;
  const under = async (ceiling: string, source: 'user' | 'admin' = 'user'): Promise<void> => {
    await vk.policy(source, limited(ceiling));
    expect(await reload()).toMatchObject({ changed: [] });
  };

  it('a token that lives too long, or has too much life left', async () => {
    await setUp({ lifetimes: { accessTokenS: 3_600 } });
    await vk.signIn('work', 'alice');
    await under('max_token_life = "10m"');
    expect(await token()).toMatchObject({ code: 'as_token_too_long', reason: 'user/limits', detail: expect.stringContaining('rule user/limits allows 600 s') });
    await under('max_remaining = "30m"');
    expect(await token()).toMatchObject({ code: 'as_token_too_long', reason: 'user/limits' });
    vk.skipMs = 1_900_000;
    expect(await token()).toMatchObject({ source: 'cache' });
    await under('max_token_life = "1h"');
    expect(await token()).toMatchObject({ source: 'cache' });
  });

  it('a sign-in that is too long ago, until the person has signed in again', async () => {
    await vk.signIn('work', 'alice');
    await under('max_age = "15m"');
    expect(await token()).toMatchObject({ source: 'cache' });
    vk.skipMs = 901_000;
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'max_age' });
  });

  it('a sign-in that was not strong enough, and the next one asks for it', async () => {
    await setUp({ acrValues: ['gold'], signIn: (_login, params) => (String(params['acr_values'] ?? '').includes('gold') ? { acr: 'gold' } : {}) });
    await vk.signIn('work', 'alice');
    await under('acr = ["gold"]');
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'acr' });
    await vk.signIn('work', 'alice');
    expect(await token()).toMatchObject({ token_type: 'Bearer', rule: 'user/limits' });
    expect(await token({ acr_values: ['silver'] })).toMatchObject({ code: 'policy_denied', reason: 'user/limits' });
  });

  it('a sign-in by a flow that is not allowed, a resource that is not', async () => {
    await vk.signIn('work', 'alice');
    await under('flows = ["device_code"]');
    expect(await token()).toMatchObject({ code: 'login_required', reason: 'flow' });
    await under('resource = "https://api.example/**"');
    expect(await token()).toMatchObject({ code: 'policy_denied', detail: 'rule user/limits does not allow resource none' });
  });

  it('a machine of which nothing proves that it is managed', async () => {
    await vk.signIn('work', 'alice');
    await under('managed_device = false');
    expect(await token()).toMatchObject({ source: 'cache' });
    await under('managed_device = true');
    expect(await token()).toMatchObject({ code: 'device_unmanaged', status: 403, reason: 'user/limits' });
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ code: 'device_unmanaged', rule: 'user/limits' });
    expect(await explainOf()).toMatchObject({ outcome: 'device_unmanaged' });
  });

  it('a tier that asks for a person, where nobody can be asked', async () => {
    await setUp({}, 'tier = "high"\n');
    await vk.signIn('work', 'alice');
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required', reason: 'shipped/high-for-an-hour' });
    await vk.policy('admin', 'v = 1\n[[rules]]\nname = "git"\ndecide = "allow"\nwhen = { executable = "/usr/bin/git" }\n');
    await reload();
    hostile.issuer.setLifetimes({ accessTokenS: 600 });
    expect(await token({ force: true })).toMatchObject({ code: 'as_token_too_long', detail: expect.stringContaining('rule tier/high allows 300 s') });
    hostile.issuer.setLifetimes({ accessTokenS: 240 });
    expect(await token({ force: true })).toMatchObject({ source: 'refresh', rule: 'admin/git' });
  });
});

it('waits for the digest of a program only where a rule asks for it', async () => {
  await vk.stop();
  let read = 0;
  /** Records want it as well, in their own time: whoever waited for this one would wait for ever. */
  let isStuck = true;
  const digestOf = async (): Promise<string> => {
    read += 1;
    if (isStuck) await new Promise(() => undefined);
    return 'ab'.repeat(32);
  };
  const caller: Caller & { readonly origin: Origin } = { ...someCaller({ uid: process.getuid?.() ?? 0 }), origin: someOrigin({ digest: null }) };
  const callers = { attest: async () => caller, stillSame: () => true, isRunning: () => true, lookOnce: (work: () => void) => work(), session: async () => someFacts(), digestOf, programAt: async () => null, classReason: () => 'a test' };
  vk = await startInProcess({ config: profileToml('work', hostile.url), edges: { callers } });
  await vk.signIn('work', 'alice');
  expect(await token()).toMatchObject({ rule: 'shipped/login-session' });
  isStuck = false;
  read = 0;
  const byDigest = (digest: string) => `v = 1\n[[rules]]\nname = "known"\ndecide = "allow"\nwhen = { digest = "${digest}" }\n[[rules]]\nname = "rest"\ndecide = "deny"\n`;
  await vk.policy('admin', byDigest('ab'.repeat(32)));
  await reload();
  expect(await token()).toMatchObject({ rule: 'admin/known' });
  expect(await explainOf()).toMatchObject({ rule: 'admin/known' });
  await vk.policy('admin', byDigest('cd'.repeat(32)));
  await reload();
  expect(await token()).toMatchObject({ code: 'policy_denied', reason: 'admin/rest' });
  expect(read).toBeGreaterThan(0);
});
const explainOf = async (more: object = {}) => (await vk.api('POST', '/v1/policy/explain', { profile: 'work', ...more })).body;

describe('questions about policy', () => {
  const explain = explainOf;

  it('are answered by what decides: explain agrees with what a token request gets', async () => {
    await vk.signIn('work', 'alice');
    await vk.policy('admin', `${DENY}[[rules]]\nname = "reader"\ndecide = "allow"\nceiling = { scopes = ["email"] }\nwhen = { class = "human" }\n[[rules]]\nname = "ask"\ndecide = "confirm"\nask = "each"\n`);
    await reload();
    for (const executable of ['/usr/bin/git', '/usr/bin/gh', null]) {
      for (const kind of ['human', 'agent'] as const) {
        for (const scopes of [undefined, ['email'], ['openid', 'admin:all']]) {
          vk.caller = { origin: someOrigin({ class: kind, program: { executable, script: null } }) };
          const asked = scopes === undefined ? {} : { scopes };
          const told = await explain({ caller: { class: kind, ...(executable === null ? {} : { executable }), ancestors: ['/usr/bin/bash'] }, ...asked });
          const given = await token({ ...asked, wait_s: 0 });
          if (told.outcome === 'allow') expect([given.code, given.rule].filter((each) => each !== undefined)).toEqual([given.code ?? told.rule]);
          else expect(given).toMatchObject({ code: told.outcome, detail: told.detail });
        }
      }
    }
  });

  it('say why the rules before did not fit', async () => {
    await vk.policy('admin', DENY);
    await reload();
    expect(await explain({ caller: { executable: '/usr/bin/gh' } })).toMatchObject({
      decision: 'allow', rule: 'shipped/login-session', looked_at: [
        { rule: 'admin/no-git', outcome: 'does not fit', why: 'executable is /usr/bin/gh, not /usr/bin/git' },
        { rule: 'shipped/privileged-each', outcome: 'does not fit', why: 'tier is normal, below privileged' },
        { rule: 'shipped/forwarded-each', outcome: 'does not fit' }, { rule: 'shipped/high-for-an-hour', outcome: 'does not fit' },
        { rule: 'shipped/container-once', outcome: 'does not fit' }, { rule: 'shipped/login-session', outcome: 'fits', why: '' },
      ],
    });
    // A program that cannot be told does not escape.
    expect(await explain({ caller: {} })).toMatchObject({ decision: 'deny', rule: 'admin/no-git', outcome: 'policy_denied' });
    expect(await explain({ pid: process.pid })).toMatchObject({ decision: 'deny', caller: expect.stringContaining(`pid ${process.pid}`) });
    expect(await explain({ pid: 4_194_304 })).toMatchObject({ code: 'bad_request' });
  });

  it('take a draft in the place of a file, and change nothing', async () => {
    await vk.signIn('work', 'alice');
    expect(await explain({ draft: { source: 'admin', text: DENY } })).toMatchObject({ decision: 'deny', rule: 'admin/no-git' });
    expect((await vk.api('POST', '/v1/policy/check', { draft: { source: 'user', text: 'v = 1\nrulez = 1\n' }, name: '/d.toml' })).body).toMatchObject({ code: 'policy_invalid', detail: expect.stringContaining('/d.toml:2:1: "rulez"') });
    expect((await vk.api('POST', '/v1/policy/check', {})).body).toEqual({ files: [] });
    expect(await token()).toMatchObject({ rule: 'shipped/login-session' });
  });
});

describe('the flow of a sign-in', () => {
  const DEVICE = '[device]\nissuers = ["ISSUER"]\n';
  const start = async (more: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', ...more })).body;
  const remote = (): void => {
    vk.facts = someFacts({ remote: true, gui: 'none', browser: 'none' });
    vk.caller = { origin: someOrigin({ remote: true }), terminal: { device: 34816, foreground: true } };
  };
  const requestsToIssuer = (): number => hostile.requestsTo('device').length + hostile.requestsTo('authorization').length;

  it('[FC-06] by device code, where PKCE works, takes the word of an admin, and that is on record', async () => {
    await setUp({}, '', DEVICE);
    vk.caller = { origin: someOrigin(), terminal: { device: 34816, foreground: true } };
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'flow_refused', reason: 'device_same_device' });
    await vk.policy('admin', `v = 1\n[device]\nissuers = ["${hostile.url}"]\nsame_device = true\n`);
    await reload();
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'consent_required' });
    const { challenge } = await start({ flow: 'device' });
    expect(await start({ flow: 'device', consent: { challenge: challenge.id, code: challenge.code } })).toMatchObject({ flow: 'device_code' });
    expect(audited('login_decided').at(-1)?.facts).toMatchObject({ reason: 'device_admin_override', policy_override: true });
  });

  it('[FC-07] is never by device code for what policy calls privileged, and the issuer hears nothing', async () => {
    await setUp({}, '', DEVICE);
    remote();
    await vk.policy('admin', `v = 1\n[device]\nissuers = ["${hostile.url}"]\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n`);
    await reload();
    expect(await start({ flow: 'device', scopes: ['openid', 'admin:all'] })).toMatchObject({ code: 'flow_refused', reason: 'device_denied_privileged' });
    expect(requestsToIssuer()).toBe(0);
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'consent_required' });
  });

  it('[FC-08] is by device code only for an issuer that the admin\'s file lists as well', async () => {
    await setUp({}, '', DEVICE);
    remote();
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'consent_required' });
    await vk.policy('admin', 'v = 1\n[device]\nissuers = ["https://other.example"]\n');
    await reload();
    expect(await start({ flow: 'device' })).toMatchObject({ code: 'flow_refused', reason: 'device_denied_tenant' });
    expect(requestsToIssuer()).toBe(0);
  });

  it('is refused for an issuer that a rule denies, with its name', async () => {
    await vk.policy('admin', 'v = 1\n[[rules]]\nname = "only-ours"\ndecide = "deny"\nwhen = { issuer = "http://**" }\n');
    await reload();
    expect(await start()).toMatchObject({ code: 'flow_refused', reason: 'tenant_not_allowed', detail: expect.stringContaining('rule admin/only-ours') });
    expect(requestsToIssuer()).toBe(0);
  });
});
