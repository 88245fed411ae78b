/** kill -9 right after a consent was given, or taken back: what was answered is so after the restart. */
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runs } from './campaign.ts';
import { Laptop } from './rig.ts';
import { useStage } from './stage.ts';

const PIN = 'approval-pin-EXAMPLE';
/** Any one that is no interpreter. */
const PROGRAM = realpathSync('/bin/cat');
const ROUNDS = runs(2, 20);
const stage = useStage();

describe('kill -9 and consents', () => {
  let laptop: Laptop;

  beforeEach(async () => {
    const issuer = 'https://issuer.example';
    laptop = new Laptop(stage.build, stage.person, issuer, { profiles: new Map([['work', issuer], ['other', issuer]]) });
    await laptop.start();
    expect(await laptop.asPerson('POST', '/v1/approval-pin', { pin: PIN })).toMatchObject({ status: 200 });
  });
  afterEach(() => laptop.remove());

  const file = (): string => join(laptop.stateDir, 'secrets/_consents.jwe');
  /** The audit signs a moment after it wrote, and its key is of the vault, too: a fault is meant for what comes next. */
  async function restsFromWriting(): Promise<void> {
    for (let look = 0; look < 10; look += 1) {
      laptop.hits();
      await sleep(1_500);
      if (laptop.hits().length === 0) return;
    }
    expect.unreachable('the daemon writes on and on');
  }
  /** @returns its id */
  async function agree(profile = 'work'): Promise<string> {
    const { status, body } = await laptop.asPerson('POST', '/v1/approvals', { executable: PROGRAM, profile, pin: PIN });
    expect([status, body]).toEqual([200, expect.objectContaining({ outlasts: 'reboot' })]);
    return (body as { id: string }).id;
  }
  async function killed(): Promise<readonly string[]> {
    await laptop.kill();
    await laptop.start();
    expect(laptop.exposed()).toEqual([]);
    return active();
  }
  const active = async (): Promise<readonly string[]> => (await laptop.api('GET', '/v1/approvals')).body.active.map(({ id }: { id: string }) => id);

  it(`[IP-10] what was answered as given is there after the restart, and what was answered as revoked is not: ${ROUNDS} times each`, async () => {
    const given = [await agree('other')];
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = await agree();
      expect(await killed(), `round ${round}: given`).toEqual([...given, id]);
      expect((await laptop.api('DELETE', `/v1/approvals/${id}`)).status).toBe(200);
      expect(await killed(), `round ${round}: revoked`).toEqual(given);
    }
    expect((await laptop.api('DELETE', '/v1/approvals')).status).toBe(200);
    expect([await killed(), existsSync(file())]).toEqual([[], false]);
    const warnings = (await laptop.api('GET', '/v1/status')).body.warnings as readonly string[];
    expect(warnings.filter((warning) => warning.includes('consents'))).toEqual([]);
  }, 120_000);

  it.each<[string, () => Promise<{ status: number }>]>([
    ['lock', () => laptop.api('POST', '/v1/lock')], ['panic', () => laptop.api('POST', '/v1/panic')],
  ])('[IP-10] none is there after a kill that came right after a %s was answered', async (_what, act) => {
    await agree();
    expect(await act()).toMatchObject({ status: 200 });
    expect([existsSync(file()), await killed()]).toEqual([false, []]);
  }, 60_000);

  it.each([
    ['before the copy without it is in its place', 'vault.write.synced', true],
    ['when the copy without it is in its place', 'vault.write.renamed', false],
  ])('[IP-10] a kill in the middle of a revocation, %s, leaves one copy whole', async (_when, label, stays) => {
    const other = await agree('other');
    const id = await agree();
    laptop.desk.arm({ label, nth: 1, action: 'kill' });
    expect(await laptop.api('DELETE', `/v1/approvals/${id}`).catch(() => 'died')).toBe('died');
    expect(await laptop.running?.exited).toBe('SIGKILL');
    laptop.running = null;
    laptop.desk.disarm();
    await laptop.start();
    expect(await active()).toEqual(stays ? [other, id] : [other]);
    expect(laptop.exposed()).toEqual([]);
  }, 60_000);

  it.each(['ENOSPC', 'EIO'] as const)('[IP-10] a disk that refuses by %s: a consent ends with the daemon, and a revocation holds', async (action) => {
    const id = await agree('other');
    await restsFromWriting();
    laptop.desk.arm({ label: 'vault.write.written', nth: 3, action }); // after the PIN's counts
    const { body } = await laptop.asPerson('POST', '/v1/approvals', { executable: PROGRAM, profile: 'work', pin: PIN });
    const hits = laptop.hits().filter((hit) => hit.action === action).length;
    expect([hits, (body as { outlasts: unknown }).outlasts]).toEqual([1, null]);
    expect((await laptop.api('GET', '/v1/status')).body.warnings).toContainEqual(expect.stringMatching(/^vault_unwritable: consents end with the daemon/));
    expect(await killed()).toEqual([id]);
    await restsFromWriting();
    laptop.desk.arm({ label: 'vault.write.written', nth: 1, action });
    expect((await laptop.api('DELETE', `/v1/approvals/${id}`)).status).toBe(200);
    laptop.desk.disarm();
    expect(await killed()).toEqual([]);
  }, 60_000);
});
