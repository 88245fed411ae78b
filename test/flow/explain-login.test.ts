/** `login --explain` and the record of a login, on a daemon in this process and a real audit log. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { followLogin } from '../../demo/browser.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { chooseFlow } from '../../daemon/policy/chooser.ts';
import type { ChooserInput } from '../../daemon/policy/chooser.ts';
import { readAuditLine } from '../../shared/audit-line.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import { someFacts } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { Fault, HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

let hostile: HostileIssuer;
let vk: InProcess;
/** As long as a browser is waited for; over when the test says so. */
const TUNNEL_MS = 120_000;
let endTheWait: () => void = () => undefined;
const untilTold = (signal: AbortSignal): Promise<void> => new Promise((resolve, reject) => {
  endTheWait = resolve;
  signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
});
const terminal = { device: 34816, foreground: true };

beforeEach(async () => {
  hostile = await startHostileIssuer();
  const clock = createClock();
  vk = await startInProcess({
    config: `${MANY_CALLERS}[device]\nissuers = ["${hostile.url}"]\n${profileToml('work', hostile.url)}`, keepsAudit: true,
    edges: { clock: { ...clock, sleep: (ms, signal) => (ms === TUNNEL_MS ? untilTold(signal) : clock.sleep(ms, signal)) } },
  });
  vk.caller = { terminal };
});
afterEach(async () => {
  await vk?.stop();
  await hostile?.close();
});
const SSH = someFacts({ remote: true, gui: 'none', browser: 'none' });
const start = async (ask: object = {}) => (await vk.api('POST', '/v1/logins', { profile: 'work', ...ask })).body;
const explain = async (ask: object = {}) => (await vk.api('POST', '/v1/logins/explain', { profile: 'work', ...ask })).body;
const cancel = (id: string) => vk.api('DELETE', `/v1/logins/${id}`);
const follow = async (id: string, waitS = 10) => (await vk.api('GET', `/v1/logins/${id}?wait_s=${waitS}`)).body;
const records = (): readonly AuditRecord[] => readFileSync(join(vk.stateDir, 'audit', 'audit.jsonl'), 'utf8').split('\n')
  .flatMap((line) => readAuditLine(line)?.record ?? []).filter(({ event }) => event === 'login_decided');

const text = v.pipe(v.string(), v.minLength(1));
const flag = v.boolean();
const texts = v.array(text);
/** The whole of a record's facts: a key more or less is a mistake. docs/audit.md lists them. */
const DECIDED = v.strictObject({
  decision_id: text, outcome: v.picklist(['pkce_loopback', 'pkce_ssh_forward', 'device', 'forward_broker', 'refuse']), reason: text, rule: text, rank: v.number(),
  failed_probes: texts, preference: v.picklist(['auto', 'pkce', 'device']), risk: v.picklist(['low', 'normal', 'high', 'privileged']),
  issuer: v.pipe(text, v.url()), tenant: v.nullable(text), client_id: text, scopes: texts, resource: v.nullable(text), acr_values: texts, max_age_s: v.nullable(v.number()),
  policy: v.nullable(v.strictObject({ admin: v.nullable(v.pipe(text, v.length(64))), user: v.nullable(v.pipe(text, v.length(64))), shipped: text })),
  policy_rule: v.nullable(text), policy_override: flag, machine: text,
  input: v.strictObject({
    facts: v.strictObject({
      automation: v.nullable(text), remote: flag, container: flag, wsl: v.nullable(v.strictObject({ interop: flag })), vdi: flag, sharedHost: flag,
      gui: v.picklist(['active', 'inactive', 'none']), browser: v.picklist(['graphical', 'none', 'unknown']), tty: flag, serviceSession: flag, ide: flag, forwarded: flag,
    }),
    preference: text, risk: text, browserConfigured: flag, manualOpen: flag,
    policy: v.strictObject({ trusted: flag, issuerAllowed: flag, deviceAllowed: flag, deviceOverride: flag, sshForward: flag }),
    server: v.nullable(v.strictObject({ fault: v.nullable(text), hasDeviceEndpoint: flag })),
    caller: v.strictObject({ sameUser: flag, foreignRoot: flag }),
    probes: v.strictObject({ bind: v.nullable(v.union([flag, v.literal('ports_taken')])), startHit: v.nullable(flag), forwardedBroker: flag, hostBroker: flag }),
  }),
});

