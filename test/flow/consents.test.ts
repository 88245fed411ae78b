/** Consents across restarts of the daemon and of the machine, over the socket and on a real disk. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../daemon/core/domain.ts';
import { FakeVault } from '../support/fakes.ts';
import { startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { someApprover, someAsker } from '../support/parties.ts';
import { PASSPHRASE } from '../support/vault-rig.ts';

const HOUR_MS = 3_600_000;
const ASKS = 'v = 1\n[[rules]]\nname = "agents"\ndecide = "confirm"\nask = "for:24h"\nwhen = { class = "agent" }\n';

/** The kernel's uid stays: it is the daemon's own. */
const own = ({ uid: _uid, ...facts }: Caller): object => facts;

const asker = (digest: string): object => own(someAsker({}, { digest }));
const ASKER = asker('ab'.repeat(32));

let hostile: HostileIssuer;
let vk: InProcess;

const unlock = (create: boolean) => vk.api('POST', '/v1/unlock', { passphrase: PASSPHRASE.reveal(), create });
const file = () => join(vk.stateDir, 'secrets/_consents.jwe');

beforeEach(async () => {
  hostile = await startHostileIssuer({ scopes: ['api:read', 'admin:all'] });
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url) + profileToml('other', hostile.url), backend: 'passphrase', issuerTimeoutMs: 2_000 });
  vk.isPlay = true;
  vk.caller = own(someApprover());
  expect((await unlock(true)).status).toBe(200);
  for (const name of ['work', 'other']) await vk.signIn(name, 'alice');
  await vk.policy('user', ASKS);
  expect((await vk.api('POST', '/v1/reload')).status).toBe(200);
  vk.caller = ASKER;
});
afterEach(async () => {
  await vk.stop();
  await hostile.close();
});

async function restart(): Promise<void> {
  await vk.restart();
  expect((await unlock(false)).status).toBe(200);
}
async function reboot(): Promise<void> {
  vk.bootId = 'boot-2';
  await restart();
}
const asPerson = async (method: string, path: string, body?: object) => {
  vk.caller = own(someApprover());
  const { status, body: reply } = await vk.api(method, path, body);
  vk.caller = ASKER;
  return { status, ...reply };
};
const token = async (profile = 'work') => (await vk.api('POST', '/v1/token', { profile, wait_s: 0 })).body;
const approvals = async () => (await vk.api('GET', '/v1/approvals')).body;
const active = async () => (await approvals()).active as readonly { id: string; profile: string; outlasts: string | null; expires_at: number }[];
const ALLOWED = { access_token: expect.any(String) as string, rule: 'user/agents' };
const ASKED = { code: 'approval_required' };

/** @returns its id */
async function agree(profile = 'work', answer: object = { binding: 'program' }): Promise<string> {
  expect(await token(profile)).toMatchObject(ASKED);
  const id = (await approvals()).pending[0].id as string;
  expect(await asPerson('POST', `/v1/approvals/${id}`, { allow: true, ...answer })).toMatchObject({ status: 200, ok: true });
  expect(await token(profile)).toMatchObject(ALLOWED);
  return id;
}

describe('a consent', () => {
  it('[IP-10] of a program outlasts the daemon and a reboot, and says so', async () => {
    expect(await token()).toMatchObject(ASKED);
    const { id } = (await approvals()).pending[0];
    expect(await asPerson('POST', `/v1/approvals/${id}`, { allow: true, binding: 'program' })).toMatchObject({ ok: true, outlasts: 'reboot' });
    await restart();
    expect(await token()).toMatchObject(ALLOWED);
    expect(vk.audit.events.findLast(({ event }) => event === 'token_released')?.facts).toMatchObject({ approval: id });
    await reboot();
    expect(await token()).toMatchObject(ALLOWED);
    expect(await active()).toMatchObject([{ id, outlasts: 'reboot', profile: 'work' }]);
    expect((await active())[0]?.expires_at).toBeGreaterThan(Date.now() / 1000 + 86_000);
  });

  it('[IP-10] in a terminal outlasts the daemon, and ends with the boot', async () => {
    await agree('work', {});
    await restart();
    expect(await token()).toMatchObject(ALLOWED);
    expect(await active()).toMatchObject([{ outlasts: 'daemon' }]);
    await reboot();
    expect([await token(), await active()]).toEqual([expect.objectContaining(ASKED), []]);
  });

  it('[IP-10] in a terminal ends with it while no daemon runs', async () => {
    await agree('work', {});
    // Now the kernel is asked: pid 4900 of start 40 does not run here.
    vk.isPlay = false;
    await restart();
    expect(await active()).toEqual([]);
  });

  it('[IP-10] beforehand is there after a reboot for a job that nobody watches, and ends with the bytes of its program', async () => {
    await asPerson('POST', '/v1/approval-pin', { pin: '471100' });
    const program = join(vk.stateDir, '..', 'job');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o700);
    expect(await asPerson('POST', '/v1/approvals', { executable: program, profile: 'work', pin: '471100' })).toMatchObject({ status: 200, outlasts: 'reboot' });
    await reboot();
    expect(await active()).toMatchObject([{ caller: program, rule: 'any', binding: 'program', outlasts: 'reboot' }]);
  });

  it('[IP-10] is none to a program that was changed while the daemon was off', async () => {
    await agree();
    await restart();
    expect(await token()).toMatchObject(ALLOWED);
    await restart();
    vk.caller = asker('cd'.repeat(32));
    expect(await token()).toMatchObject(ASKED);
  });

  it('is none of the disk where nobody could read the bytes of the program', async () => {
    vk.caller = own(someAsker());
    expect(await token()).toMatchObject(ASKED);
    const { id } = (await approvals()).pending[0];
    expect(await asPerson('POST', `/v1/approvals/${id}`, { allow: true, binding: 'program' })).toMatchObject({ ok: true, outlasts: null });
    vk.caller = own(someAsker());
    expect([await token(), existsSync(file())]).toEqual([expect.objectContaining(ALLOWED), false]);
  });
});

