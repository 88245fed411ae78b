import { describe, expect, it } from 'vitest';
import { Fingerprints } from '../../../../daemon/core/fingerprints.ts';
import { Secret } from '../../../../daemon/core/secret.ts';
import type { Profile } from '../../../../daemon/core/domain.ts';
import type { TokenNeed } from '../../../../daemon/core/grant.ts';
import { JustInTime } from '../../../../daemon/tokens/just-in-time.ts';
import type { Granted } from '../../../../daemon/tokens/just-in-time.ts';
import { Revocations } from '../../../../daemon/tokens/revocations.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { profileName, scopes, someCaller, someGrant, someProfile, someToken, T0 } from '../../../support/builders.ts';
import { FakeAudit, FakeIssuer, FakeVault, fakeRandom, LogSink } from '../../../support/fakes.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

const need = (over: Partial<TokenNeed> = {}): TokenNeed => ({ scopes: null, resource: null, minTtlMs: 60_000, acrValues: [], maxAgeS: null, notBeforeMs: null, bounds: null, ...over });

function rig() {
  const clock = new FakeClock(T0);
  const issuer = new FakeIssuer();
  const vault = new FakeVault();
  const audit = new FakeAudit();
  const log = new LogSink();
  const gate = { isLocked: false };
  const fingerprints = new Fingerprints();
  const revocations = new Revocations({ revokeOfWorkload: async () => ({ kind: 'unsupported' }), clock, issuer, vault, audit, log, fingerprints, random: fakeRandom(), signal: new AbortController().signal });
  const inTime = new JustInTime({ clock, audit, fingerprints, revocations, log, isLocked: () => gate.isLocked });
  /** A token of an hour, which is more than the access lasts. */
  const granted = (profile: Profile = someProfile(), value = 'at-jit-EXAMPLE'): Granted => {
    const token = someToken({ value: new Secret(value), scopes: scopes('openid admin'), byDefault: false, obtainedAt: clock.now(), expiresAt: (clock.now() + 3_600_000) as EpochMs });
    const grant = someGrant({ profile: profile.name, generation: 0, state: { kind: 'active', refreshToken: null, tokens: [token] } });
    return { profile, grant, token, refreshToken: new Secret('rt-jit-EXAMPLE'), login: 'login-1', caller: someCaller(), reason: 'ticket 4711' };
  };
  const events = () => audit.events.map(({ event, facts }) => (event === 'jit_ended' ? `${event} ${String(facts['why'])}` : event));
  return { clock, issuer, vault, audit, inTime, granted, gate, events, revocations };
}

