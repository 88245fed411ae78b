/** kill -9 in the middle of a panic: what was begun is ended by the next run, and nothing is served by either. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Laptop, startShimmed } from './rig.ts';
import { useStage } from './stage.ts';

const NAMES = ['work', 'home', 'shop', 'bank'];
const stage = useStage();

describe('kill -9 in a panic', () => {
  it.each([
    ['when the block is on the disk and nothing else is done', 'panic.marked', 1],
    ['before the first grant is ended', 'book.take.claimed', 1],
    ['between two grants', 'book.take.prepared', 2],
    ['when a grant is gone and nothing was sent', 'book.take.removed', 1],
    ['while tokens are on their way to the issuer', 'revocation.claimed', 3],
    ['when the first is dead', 'revocation.forgotten', 1],
  ])('[RV-02] %s: locked out after the restart, nothing is served, and every token dies', async (_when, label, nth) => {
    const issuer = await startShimmed();
    const laptop = new Laptop(stage.build, stage.person, issuer.issuer.url, { profiles: new Map(NAMES.map((name) => [name, issuer.issuer.url])) });
    try {
      await laptop.start();
      for (const name of NAMES) expect(await laptop.signIn(name)).toMatchObject({ state: 'complete' });
      expect((await laptop.token()).body).toMatchObject({ source: 'cache' });
      laptop.desk.arm({ label, nth, action: 'kill' });
      expect(await laptop.api('POST', '/v1/panic').catch(() => 'died')).toBe('died');
      expect(await laptop.running?.exited).toBe('SIGKILL');
      laptop.running = null;
      laptop.desk.disarm();
      await laptop.start();
      for (const profile of NAMES) expect((await laptop.api('POST', '/v1/token', { profile })).body).toMatchObject({ code: 'locked_out' });
      await expect.poll(async () => (await laptop.api('GET', '/v1/status')).body).toMatchObject({ grants: [], pending_revocations: 0, locked_out_since: expect.any(Number) });
      const tokens = issuer.issuer.minted.filter(({ kind }) => kind === 'refresh_token' || kind === 'access_token');
      expect(tokens).toHaveLength(2 * NAMES.length);
      await expect.poll(async () => (await Promise.all(tokens.map(({ value }) => issuer.issuer.introspect(value)))).filter(({ active }) => active)).toEqual([]);
      await expect.poll(() => ['grants', 'revocations'].flatMap((folder) => readdirSync(join(laptop.stateDir, folder)))).toEqual([]);
      expect(laptop.exposed()).toEqual([]);
    } finally {
      await laptop.remove();
      await issuer.close();
    }
  }, 120_000);
});
