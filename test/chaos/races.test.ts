/**
 * Sign-out, sign-in, reload, lock, unlock and a refresh whose answer the shim holds back, in seeded orders
 * through the real daemon over a sealed vault. Afterwards issuer and vault have to agree: the generation
 * decides, nothing stale is written, and a token that was forgotten here is revoked there or in a tombstone.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Grant } from '../../daemon/core/domain.ts';
import type { Vault } from '../../daemon/core/ports.ts';
import { openVaultWith } from '../../daemon/vault/open-vault.ts';
import type { ApiReply } from '../support/api.ts';
import { Held } from '../support/fault-shim.ts';
import { MANY_CALLERS, profileToml, startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { FakeKeychain, makeStateDir, vaultDeps } from '../support/vault-rig.ts';
import type { StateDir } from '../support/vault-rig.ts';
import { onlyRun, pick, publish, replay, replayable, runs, seeded } from './campaign.ts';
import { Ledger } from '../support/ledger.ts';
import { startShimmed } from './rig.ts';
import type { Issuer } from './rig.ts';
import { setTimeout as sleep } from 'node:timers/promises';

const RUNS = runs(15, 300);
const STEPS_MAX = 9;
const SETTLED_WITHIN_MS = 8_000;

type Write = { readonly kind: 'save'; readonly generation: number; readonly signedInAt: number; readonly token: string | null } | { readonly kind: 'remove' };
const writes: Write[] = [];

const tokenOf = (grant: Grant): string | null => (grant.state.kind === 'active' ? grant.state.refreshToken?.reveal() ?? null : null);

/** The vault as it is, with a note of each write when it is durable. */
function watched(vault: Vault): Vault {
  const save: Vault['save'] = async (grant) => {
    await vault.save(grant);
    writes.push({ kind: 'save', generation: grant.generation, signedInAt: grant.signedInAt, token: tokenOf(grant) });
  };
  const remove: Vault['remove'] = async (profile) => {
    await vault.remove(profile);
    writes.push({ kind: 'remove' });
  };
  return new Proxy(vault, {
    get: (target, name) => {
      if (name === 'save') return save;
      if (name === 'remove') return remove;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

replayable('races');
let state: StateDir;
let vault: Vault;
let issuer: Issuer;
let daemon: InProcess;
let ledger: Ledger;
beforeAll(async () => {
  state = makeStateDir();
  vault = await openVaultWith(vaultDeps(state.path, 'keychain'), new FakeKeychain());
  issuer = await startShimmed();
  ledger = new Ledger(issuer.issuer);
  daemon = await startInProcess({ config: `${MANY_CALLERS}requests_per_second = 10000\nburst = 10000\n${profileToml('work', issuer.issuer.url)}`, edges: { vault: watched(vault) } });
});
afterAll(async () => {
  await daemon.stop();
  await issuer.close();
  state.remove();
});

type Step = 'refresh' | 'refresh, held' | 'let go' | 'ask' | 'sign in' | 'sign out' | 'reload' | 'lock' | 'unlock';
const STEPS: readonly Step[] = ['refresh', 'refresh, held', 'refresh, held', 'let go', 'ask', 'sign in', 'sign out', 'sign out', 'reload', 'lock', 'unlock'];

/** How the races begin that have gone wrong elsewhere; the seed adds the rest. */
const OPENINGS: readonly (readonly Step[])[] = [
  ['refresh, held', 'sign in'], ['refresh, held', 'sign out'], ['refresh, held', 'lock', 'unlock'], ['sign in', 'sign out'], ['refresh, held', 'sign out', 'sign in'], [],
];

/** Refreshes that are to be held; a sign-in goes through. */
const toHold: Held[] = [];

function hold(): Held {
  const held = new Held();
  toHold.push(held);
  issuer.shim.judge = ({ params }) => {
    const next = params['grant_type'] === 'refresh_token' ? toHold.shift() : undefined;
    return next === undefined ? { kind: 'pass' } : { kind: 'hold', held: next };
  };
  return held;
}

async function play(step: Step, held: Held[]): Promise<ApiReply | null> {
  switch (step) {
    case 'refresh, held':
      held.push(hold());
      return daemon.api('POST', '/v1/token', { profile: 'work', force: true });
    case 'refresh': return daemon.api('POST', '/v1/token', { profile: 'work', force: true });
    case 'ask': return daemon.api('POST', '/v1/token', { profile: 'work' });
    case 'let go':
      held.shift()?.release();
      return null;
    case 'sign in':
      daemon.skipMs += 60_000;
      return (await daemon.signIn('work', 'alice').catch(() => null))?.end ?? null; // locked, or cancelled by a lock
    case 'sign out': return daemon.api('DELETE', '/v1/grants/work');
    case 'reload': return daemon.api('POST', '/v1/reload');
    case 'lock': return daemon.api('POST', '/v1/lock');
    case 'unlock': return daemon.api('POST', '/v1/unlock', {});
  }
}

/** Each step begins a moment after the one before, whatever became of that; what is held goes on in the end. */
async function interleave(random: () => number, steps: readonly Step[]): Promise<void> {
  const held: Held[] = [];
  const under: Promise<unknown>[] = [];
  const signIns: Promise<unknown>[] = [];
  for (const step of steps) {
    const playing = play(step, held);
    under.push(playing);
    if (step === 'sign in') signIns.push(playing);
    await sleep(random() * 25);
  }
  // In half of the runs a sign-in overtakes the answers that are held.
  if (random() < 0.5) await Promise.all(signIns);
  toHold.length = 0; // nobody took it up
  for (const each of held) each.release();
  await Promise.all(under);
  await daemon.api('POST', '/v1/unlock', {});
}

/** Tokens that live on although nobody knows them: not in the vault, in no tombstone, not left behind by a newer sign-in. */
async function orphans(): Promise<readonly string[]> {
  const { grants } = await vault.grants();
  const tombstones = await vault.revocations();
  const replaced = writes.flatMap((write, at) => {
    const next = writes[at + 1];
    // docs/decisions/0009: a new sign-in does not revoke the one that it replaces.
    return write.kind === 'save' && next?.kind === 'save' && next.signedInAt !== write.signedInAt ? [write.token] : [];
  });
  const known = new Set([...grants.map(({ grant }) => tokenOf(grant)), ...tombstones.map(({ token }) => token.reveal()), ...replaced]);
  return ledger.alive(known);
}

function staleWrites(since: number): readonly string[] {
  let floor = 0;
  const gone = new Set<number>();
  let current: number | null = null;
  return writes.slice(since).flatMap((write) => {
    if (write.kind === 'remove') {
      if (current !== null) gone.add(current);
      current = null;
      return [];
    }
    const isStale = write.generation <= floor || gone.has(write.signedInAt);
    floor = Math.max(floor, write.generation);
    current = write.signedInAt;
    return isStale ? [`generation ${write.generation} after ${floor}`] : [];
  });
}

describe('races', () => {
  it(`in ${RUNS} seeded orders nothing stale is written, and issuer and vault agree in the end`, async () => {
    const tally = { steps: 0, signedOut: 0, refreshes: 0 };
    for (let run = 0; run < RUNS; run += 1) {
      if (onlyRun !== null && run !== onlyRun) continue;
      const random = seeded(run, 4);
      const since = writes.length;
      expect((await play('sign in', []))?.body).toMatchObject({ state: 'complete' });
      const opening = OPENINGS[run % OPENINGS.length] ?? [];
      const steps = [...opening, ...Array.from({ length: 2 + Math.floor(random() * (STEPS_MAX - 4)) }, () => pick(random, STEPS))];
      const where = `${steps.join(', ')}: ${replay('races', run)}`;
      ledger.mark();
      await interleave(random, steps);
      tally.steps += steps.length;
      tally.refreshes += ledger.consumed();

      expect(staleWrites(since), where).toEqual([]);
      expect([ledger.reuses(), ledger.alarms()], where).toEqual([0, 0]);
      const from = performance.now();
      while ((await orphans()).length > 0 && performance.now() - from < SETTLED_WITHIN_MS) await sleep(100);
      expect(await orphans(), where).toEqual([]);
      const { grants } = await vault.grants();
      const last = await daemon.api('POST', '/v1/token', { profile: 'work', force: true });
      if (grants[0]?.grant.state.kind === 'active') expect(last.status, `${where}: ${last.text}`).toBe(200);
      else {
        expect(last.body, where).toMatchObject({ code: 'login_required' });
        tally.signedOut += 1;
      }
    }
    expect(onlyRun === null ? Math.min(tally.signedOut, RUNS - tally.signedOut, tally.refreshes) : 1).toBeGreaterThan(0);
    publish('races', { runs: RUNS, steps: tally.steps, 'refreshes at the issuer': tally.refreshes, 'ended signed out': tally.signedOut, 'stale writes': 0, 'tokens alive and unknown': 0, 'second uses of a token': ledger.reuses(), 'reuse alarms': ledger.alarms() });
  }, 60_000 + RUNS * 4_000);
});
