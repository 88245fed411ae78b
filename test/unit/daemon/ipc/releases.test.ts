import { describe, expect, it } from 'vitest';
import { Fingerprints } from '../../../../daemon/core/fingerprints.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import type { AuditEvent } from '../../../../daemon/core/ports.ts';
import { Releases } from '../../../../daemon/ipc/routes/releases.ts';
import { someCaller, someGrant, someProfile, someToken } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';

/** Appends when it is told to. */
class SlowAudit {
  records: AuditEvent[] = [];
  isFull = false;
  #waiting: (() => void)[] = [];
  append(event: AuditEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        if (this.isFull) return reject(new BrokerError('vault_unwritable', 'the audit log cannot be written'));
        this.records.push(event);
        resolve();
      });
    });
  }
  async close(): Promise<void> {}
  async write(): Promise<void> {
    for (const each of this.#waiting.splice(0)) each();
    await settle();
  }
}

function rig() {
  const audit = new SlowAudit();
  const clock = new FakeClock();
  const releases = new Releases({ audit, clock, fingerprints: new Fingerprints(), book: { get: () => someGrant() }, event: 'token_released' });
  const token = someToken();
  const left: string[] = [];
  const take = (name: string, claimed: { readonly name: string } | null = null): void => {
    Promise.resolve(releases.record(someProfile(), token, 'cache', { caller: someCaller(), requestId: 'r' }, claimed, { name: 'shipped/login-session', isUnasked: false, approval: null })).then(() => left.push(name), (cause: BrokerError) => left.push(`${name}: ${cause.code}`));
  };
  return { audit, clock, left, take };
}

describe('[AL-01] the first release of a token', () => {
  it('is in the audit before the token leaves, also for whoever asks while it is written', async () => {
    const { audit, left, take } = rig();
    take('a');
    take('b');
    await settle();
    expect(left).toEqual([]);
    await audit.write();
    expect(left).toEqual(['a', 'b']);
    expect(audit.records).toHaveLength(1);
  });

  it('that could not be recorded is refused, and so is the next one until one is', async () => {
    const { audit, left, take } = rig();
    audit.isFull = true;
    take('a');
    take('b');
    await audit.write();
    take('c');
    await audit.write();
    expect(left).toEqual(['a: vault_unwritable', 'b: vault_unwritable', 'c: vault_unwritable']);
    audit.isFull = false;
    take('d');
    await audit.write();
    expect(left.at(-1)).toBe('d');
    expect(audit.records).toHaveLength(1);
  });

  it('keeps the number of those in between when the record of the next minute fails', async () => {
    const { audit, clock, left, take } = rig();
    take('a');
    await audit.write();
    for (const name of ['b', 'c', 'd']) take(name);
    await settle();
    expect(left).toEqual(['a', 'b', 'c', 'd']);
    await clock.advance(60_000);
    audit.isFull = true;
    take('e');
    await audit.write();
    audit.isFull = false;
    take('f');
    await audit.write();
    expect(left.slice(-2)).toEqual(['e: vault_unwritable', 'f']);
    expect(audit.records.at(-1)?.facts).toMatchObject({ more_since_last: 3 });
  });

  it('says what the program claims apart from what the kernel tells', async () => {
    const { audit, take } = rig();
    take('a', { name: 'deploy' });
    await audit.write();
    expect(audit.records[0]).toMatchObject({ caller: someCaller(), facts: { claimed: { name: 'deploy' } } });
  });
});
