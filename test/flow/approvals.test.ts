/** A rule that wants a person: from the question over the answer at another terminal to the token, and to the end of the consent. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../daemon/core/domain.ts';
import { someCallers, someDesktop, someOrigin } from '../support/builders.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { LineClient } from '../support/line-client.ts';
import { someApprover, someAsker } from '../support/parties.ts';

const ASKS = 'v = 1\n[[rules]]\nname = "agents"\ndecide = "confirm"\nask = "for:1h"\nwhen = { class = "agent" }\n';

/** The kernel's uid stays: it is the daemon's own. */
const own = ({ uid: _uid, ...facts }: Caller): object => facts;

let hostile: HostileIssuer;
let vk: InProcess;

beforeEach(async () => {
  hostile = await startHostileIssuer({ scopes: ['api:read', 'api:write', 'admin:all'] });
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url, ''), issuerTimeoutMs: 2_000 });
  vk.isPlay = true;
  vk.caller = own(someApprover());
  await vk.signIn('work', 'alice');
  await vk.policy('user', ASKS);
  expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
  vk.caller = own(someAsker());
});
afterEach(async () => {
  await vk.stop();
  await hostile.close();
});

const token = async (ask: object = {}) => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const approvals = async () => (await vk.api('GET', '/v1/approvals')).body;
async function question(): Promise<string> {
  await expect.poll(async () => (await approvals()).pending.length).toBe(1);
  return (await approvals()).pending[0].id;
}
async function answer(id: string, body: object = { allow: true }) {
  vk.caller = own(someApprover());
  const { status, body: reply } = await vk.api('POST', `/v1/approvals/${id}`, body);
  vk.caller = own(someAsker());
  return { status, ...reply };
}
const audited = (event: string) => vk.audit.events.filter((each) => each.event === event);

describe('a rule that names the bytes of a program', () => {
  it('is decided by those that run, computed when they are first asked for', async () => {
    vk.caller = {};
    const digest = (await vk.api('GET', '/v1/whoami')).body.digest as string;
    expect(digest).toMatch(/^[0-9a-f]{64}$/);
    const rule = (bytes: string): string => `v = 1\n[[rules]]\nname = "known"\ndecide = "allow"\nwhen = { digest = "${bytes}" }\n[[rules]]\nname = "others"\ndecide = "deny"\n`;
    for (const [bytes, expected] of [[digest, { rule: 'admin/known' }], ['0'.repeat(64), { code: 'policy_denied', reason: 'admin/others' }]] as const) {
      await vk.policy('admin', rule(bytes));
      await vk.policy('user', 'v = 1\n');
      expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
      expect(await token()).toMatchObject(expected);
    }
  });
});

describe('a question without a request', () => {
  const asking = async (ask: object = {}) => (await vk.api('POST', '/v1/approvals/ask', { profile: 'work', ...ask })).body;

  it('gives no token, and a yes to what the API answers is none to the token', async () => {
    const waiting = asking({ claimed: { reason: 'to read the issues' } });
    const id = await question();
    expect((await approvals()).pending[0]).toMatchObject({ use: 'fetch', claimed: { reason: 'to read the issues' } });
    await answer(id);
    expect(await waiting).toEqual({ profile: 'work', use: 'fetch', rule: 'user/agents' });
    expect(await asking()).toEqual({ profile: 'work', use: 'fetch', rule: 'user/agents' });
    expect(audited('approval_given')).toHaveLength(1);
    expect([...audited('token_released'), ...audited('fetch_started')]).toEqual([]);
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required' });
  });

  it('is about the token where that is asked for, and refused as a request would be', async () => {
    const waiting = asking({ use: 'token' });
    const id = await question();
    await answer(id);
    expect(await waiting).toMatchObject({ use: 'token' });
    expect(await token()).toMatchObject({ rule: 'user/agents', access_token: expect.any(String) });
    expect(await asking({ scopes: ['never:all'], wait_s: 0 })).toMatchObject({ code: expect.stringMatching(/scope_not_granted|policy_denied|approval_required/) });
    expect(await asking({ profile: 'none' })).toMatchObject({ code: 'unknown_profile' });
  });
});

