/** A rule that wants a person: from the question over the answer at another terminal to the token, and to the end of the consent. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../daemon/core/domain.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
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
    void token();
    await answer(await question());
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
