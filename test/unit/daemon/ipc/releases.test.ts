import { describe, expect, it } from 'vitest';
import { Fingerprints } from '../../../../daemon/core/fingerprints.ts';
import type { Caller } from '../../../../daemon/core/domain.ts';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import type { AuditEvent, Callers } from '../../../../daemon/core/ports.ts';
import { Releases } from '../../../../daemon/ipc/routes/releases.ts';
import { someCaller, someOrigin, someGrant, someProfile, someToken } from '../../../support/builders.ts';
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

function rig(digestOf: Callers['digestOf'] = async () => null) {
  const audit = new SlowAudit();
  const clock = new FakeClock();
  const releases = new Releases({ audit, clock, fingerprints: new Fingerprints(), callers: { digestOf }, event: 'token_released' });
  const token = someToken();
  const left: string[] = [];
  const take = (name: string, claimed: { readonly name: string } | null = null, caller: Caller = someCaller()): void => {
    Promise.resolve(releases.record(someProfile(), { grant: someGrant(), token, source: 'cache' }, { caller, requestId: 'r' }, claimed, { name: 'shipped/login-session', approval: null })).then(() => left.push(name), (cause: BrokerError) => left.push(`${name}: ${cause.code}`));
  };
  return { audit, clock, left, take, releases };
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

describe('[AL-01] the same caller', () => {
  const DIGEST = 'ab'.repeat(32);
  const asker = (over: Partial<Caller>, origin: Parameters<typeof someOrigin>[0] = {}): Caller => ({ ...someCaller(over), origin: someOrigin({ digest: DIGEST, ...origin }) });

  it('is the same bytes, script and session, whatever its pid', async () => {
    const { audit, take } = rig();
    take('first', null, asker({ pid: 1 }));
    await audit.write();
    for (const pid of [2, 3, 4]) take('again', null, asker({ pid }));
    await audit.write();
    expect(audit.records).toHaveLength(1);
    take('other bytes', null, asker({}, { digest: 'cd'.repeat(32) }));
    take('other script', null, asker({}, { program: { executable: '/usr/bin/git', script: '/home/u/a.py' } }));
    take('other session', null, asker({}, { sessionLeader: { pid: 99, startTime: '1' } }));
    await audit.write();
    expect(audit.records).toHaveLength(4);
  });

  it('is not another program that valetkey stands below as well', async () => {
    const { audit, take } = rig();
    for (const [executable, digest] of [['/usr/bin/git', DIGEST], ['/usr/bin/gh', 'cd'.repeat(32)]] as const) {
      take(executable, null, asker({ executable: '/usr/bin/node', script: '/opt/valetkey.cjs' }, { digest, program: { executable, script: null } }));
    }
    await audit.write();
    expect(audit.records).toHaveLength(2);
  });

  it('is the same process until its bytes are known, and counts for them from then on', async () => {
    let learn: (digest: string) => void = () => undefined;
    const { audit, take } = rig(() => new Promise((resolve) => { learn = resolve; }));
    const unknown = (pid: number): Caller => asker({ pid }, { digest: null });
    take('a', null, unknown(1));
    take('b', null, unknown(2));
    await audit.write();
    expect(audit.records).toHaveLength(2);
    learn(DIGEST);
    await settle();
    for (const pid of [3, 4]) take('c', null, asker({ pid }));
    await audit.write();
    expect(audit.records).toHaveLength(2);
    // The file was replaced: nobody has read what is there now.
    take('d', null, unknown(5));
    await audit.write();
    expect(audit.records).toHaveLength(3);
  });
});

describe('releases for those who listen', () => {
  it('are told once, also across the minute at which the audit counts anew', async () => {
    const { audit, clock, releases, take } = rig();
    take('first');
    await audit.write();
    expect(releases.takeUntold()).toEqual([]); // it wrote a record of its own
    take('second');
    take('third');
    await settle();
    expect(releases.takeUntold()).toMatchObject([{ profile: 'work', rule: 'shipped/login-session', count: 2 }]);
    expect(releases.takeUntold()).toEqual([]);
    take('fourth');
    await settle();
    await clock.advance(61_000);
    take('of the next minute');
    await audit.write();
    expect(releases.takeUntold().map(({ count }) => count)).toEqual([1]);
    expect(audit.records.map(({ facts }) => facts['more_since_last'])).toEqual([undefined, 3]);
  });
});