describe('a consent that is taken back', () => {
  const consent = async (): Promise<string> => {
    const waiting = token();
    const id = await question();
    await answer(id);
    expect(await waiting).toMatchObject({ rule: 'user/agents' });
    expect(await token()).toMatchObject({ rule: 'user/agents' });
    return id;
  };
  const refused = { code: 'approval_required', reason: 'user/agents' };

  it('is not outrun by a request that waits for the issuer', async () => {
    const id = await consent();
    const slow = hostile.fault('token', faults.delay(500));
    const waiting = token({ force: true, wait_s: 2 });
    await expect.poll(() => slow.hits).toBe(1);
    const released = audited('token_released').length;
    expect((await vk.api('DELETE', `/v1/approvals/${id}`)).status).toBe(200);
    expect(await waiting).toMatchObject(refused);
    expect(audited('token_released')).toHaveLength(released);
  });

  it.each([['one', (id: string) => vk.api('DELETE', `/v1/approvals/${id}`)], ['all', () => vk.api('DELETE', '/v1/approvals')]])('nor by one whose release is being recorded: %s', async (_what, revoke) => {
    const id = await consent();
    vk.skipMs = 61_000; // the next release is written again
    const append = vk.audit.append.bind(vk.audit);
    let write: () => void = () => undefined;
    const writing = new Promise<void>((resolve) => {
      vk.audit.append = async (event) => {
        if (event.event === 'token_released') await new Promise<void>((written) => {
          write = written;
          resolve();
        });
        return append(event);
      };
    });
    const waiting = token({ wait_s: 1 });
    await writing;
    expect((await revoke(id)).status).toBe(200);
    write();
    expect(await waiting).toMatchObject(refused);
  });

  it('asks anew, and a yes to that lets the request go on', async () => {
    const id = await consent();
    const slow = hostile.fault('token', faults.delay(500));
    const waiting = token({ force: true });
    await expect.poll(() => slow.hits).toBe(1);
    await vk.api('DELETE', `/v1/approvals/${id}`);
    await answer(await question());
    expect(await waiting).toMatchObject({ access_token: expect.any(String) as string });
  });
});

