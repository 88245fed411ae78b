import { describe, expect, it } from 'vitest';
import type { KeyStep } from '../../../../daemon/workloads/workload-keys.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { flagsOf } from '../../../../daemon/workloads/flags.ts';
import { someWorkload, T0 } from '../../../support/builders.ts';
import { workloadEngine } from '../../../support/workload-engine.ts';

const DAY = 86_400_000;
const workload = someWorkload({ expiresAt: (T0 + 365 * DAY) as EpochMs });

async function rig() {
  const engine = await workloadEngine(workload);
  const step = (name: KeyStep) => engine.keys.change(workload, name, 'ES256').then((record) => (record?.keys ?? []).map(({ kid, state }) => `${state} ${kid}`), (cause: { code: string }) => cause.code);
  return { ...engine, step };
}

describe('the keys of a workload', () => {
  it('are replaced with overlap, one step after the other, and no other', async () => {
    const { step } = await rig();
    expect(await step('init')).toBe('workload_key_conflict');
    expect(await step('activate')).toBe('workload_key_conflict');
    expect(await step('retire')).toBe('workload_key_conflict');
    expect(await step('rotate')).toEqual(['active kid-1', 'next kid-2']);
    expect(await step('rotate')).toBe('workload_key_conflict');
    expect(await step('retire')).toBe('workload_key_conflict');
    expect(await step('activate')).toEqual(['retiring kid-1', 'active kid-2']);
    expect(await step('rotate')).toBe('workload_key_conflict');
    expect(await step('retire')).toEqual(['active kid-2']);
    expect(await step('forget')).toEqual([]);
    expect(await step('rotate')).toBe('workload_key_required');
  });

  it('are not lost to a note of their use, whichever comes first', async () => {
    const { keys, step, vault } = await rig();
    const store = await vault.workloads();
    const slow = { ...store, read: async (name: Parameters<typeof store.read>[0]) => { const found = await store.read(name); await Promise.resolve(); await Promise.resolve(); return found; } };
    vault.workloads = async () => slow;
    await Promise.all([keys.noteUse(workload), step('rotate'), keys.noteUse(workload)]);
    expect((await keys.record(workload.name))?.keys.map(({ kid }) => kid)).toEqual(['kid-1', 'kid-2']);
    expect((await keys.record(workload.name))?.lastUsedAt).toBe(T0);
  });

  it('note their use once an hour, and not at each token', async () => {
    const { keys, clock, vault } = await rig();
    const lastUse = () => vault.records.get(workload.name)?.lastUsedAt;
    await keys.noteUse(workload);
    await clock.advance(3_599_000);
    await keys.noteUse(workload);
    expect(lastUse()).toBe(T0);
    await clock.advance(1_001);
    await keys.noteUse(workload);
    expect(lastUse()).toBe(clock.now());
  });

  it('made for another issuer or client are neither used nor changed', async () => {
    const { keys, get } = await rig();
    const moved = { ...workload, keyDigest: 'key-digest-other', digest: 'digest-other' };
    await expect(get({}, moved)).rejects.toMatchObject({ code: 'workload_key_required' });
    await expect(keys.change(moved, 'rotate', 'ES256')).rejects.toMatchObject({ code: 'workload_key_conflict' });
    await keys.change(moved, 'forget', 'ES256');
    expect(await keys.record(workload.name)).toBeNull();
  });
});

describe('[WL-05] what to look at', () => {
  const key = (state: 'active' | 'next' | 'retiring', ageDays: number) => ({ kid: state, alg: 'ES256', publicJwk: {}, privateJwk: null as never, state, madeAt: (T0 - ageDays * DAY) as EpochMs } as const);
  const record = (...keys: ReturnType<typeof key>[]) => ({ profile: workload.name, digest: workload.keyDigest, keys, lastUsedAt: null });
  const ago = (days: number) => (T0 - days * DAY) as EpochMs;

  it.each([
    ['nothing', workload, record(key('active', 10)), ago(1), []],
    ['no owner', { ...workload, owner: null }, record(key('active', 10)), ago(1), ['nobody owns it']],
    ['no purpose', { ...workload, purpose: null }, record(key('active', 10)), ago(1), ['it has no purpose']],
    ['no expiry', { ...workload, expiresAt: null }, record(key('active', 10)), ago(1), ['it never expires']],
    ['an expiry soon', { ...workload, expiresAt: (T0 + 3 * DAY) as EpochMs }, record(key('active', 10)), ago(1), ['it expires in 3 days']],
    ['an expiry that has come', { ...workload, expiresAt: ago(1) }, record(key('active', 10)), ago(1), ['it has expired']],
    ['a key of ninety days', workload, record(key('active', 90)), ago(1), []],
    ['a key of more than ninety days', workload, record(key('active', 91)), ago(1), ['its key is 91 days old: rotate it']],
    ['no use for thirty days', workload, record(key('active', 40)), ago(30), ['not used for 30 days']],
    ['no use at all', workload, record(key('active', 2)), null, ['never used']],
    ['a key that was made today', workload, record(key('active', 0)), null, []],
    ['no key', workload, null, null, ['never used', 'it has no key']],
    ['a rotation that nobody finished', workload, record(key('retiring', 5), key('active', 5), key('next', 2)), ago(1), ['a new key waits to be activated', 'an old key waits to be retired']],
    ['a key of another client', { ...workload, keyDigest: 'other' }, record(key('active', 5)), ago(1), ['its key was made for another issuer or client']],
  ])('is told of %s', (_, of, held, lastUsed, flags) => {
    expect(flagsOf(of, held, lastUsed, T0)).toEqual(flags);
  });
});
