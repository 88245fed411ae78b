/** Many grants at one real issuer that are refreshed in one moment: what of them is on the wire while nobody knows how the issuer is. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiReply } from '../support/api.ts';
import { faults, startHostileIssuer } from '../support/hostile-issuer.ts';
import type { HostileIssuer } from '../support/hostile-issuer.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';

const TIMEOUT_MS = 1_500;
const names = Array.from({ length: 12 }, (_, n) => `grant-${n}`);
let hostile: HostileIssuer;
let vk: InProcess;
beforeEach(async () => {
  hostile = await startHostileIssuer({ lifetimes: { accessTokenS: 600 } });
  vk = await startInProcess({ config: MANY_CALLERS + names.map((name) => profileToml(name, hostile.url)).join(''), issuerTimeoutMs: TIMEOUT_MS });
  for (const name of names) await vk.signIn(name, 'alice');
});
afterEach(async () => {
  await vk.stop();
  await hostile.close();
});
const refreshes = (): number => hostile.requestsTo('token').filter((r) => r.params['grant_type'] === 'refresh_token').length;
const askAll = (): Promise<readonly ApiReply[]> => Promise.all(names.map((profile) => vk.api('POST', '/v1/token', { profile, force: true })));
const count = (replies: readonly ApiReply[], key: 'code' | 'reason' | 'source', value: string): number => replies.filter(({ body }) => body[key] === value).length;
const alarms = (): number => hostile.issuer.events.filter(({ name }) => name === 'grant.revoked').length;

describe('twelve grants of one issuer that are asked for in one moment', () => {
  it('cost two sign-ins where it takes refresh tokens and never answers; the others go on when it is back', async () => {
    const hang = hostile.fault('token', faults.hang(), 100);
    const replies = await askAll();
    expect([refreshes(), count(replies, 'reason', 'refresh_answer_lost'), count(replies, 'code', 'issuer_unreachable')]).toEqual([2, 2, 10]);
    hang.cancel();
    await expect.poll(async () => count(await askAll(), 'source', 'refresh'), { timeout: 15_000, interval: 500 }).toBe(10);
    expect(alarms()).toBe(0);
  });

  it('are all refreshed where it is well, each once', async () => {
    expect(count(await askAll(), 'source', 'refresh')).toBe(12);
    expect([refreshes(), alarms()]).toEqual([12, 0]);
  });

  // What was on the wire may be given out at a stop, and not behind a lock.
  it.each([['vault_locked', 'a lock', 12, () => vk.api('POST', '/v1/lock')], ['shutting_down', 'a stop', 10, () => vk.daemon.stop('a test')]] as const)('end with %s at %s where their turn did not come, and lose nothing', async (code, _, told, end) => {
    hostile.fault('token', faults.delay(TIMEOUT_MS / 2), 100);
    const asked = askAll();
    await expect.poll(refreshes).toBe(2);
    // All have come: on a busy machine a connection whose request was not read yet would be reset by the end.
    await expect.poll(async () => Number(/^valetkey_open_connections (\d+)$/m.exec((await vk.api('GET', '/v1/metrics')).text)?.[1])).toBeGreaterThan(names.length);
    await end();
    const replies = await asked;
    expect([refreshes(), count(replies, 'code', code)]).toEqual([2, told]);
    expect(vk.audit.events.filter(({ event }) => event === 'token_refreshed')).toHaveLength(2);
    expect(alarms()).toBe(0);
  });
});