describe('the time of a consent', () => {
  it('[IP-10] is not lengthened by a clock that is set back by twelve hours, whenever that is', async () => {
    await agree();
    vk.skipMs += 13 * HOUR_MS;
    vk.setMs -= 12 * HOUR_MS;
    expect(await active()).toHaveLength(1);
    await restart();
    vk.skipMs += 11 * HOUR_MS - 600_000;
    expect(await active()).toHaveLength(1);
    await reboot();
    expect(await active()).toHaveLength(1);
    vk.skipMs += 600_000;
    expect([await active(), await token()]).toEqual([[], expect.objectContaining(ASKED)]);
  });

  it('[IP-10] ends by a clock that was set ahead, and where it was set back over a reboot', async () => {
    await agree();
    vk.setMs += 25 * HOUR_MS;
    expect(await active()).toEqual([]);
    vk.setMs = 0;
    await agree('other');
    await vk.daemon.stop('the machine goes off');
    vk.setMs -= 12 * HOUR_MS;
    await reboot();
    expect(await active()).toEqual([]);
  });
});

it('[IP-10] the end of the daemon says when it was: a clock that tells less at the next boot ends what was kept', async () => {
  await agree();
  vk.skipMs += 10 * HOUR_MS;
  await vk.daemon.stop('the machine goes off');
  vk.setMs -= 2 * HOUR_MS;
  await reboot();
  expect(await active()).toEqual([]);
});

it('[IP-10] a consent of a vault in memory is kept by the one that takes its place', async () => {
  await vk.stop();
  const vault = new FakeVault();
  vault.consents.isLasting = false;
  vk = await startInProcess({ config: MANY_CALLERS + profileToml('work', hostile.url), issuerTimeoutMs: 2_000, edges: { vault } });
  vk.isPlay = true;
  vk.caller = own(someApprover());
  await vk.signIn('work', 'alice');
  await vk.policy('user', ASKS);
  await vk.api('POST', '/v1/reload');
  vk.caller = ASKER;
  await agree();
  expect(await active()).toMatchObject([{ outlasts: null }]);
  vault.consents.isLasting = true;
  expect((await asPerson('POST', '/v1/unlock', {})).status).toBe(200);
  expect(await active()).toMatchObject([{ outlasts: 'reboot' }]);
});

