/**
 * Refresh ahead of expiry at a real issuer that ends the older access token with the refresh, as ory/fosite, GitHub
 * and django-oauth-toolkit do, and of which no preset knows it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../daemon/core/ports.ts';
import { createClock } from '../../daemon/platform/clock.ts';
import { startIssuer } from '../../demo/issuer.ts';
import type { EmbeddedIssuer } from '../../demo/issuer.ts';
import type { EpochMs } from '../../shared/names.ts';
import { profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const real = createClock();
let skipMs = 0;
/** Its sleepers wake when it is set ahead, so that no test waits for the next look. */
const clock: Clock = {
  ...real,
  now: () => (real.now() + skipMs) as EpochMs,
  boottimeMs: () => real.boottimeMs() + skipMs,
  awakeMs: () => real.awakeMs() + skipMs,
  async sleep(ms, signal) {
    const end = clock.boottimeMs() + ms;
    while (clock.boottimeMs() < end) await real.sleep(Math.min(20, end - clock.boottimeMs()), signal);
  },
};

let issuer: EmbeddedIssuer;
let vk: InProcess;
const setUp = async (more = '') => {
  await vk?.stop();
  skipMs = 0;
  vk = await startInProcess({ config: profileToml('work', issuer.url, more), edges: { clock } });
  await vk.signIn('work', 'alice');
};
beforeEach(async () => {
  issuer = await startIssuer({ lifetimes: { accessTokenS: 3_600, idTokenS: 86_400 }, endsOlderTokens: true });
  await setUp();
});
afterEach(async () => {
  await vk.stop();
  await issuer.close();
});
const token = async (ask: object = {}): Promise<{ access_token: string; source: string }> => (await vk.api('POST', '/v1/token', { profile: 'work', ...ask })).body;
const refreshes = () => issuer.count('token', 'refresh_token');
const isAlive = async (value: string): Promise<boolean> => (await issuer.introspect(value)).active;
/** Looks of the daemon, and the answer of the issuer. */
const aMoment = () => real.sleep(200, new AbortController().signal);

describe('refresh ahead at an issuer that ends the older token, and nobody knows it', () => {
  it('leaves a token alone that a caller has just got, and comes when he may not count on it any more', async () => {
    await token();
    skipMs = 3_450_000; // due at 0.95 of its life at the latest
    const got = await token();
    await aMoment();
    expect({ source: got.source, refreshes: refreshes(), isAlive: await isAlive(got.access_token) }).toEqual({ source: 'cache', refreshes: 0, isAlive: true });
    skipMs += 58_000;
    await aMoment();
    expect({ refreshes: refreshes(), isAlive: await isAlive(got.access_token) }).toEqual({ refreshes: 0, isAlive: true });
    skipMs += 2_500;
    await expect.poll(refreshes).toBe(1);
    await expect.poll(token).toMatchObject({ source: 'cache', access_token: expect.not.stringContaining(got.access_token) });
    expect(await isAlive(got.access_token)).toBe(false); // it is such an issuer
    expect(await isAlive((await token()).access_token)).toBe(true);
  });

  it('never takes the token from programs that ask all the time: one of them fetches its successor at its end', async () => {
    for (skipMs = 2_900_000; skipMs < 3_535_000; skipMs += 35_000) {
      const got = await token();
      await aMoment();
      expect({ source: got.source, isAlive: await isAlive(got.access_token) }).toEqual({ source: 'cache', isAlive: true });
    }
    expect(refreshes()).toBe(0);
    skipMs = 3_545_000;
    const got = await token();
    expect({ source: got.source, refreshes: refreshes(), isAlive: await isAlive(got.access_token) }).toEqual({ source: 'refresh', refreshes: 1, isAlive: true });
  });

  it('keeps as much of its life for a caller as he asked for', async () => {
    skipMs = 3_100_000;
    const got = await token({ min_ttl_s: 400 });
    skipMs += 390_000;
    await aMoment();
    expect({ refreshes: refreshes(), isAlive: await isAlive(got.access_token) }).toEqual({ refreshes: 0, isAlive: true });
  });

  it('takes the word of a profile that says refresh_at: its owner knows that the older token lives on', async () => {
    await setUp('refresh_at = 0.8\n');
    await token();
    skipMs = 2_900_000;
    expect(await token()).toMatchObject({ source: 'cache' });
    await expect.poll(refreshes).toBe(1);
  });
});