describe('a rule that wants a person', () => {
  it('[IP-10] holds the request until a person at another terminal agrees, and is not asked again', async () => {
    const waiting = token({ claimed: { name: 'deploy', reason: 'to ship it' } });
    const id = await question();
    expect((await approvals()).pending[0]).toMatchObject({
      profile: 'work', caller: 'curl (pid 5100)', executable: '/usr/bin/curl', agent: 'claude-code', rule: 'user/agents', may_hold_s: 3_600,
      claimed: { name: 'deploy', reason: 'to ship it' }, lineage: ['sh (pid 5050)', 'node (pid 5000)', 'bash (pid 4900)'],
    });
    expect(await answer(id)).toMatchObject({ status: 200, ok: true });
    expect(await waiting).toMatchObject({ access_token: expect.any(String) as string, rule: 'user/agents' });
    expect(audited('approval_given').at(-1)).toMatchObject({ caller: { pid: 6_000 }, facts: { approval: id, asker: 'curl (pid 5100)', rule: 'user/agents' } });
    expect(audited('token_released').at(-1)?.facts).toMatchObject({ rule: 'user/agents', approval: id });
    expect(await token()).toMatchObject({ rule: 'user/agents' });
    expect((await approvals()).active).toMatchObject([{ id, caller: 'curl (pid 5100)', binding: 'session', given_by: 'valetkey (pid 6000)' }]);
  });

  it('[MC-04] asks anew for another resource and for other scopes, and gives a token for no resource that was not signed in for', async () => {
    const waiting = token();
    const id = await question();
    await answer(id);
    await waiting;
    expect(await token()).toMatchObject({ rule: 'user/agents' });
    expect(await token({ scopes: ['openid'], wait_s: 1 })).toMatchObject({ code: 'approval_required' });
    expect(await token({ resource: 'https://unlisted.example', wait_s: 1 })).toMatchObject({ code: expect.stringMatching(/^(approval_required|login_required|policy_denied)$/) as string });
    for (const { id: open } of (await approvals()).pending) await answer(open);
    expect(await token({ resource: 'https://unlisted.example', wait_s: 1 })).not.toHaveProperty('access_token');
  });

  it('[IP-10] is not answered by the program that asks, nor over the other dialect', async () => {
    const waiting = token({ wait_s: 2 });
    const id = await question();
    expect((await vk.api('POST', `/v1/approvals/${id}`, { allow: true })).body).toMatchObject({ code: 'approval_refused', detail: expect.stringContaining('started by claude-code') as string });
    const line = new LineClient(vk.socket);
    expect(await line.ask({ type: 'answerApproval', id: 1, data: { id, allow: true } }).wait(1)).toMatchObject([{ status: 403, data: { code: 'approval_refused' } }]);
    line.leave();
    expect(await waiting).toMatchObject({ code: 'approval_required', reason: 'user/agents', hint: `Run in another terminal: valetkey approve ${id}` });
    expect(hostile.requestsTo('token').length).toBe(1); // of the sign-in
  });

  it('is told no, in its record as well, and told so again for a minute', async () => {
    const waiting = token();
    expect(await answer(await question(), { allow: false })).toMatchObject({ status: 200 });
    expect(await waiting).toMatchObject({ code: 'approval_denied' });
    expect(await token()).toMatchObject({ code: 'approval_denied' });
    expect((await approvals()).pending).toEqual([]);
    expect(audited('approval_denied')).toHaveLength(1);
    expect(audited('token_refused').at(-1)?.facts).toMatchObject({ code: 'approval_denied' });
  });

  it('tells what waits to who listens, and takes the answer of one who was too late', async () => {
    expect(await token({ wait_s: 0 })).toMatchObject({ code: 'approval_required', retryable: true });
    await answer(await question());
    expect(await token({ wait_s: 0 })).toMatchObject({ access_token: expect.any(String) as string });
  });

  it.each([
    ['the user locks', () => vk.api('POST', '/v1/lock')],
    ['somebody logs out', () => vk.api('DELETE', '/v1/grants/work')],
  ])('[IP-10] has no consent any more once %s', async (_what, act) => {
    const waiting = token();
    await answer(await question());
    await waiting;
    expect((await approvals()).active).toHaveLength(1);
    await act();
    expect(await approvals()).toMatchObject({ pending: [], active: [] });
  });

  it('asks nobody who is not meant, and refuses where a rule says no by the time of the answer', async () => {
    vk.caller = own(someApprover());
    expect(await token()).toMatchObject({ rule: 'shipped/login-session' });
    vk.caller = own(someAsker());
    const waiting = token();
    const id = await question();
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "none"\ndecide = "deny"\nwhen = { class = "agent" }\n');
    await vk.api('POST', '/v1/reload');
    await answer(id);
    expect(await waiting).toMatchObject({ code: 'policy_denied', reason: 'user/none' });
  });
});