describe('the end of a consent', () => {
  it.each<[string, (id: string) => Promise<{ status: number }>]>([
    ['it was revoked', (id) => vk.api('DELETE', `/v1/approvals/${id}`)],
    ['all were revoked', () => vk.api('DELETE', '/v1/approvals')],
    ['its profile was logged out', () => vk.api('DELETE', '/v1/grants/work')],
    ['the user locked', () => vk.api('POST', '/v1/lock')],
    ['everything was ended by a panic', () => vk.api('POST', '/v1/panic')],
    ['everything was purged', () => vk.api('POST', '/v1/purge')],
  ])('[IP-10] is on the disk once it is told that %s, whatever crashes then', async (_what, act) => {
    const id = await agree();
    expect(existsSync(file())).toBe(true);
    expect(await act(id)).toMatchObject({ status: 200 });
    expect(existsSync(file())).toBe(false);
    await vk.daemon.stop('a restart');
    rmSync(join(vk.stateDir, 'lockout.json'), { force: true });
    await vk.restart();
    vk.caller = own(someApprover());
    await unlock(!existsSync(join(vk.stateDir, 'vault.json')));
    expect(await active()).toEqual([]);
  });

  it('[IP-10] takes no other along', async () => {
    const id = await agree();
    await agree('other');
    expect(await asPerson('DELETE', `/v1/approvals/${id}`)).toMatchObject({ ok: true });
    await restart();
    expect(await active()).toMatchObject([{ profile: 'other' }]);
  });

  it('[IP-10] is found by its id after a restart, and asks for the vault where that is closed', async () => {
    const id = await agree();
    await vk.restart();
    expect((await vk.api('DELETE', `/v1/approvals/${id}`)).body).toMatchObject({ code: 'vault_locked' });
    await unlock(false);
    expect((await vk.api('DELETE', `/v1/approvals/${id}`)).body).toEqual({ ok: true });
    expect((await vk.api('DELETE', `/v1/approvals/${id}`)).body).toMatchObject({ code: 'not_found' });
  });

  it.each<[string, () => Promise<{ status: number }>]>([
    ['revoke --all', () => vk.api('DELETE', '/v1/approvals')], ['lock', () => vk.api('POST', '/v1/lock')], ['panic', () => vk.api('POST', '/v1/panic')],
  ])('[IP-10] comes by %s also where the vault was not opened since the start', async (_what, act) => {
    await agree();
    await vk.restart();
    expect(await act()).toMatchObject({ status: 200 });
    expect(existsSync(file())).toBe(false);
  });

  it('[RV-02] comes after a panic that was killed before it got to the consents', async () => {
    await agree();
    await vk.daemon.stop('a crash');
    expect(existsSync(file())).toBe(true);
    writeFileSync(join(vk.stateDir, 'lockout.json'), `${JSON.stringify({ v: 1, at: Date.now(), swept: false })}\n`, { mode: 0o600 });
    await vk.restart();
    expect(existsSync(file())).toBe(false);
    vk.caller = own(someApprover());
    expect((await unlock(false)).status).toBe(200);
    expect(await active()).toEqual([]);
  });

  it('[ST-03] is not undone by an old copy of the file', async () => {
    const id = await agree();
    const old = readFileSync(file());
    await vk.api('DELETE', `/v1/approvals/${id}`);
    await vk.daemon.stop('a restart');
    writeFileSync(file(), old, { mode: 0o600 });
    await vk.restart();
    await unlock(false);
    expect(await token()).toMatchObject(ASKED);
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^rolled_back: the consents that were kept are not the last ones/));
  });

  it('[ST-03] is not undone by an old copy where the vault was not open when it came', async () => {
    await agree();
    await vk.daemon.stop('a restart');
    const old = readFileSync(file());
    await vk.restart();
    expect((await vk.api('DELETE', '/v1/approvals')).status).toBe(200);
    expect((await unlock(false)).status).toBe(200);
    await vk.daemon.stop('a restart');
    writeFileSync(file(), old, { mode: 0o600 });
    await restart();
    expect(await active()).toEqual([]);
  });

  it.each<[string, (id: string) => Promise<{ body: unknown }>]>([
    ['a revocation', (id) => vk.api('DELETE', `/v1/approvals/${id}`)], ['a logout', () => vk.api('DELETE', '/v1/grants/work')], ['a lock', () => vk.api('POST', '/v1/lock')],
  ])('[IP-10] is not told by %s where the disk keeps it, though nothing holds any more', async (what, act) => {
    const id = await agree();
    // Nothing can take its place, and nothing remove it.
    rmSync(file());
    mkdirSync(file());
    writeFileSync(join(file(), 'x'), '');
    expect((await act(id)).body).toMatchObject({ code: 'vault_unwritable', detail: expect.stringMatching(/^consents have ended, and would be back/) as string });
    expect(await active()).toEqual([]);
    const { locked, grants } = (await vk.api('GET', '/v1/status')).body;
    expect([locked, grants.map(({ profile }: { profile: string }) => profile).toSorted()]).toEqual(what === 'a lock' ? [true, []] : [false, what === 'a logout' ? ['other'] : ['other', 'work']]);
    rmSync(file(), { recursive: true });
  });
});

describe('what cannot be kept, or read', () => {
  it('[IP-10] holds in memory, and the answer says that it ends with the daemon', async () => {
    mkdirSync(file());
    expect(await token()).toMatchObject(ASKED);
    const { id } = (await approvals()).pending[0];
    expect(await asPerson('POST', `/v1/approvals/${id}`, { allow: true, binding: 'program' })).toMatchObject({ ok: true, outlasts: null });
    expect(await token()).toMatchObject(ALLOWED);
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^vault_unwritable: consents end with the daemon, since they cannot be kept/));
    rmSync(file(), { recursive: true });
  });

  it('[IP-10] opens nothing where it was damaged, is set aside, and warned of', async () => {
    await agree();
    await vk.daemon.stop('a restart');
    writeFileSync(file(), 'not ours', { mode: 0o600 });
    await vk.restart();
    await unlock(false);
    expect(await token()).toMatchObject(ASKED);
    expect(readFileSync(`${file()}.corrupt-1`, 'utf8')).toBe('not ours');
    expect((await vk.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^vault_corrupt: the consents that were kept cannot be opened, and were set aside/));
    expect(vk.log.lines).toContainEqual(expect.objectContaining({ event: 'consents_lost', fields: { code: 'vault_corrupt' } }));
  });
});