describe('privileged access', () => {
  it('[AU-08] ends a quarter of an hour after the sign-in, though its token lives on, and the next request asks again', async () => {
    const { clock, issuer, inTime, granted, events, revocations } = rig();
    const profile = someProfile();
    await inTime.hold(granted(profile));
    expect(inTime.serve(profile, need({ scopes: scopes('admin') })).token.value.reveal()).toBe('at-jit-EXAMPLE');
    await clock.advance(899_000);
    expect(inTime.serve(profile, need({ scopes: scopes('admin') })).token.value.reveal()).toBe('at-jit-EXAMPLE');
    await clock.advance(1_000);
    expect(() => inTime.serve(profile, need({ scopes: scopes('admin') }))).toThrow(expect.objectContaining({ code: 'login_required', facts: expect.objectContaining({ reason: 'privileged' }) }));
    await revocations.idle();
    expect(issuer.revoked).toEqual(['rt-jit-EXAMPLE', 'at-jit-EXAMPLE']);
    expect(events()).toContain('jit_ended expired');
  });

  it('[AU-08] is on record before it can be used, with who, where and why', async () => {
    const { audit, inTime, granted } = rig();
    const profile = someProfile();
    let record: () => void = () => undefined;
    audit.append = (event) => new Promise((resolve) => { record = () => { audit.events.push(event); resolve(); }; });
    const held = inTime.hold(granted(profile));
    expect(inTime.find(profile, need({ scopes: scopes('admin') }))).toBeNull();
    record();
    await held;
    expect(inTime.find(profile, need({ scopes: scopes('admin') }))).not.toBeNull();
    expect(audit.events).toMatchObject([{ event: 'jit_granted', caller: { pid: 4711 }, facts: { reason: 'ticket 4711', login: 'login-1', scopes: ['openid', 'admin'], flow: 'authorization_code', until: T0 / 1000 + 900 } }]);
    expect(JSON.stringify(audit.events)).not.toContain('jit-EXAMPLE');
  });

  it.each(['logout', 'locked', 'panic'] as const)('is not held where %s came while it was being recorded', async (why) => {
    const { audit, inTime, granted } = rig();
    const profile = someProfile();
    let record: () => void = () => undefined;
    audit.append = (event) => new Promise((resolve) => { record = () => { audit.events.push(event); resolve(); }; });
    const held = inTime.hold(granted(profile));
    inTime.end(why === 'logout' ? profile.name : null, why);
    record();
    await expect(held).rejects.toMatchObject({ code: 'login_cancelled' });
    expect(inTime.find(profile, need({ scopes: scopes('admin') }))).toBeNull();
  });

  it('[AU-08] gives nothing to the vault, and what cannot be revoked at once is tried again from memory', async () => {
    const { clock, issuer, vault, inTime, granted, revocations } = rig();
    issuer.onRevoke = async () => ({ kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false });
    await inTime.hold(granted());
    inTime.end(null, 'locked');
    await revocations.idle();
    expect(revocations.count).toBe(2);
    expect(await vault.revocations()).toEqual([]);
    expect(vault.stored.size).toBe(0);
    issuer.onRevoke = async () => ({ kind: 'revoked' });
    await clock.advance(60_000);
    expect(revocations.count).toBe(0);
  });

  it.each(['logout', 'locked', 'purged', 'stopped'] as const)('ends at %s', async (why) => {
    const { inTime, granted, events } = rig();
    const [one, other] = [someProfile(), someProfile({ name: profileName('other') })];
    await inTime.hold(granted(one));
    await inTime.hold(granted(other));
    inTime.end(why === 'logout' ? one.name : null, why);
    await settle();
    expect(inTime.find(one, need({ scopes: scopes('admin') }))).toBeNull();
    expect(inTime.find(other, need({ scopes: scopes('admin') })) === null).toBe(why !== 'logout');
    expect(events().filter((each) => each === `jit_ended ${why}`)).toHaveLength(why === 'logout' ? 1 : 2);
  });

  it('is not held where the user locked while it was recorded, nor where it cannot be recorded', async () => {
    const { audit, inTime, granted, gate } = rig();
    const { append } = audit;
    audit.append = async (event) => {
      gate.isLocked = true;
      await append.call(audit, event);
    };
    await expect(inTime.hold(granted())).rejects.toMatchObject({ code: 'vault_locked' });
    gate.isLocked = false;
    audit.append = async () => { throw new Error('full'); };
    await expect(inTime.hold(granted())).rejects.toThrow('full');
    expect(inTime.find(someProfile(), need({ scopes: scopes('admin') }))).toBeNull();
  });

  it('serves nobody who asks for other scopes, another resource, a longer life, or a profile that points elsewhere by now', async () => {
    const { inTime, granted } = rig();
    await inTime.hold(granted());
    for (const other of [need({ scopes: scopes('root') }), need(), need({ scopes: scopes('admin'), resource: 'https://api.example' }), need({ scopes: scopes('admin'), minTtlMs: 7_200_000 })]) {
      expect(() => inTime.serve(someProfile(), other)).toThrow(expect.objectContaining({ code: 'login_required' }));
    }
    expect(() => inTime.serve(someProfile({ digest: 'digest-2' }), need({ scopes: scopes('admin') }))).toThrow(expect.objectContaining({ code: 'login_required' }));
  });
});