describe('what is privileged', () => {
  const PRIVILEGED = 'v = 1\n[[tiers]]\nname = "admin"\ntier = "privileged"\nwhen = { scopes = { any = ["admin:*"] } }\n';
  const asked = { scopes: ['admin:all'], wait_s: 20 };
  const asPerson = async (method: string, path: string, body: object) => {
    vk.caller = own(someApprover());
    const { status, body: reply } = await vk.api(method, path, body);
    vk.caller = own(someAsker());
    return { status, ...reply };
  };

  beforeEach(async () => {
    await vk.policy('admin', PRIVILEGED);
    await vk.policy('user', 'v = 1\n');
    expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
    // Privileged tokens live five minutes at most.
    hostile.issuer.setLifetimes({ accessTokenS: 300 });
    vk.caller = own(someApprover());
    await vk.signIn('work', 'alice', { scopes: ['openid', 'admin:all'], claimed: { reason: 'a test' } });
    vk.caller = own(someAsker());
  });

  it('[WL-04] is asked of a person on another channel each time, and the record names the agent', async () => {
    expect(await asPerson('POST', '/v1/approval-pin', { pin: '471100' })).toMatchObject({ status: 200 });
    for (let round = 0; round < 2; round += 1) {
      const waiting = token(asked);
      const id = await question();
      expect((await approvals()).pending[0]).toMatchObject({ agent: 'claude-code', rule: 'shipped/privileged-each', pin_needed: true, may_hold_s: null });
      expect((await vk.api('POST', `/v1/approvals/${id}`, { allow: true, pin: '471100' })).body).toMatchObject({ code: 'approval_refused' });
      expect(await answer(id, { allow: true, pin: '471100' })).toMatchObject({ status: 200 });
      expect(await waiting).toMatchObject({ access_token: expect.any(String) as string, rule: 'shipped/privileged-each' });
    }
    expect(audited('token_released').at(-1)).toMatchObject({ caller: { origin: { class: 'agent', agent: 'claude-code' } }, facts: { rule: 'shipped/privileged-each' } });
    expect(audited('approval_given')).toHaveLength(2);
  });

  it('[IP-10] needs the PIN, and a wrong one is on record and counted', async () => {
    const waiting = token(asked);
    const id = await question();
    expect(await answer(id)).toMatchObject({ status: 403, code: 'pin_required', hint: 'Run: valetkey approvals pin set' });
    expect(await asPerson('POST', '/v1/approval-pin', { pin: '471100' })).toMatchObject({ ok: true });
    expect(await answer(id)).toMatchObject({ code: 'pin_required', hint: `Run: valetkey approve ${id}` });
    for (let tries = 0; tries < 3; tries += 1) expect(await answer(id, { allow: true, pin: '000000' })).toMatchObject({ code: 'pin_wrong' });
    expect(await answer(id, { allow: true, pin: '471100' })).toMatchObject({ status: 429, code: 'too_many_requests' });
    expect(audited('pin_refused').map(({ facts }) => facts['approval'])).toEqual([id, id, id]);
    expect(JSON.stringify([vk.audit.events, vk.log.lines])).not.toMatch(/471100|000000/);
    // A no needs none.
    expect(await answer(id, { allow: false })).toMatchObject({ ok: true });
    expect(await waiting).toMatchObject({ code: 'approval_denied' });
  });

  it('[IP-10] has no PIN of a script: neither the asker nor its children set one, nor change it unknown', async () => {
    expect((await vk.api('POST', '/v1/approval-pin', { pin: '999999' })).body).toMatchObject({ code: 'approval_refused', detail: expect.stringContaining('started by claude-code') as string });
    const waiting = token(asked);
    await question();
    // A terminal that was made after the question.
    vk.caller = own(someApprover({}, { sessionLeader: { pid: 7_000, startTime: '99999999999' } }));
    expect((await vk.api('POST', '/v1/approval-pin', { pin: '999999' })).body).toMatchObject({ code: 'approval_refused', detail: expect.stringContaining('younger') as string });
    expect(await asPerson('POST', '/v1/approval-pin', { pin: '471100' })).toMatchObject({ ok: true });
    expect(await asPerson('POST', '/v1/approval-pin', { pin: '999999' })).toMatchObject({ code: 'pin_wrong' });
    expect(await asPerson('POST', '/v1/approval-pin', { pin: '999999', old: '471100' })).toMatchObject({ ok: true });
    expect(await asPerson('POST', '/v1/approval-pin', { pin: null, old: '999999' })).toMatchObject({ ok: true });
    expect(audited('pin_changed').map(({ facts }) => facts['what'])).toEqual(['set', 'changed', 'removed']);
    expect((await approvals()).channels).toMatchObject({ pin: 'not_set' });
    await vk.api('POST', '/v1/lock');
    expect(await waiting).toMatchObject({ code: 'vault_locked' });
  });
});