describe('the record of a login', () => {
  it('[FC-13] is one for each of them, also for those that are refused, fail, are cancelled or nobody comes to, and replays to its outcome', async () => {
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "no-admin"\ndecide = "deny"\nwhen = { scopes = { any = ["admin:*"] } }\n');
    await vk.api('POST', '/v1/reload');
    const whileDiscovery = async (fault: Fault): Promise<void> => {
      const laid = hostile.fault('discovery', fault, 100);
      await start();
      laid.cancel();
    };
    const logins: readonly (readonly [string, () => Promise<unknown>])[] = [
      // Before its metadata is known.
      ['issuer_unreachable', () => whileDiscovery(faults.status(503))],
      ['as_metadata_invalid', () => whileDiscovery(faults.withMembers({ issuer: 'https://evil.example' }))],
      ['local_gui_ok', async () => vk.signIn('work', 'alice')],
      ['local_gui_ok', async () => cancel((await start()).id)],
      ['device_same_device', () => start({ flow: 'device' })],
      ['tenant_not_allowed', () => start({ scopes: ['openid', 'admin:all'] })],
      ['human_flow_in_automation', async () => {
        vk.facts = someFacts({ automation: 'CI' });
        return start();
      }],
      ['start_awaited', async () => {
        vk.facts = SSH;
        return cancel((await start()).id);
      }],
      ['ssh_forward_proved', async () => {
        const login = await start();
        await followLogin(login.start_url, { login: 'alice' });
        return follow(login.id);
      }],
      ['ssh_no_forward', async () => {
        const { challenge } = await start({ flow: 'device' });
        const login = await start({ flow: 'device', consent: { challenge: challenge.id, code: challenge.code } });
        return cancel(login.id);
      }],
      ['pkce_unavailable', async () => {
        vk.facts = someFacts({ remote: true, gui: 'inactive', tty: false });
        return start({ flow: 'pkce' });
      }],
      ['caller_elsewhere', async () => {
        vk.facts = someFacts({ forwarded: true });
        return start();
      }],
    ];
    for (const [, login] of logins) {
      const before = records().length;
      await login();
      await expect.poll(() => records().length).toBe(before + 1);
    }
    expect(records()).toHaveLength(logins.length);
    expect(records().map(({ facts }) => facts['reason'])).toEqual(logins.map(([reason]) => reason));
    for (const { facts, caller, profile } of records()) {
      const decided = v.parse(DECIDED, facts);
      const replayed = chooseFlow(decided.input as ChooserInput);
      expect({ outcome: decided.outcome, reason: decided.reason, rule: decided.rule, failed_probes: decided.failed_probes })
        .toEqual({ outcome: replayed.outcome, reason: replayed.reason, rule: replayed.rule, failed_probes: replayed.failedProbes });
      expect({ profile, pid: caller?.['pid'], issuer: decided.issuer }).toEqual({ profile: 'work', pid: process.pid, issuer: hostile.url });
      expect(decided.policy?.user).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('is there before the browser is told of the issuer', async () => {
    vk.facts = SSH;
    const login = await start();
    expect(records()).toEqual([]);
    const visit = await followLogin(login.start_url, { login: 'alice', stopBefore: (url) => url.origin === hostile.url });
    expect(visit.finalUrl).toContain(hostile.url);
    expect(records()).toMatchObject([{ facts: { outcome: 'pkce_ssh_forward', reason: 'ssh_forward_proved' } }]);
    await cancel(login.id);
  });
});

describe('a path that nobody proves', () => {
  it('[FC-12] is given up after 120 seconds, and the device flow is left to the same process, once it is confirmed', async () => {
    vk.facts = SSH;
    const login = await start();
    expect(login).toMatchObject({ reason: 'start_awaited', tunnel: { otherwise: 'device' } });
    expect(login.tunnel.until - Math.floor(Date.now() / 1000)).toBeGreaterThan(100);
    endTheWait();
    expect(await follow(login.id)).toMatchObject({ state: 'failed', error: { code: 'consent_required', reason: 'ssh_no_forward' } });
    expect(hostile.requestsTo('device')).toEqual([]);
    expect(records()).toMatchObject([{ facts: { outcome: 'device', reason: 'ssh_no_forward', input: { probes: { startHit: false } } } }]);
    const { challenge } = await start();
    expect(await start({ consent: { challenge: challenge.id, code: challenge.code } })).toMatchObject({ flow: 'device_code', reason: 'ssh_no_forward' });
    expect(records()).toHaveLength(1); // it is the same decision
  });

  it('is refused where policy lists no such issuer, and another process waits anew', async () => {
    await vk.config(`${MANY_CALLERS}${profileToml('work', hostile.url)}`);
    await vk.api('POST', '/v1/reload');
    vk.facts = SSH;
    const login = await start();
    expect(login.tunnel).toMatchObject({ otherwise: 'refuse' });
    endTheWait();
    expect(await follow(login.id)).toMatchObject({ state: 'failed', error: { code: 'flow_refused', reason: 'device_denied_tenant' } });
    expect(await start()).toMatchObject({ reason: 'start_awaited' });
  });
});

describe('the explanation of a sign-in', () => {
  it('says what would be done, asks no issuer, starts nothing and leaves no record', async () => {
    for (const [facts, ask] of [[someFacts(), {}], [someFacts(), { flow: 'device' }], [SSH, {}], [SSH, { flow: 'pkce' }], [someFacts({ automation: 'CI' }), {}]] as const) {
      vk.facts = facts;
      const told = await explain(ask);
      expect(hostile.log).toEqual([]);
      expect(records()).toEqual([]);
      expect((await vk.api('GET', '/v1/status')).body.logins).toEqual([]);
      expect(chooseFlow(told.input as ChooserInput)).toMatchObject({ outcome: told.outcome, rule: told.rule, reason: told.reason });
    }
  });

  it('agrees with what is done then', async () => {
    for (const facts of [someFacts(), SSH, someFacts({ automation: 'CI' }), someFacts({ container: true, gui: 'none', tty: true }), someFacts({ forwarded: true })]) {
      for (const flow of ['auto', 'pkce', 'device'] as const) {
        vk.facts = facts;
        const told = await explain({ flow });
        const done = await start({ flow });
        const reason = done.code === 'consent_required' ? 'device' : done.reason;
        expect(reason).toBe(told.outcome === 'device' ? 'device' : told.reason);
        if (done.id !== undefined) await cancel(done.id);
      }
    }
  });

  it('names the one thing that would change it', async () => {
    vk.facts = SSH;
    const { changes } = await explain();
    expect(changes).toContainEqual(expect.objectContaining({ field: 'probes.startHit', to: true, outcome: 'pkce_ssh_forward', reason: 'ssh_forward_proved', waits_s: null }));
    expect(changes).toContainEqual(expect.objectContaining({ field: 'probes.startHit', to: false, outcome: 'device', reason: 'ssh_no_forward' }));
    expect(await explain({ profile: 'nobody' })).toMatchObject({ code: 'unknown_profile' });
  });
});