describe('the desktop', () => {
  it('[IP-10] answers by a dialog on a display that the asker did not make, and who showed it is on record', async () => {
    const uid = process.getuid?.() ?? 0;
    const server: Caller = { ...someApprover({ uid, pid: 800, startTime: '60', terminal: null, label: 'Xorg (pid 800)' }), origin: someOrigin({ class: 'workload', lineage: [], sessionLeader: null }) };
    let current: Caller = someApprover({ uid });
    let display: Caller = server;
    const texts: (readonly string[])[] = [];
    await vk.stop();
    vk = await startInProcess({
      config: MANY_CALLERS + profileToml('work', hostile.url, ''), issuerTimeoutMs: 2_000,
      edges: {
        callers: someCallers({ attest: async ({ pid }) => (pid === 800 ? display : current) }),
        desktop: someDesktop({
          find: async () => ({ servers: [{ pid: 800, uid }], display: { x11: ':7', wayland: null, xauthority: null, type: 'x11', desktop: '' } }),
          ask: async (_seat, { lines }) => {
            texts.push(lines);
            return { kind: 'yes', pin: null, afterMs: 3_000 };
          },
          state: async () => ({ dialogs: 'pinentry-qt', notifications: true, why: null }),
        }),
      },
    });
    await vk.signIn('work', 'alice');
    await vk.policy('user', ASKS);
    await vk.api('POST', '/v1/reload');
    expect((await approvals()).channels).toEqual({ terminal: null, dialog: 'pinentry-qt', no_dialog_because: null, notifications: true, pin: 'not_set' });
    current = someAsker({ uid });
    // A display of the agent's own making first.
    display = { ...server, origin: someOrigin({ lineage: [{ pid: 5000, startTime: '200', name: 'node', executable: null, script: null }] }) };
    expect(await token({ wait_s: 1 })).toMatchObject({ code: 'approval_required' });
    expect(texts).toEqual([]);
    await vk.api('POST', `/v1/approvals/${await question()}`, { allow: false });
    vk.skipMs += 61_000;
    display = server;
    expect(await token({ wait_s: 20 })).toMatchObject({ access_token: expect.any(String) as string, rule: 'user/agents' });
    expect(texts).toHaveLength(1);
    expect(audited('approval_given')).toMatchObject([{ caller: { pid: 800 }, facts: { channel: 'dialog', asker: 'curl (pid 5100)' } }]);
    // On record before the release that it is for.
    expect(vk.audit.events.map(({ event }) => event).filter((event) => event === 'approval_given' || event === 'token_released')).toEqual(['approval_given', 'token_released']);
  });
});

describe('a consent beforehand', () => {
  const grant = { executable: process.execPath, profile: 'work', pin: '471100' };
  const asPerson = async (path: string, body: object) => {
    vk.caller = own(someApprover());
    const { status, body: reply } = await vk.api('POST', path, body);
    vk.caller = {};
    return { status, ...reply };
  };

  it('[IP-10] is given with the PIN by a person, and by no script', async () => {
    await vk.policy('user', 'v = 1\n[[rules]]\nname = "jobs"\ndecide = "confirm"\nask = "once"\n');
    await vk.api('POST', '/v1/reload');
    expect((await vk.api('POST', '/v1/approvals', grant)).body).toMatchObject({ code: 'approval_refused', detail: expect.stringContaining('started by claude-code') as string });
    expect(await asPerson('/v1/approvals', { ...grant, pin: undefined })).toMatchObject({ code: 'pin_required' });
    expect(await asPerson('/v1/approvals', grant)).toMatchObject({ code: 'pin_required', hint: 'Run: valetkey approvals pin set' });
    await asPerson('/v1/approval-pin', { pin: '471100' });
    expect(await asPerson('/v1/approvals', { ...grant, pin: '000000' })).toMatchObject({ code: 'pin_wrong' });
    for (const wrong of [{ executable: process.execPath }, { executable: 'node' }, { executable: '/nonexistent' }, { executable: '/tmp' }, { script: 'x.py' }]) expect(await asPerson('/v1/approvals', { ...grant, ...wrong })).toMatchObject({ code: 'bad_request' });
    expect(await asPerson('/v1/approvals', { ...grant, profile: 'none' })).toMatchObject({ code: 'unknown_profile' });
    // The program that asks is this test's own, as the kernel tells.
    const { program } = (await vk.api('GET', '/v1/whoami')).body;
    expect(await asPerson('/v1/approvals', { ...grant, executable: program.executable, ...(program.script === null ? {} : { script: program.script }) })).toMatchObject({ status: 200, binding: 'program', rule: 'any' });
    expect(await token()).toMatchObject({ access_token: expect.any(String) as string, rule: 'user/jobs' });
    expect(audited('approval_given').at(-1)?.facts).toMatchObject({ channel: 'beforehand', executable: program.executable, digest: expect.stringMatching(/^[0-9a-f]{64}(?:\/[0-9a-f]{64})?$/) as string });
    expect(audited('token_released').at(-1)?.facts).toMatchObject({ approval: (await approvals()).active[0].id });
  });
});

describe('all consents', () => {
  it('are taken back by one request, each on record', async () => {
    const waiting = token();
    await answer(await question());
    await waiting;
    const [{ id }] = (await approvals()).active;
    expect((await vk.api('DELETE', '/v1/approvals')).body).toEqual({ ok: true, revoked: [id] });
    expect(audited('approval_revoked').map(({ facts }) => facts['approval'])).toEqual([id]);
    expect((await approvals()).active).toEqual([]);
  });
});
