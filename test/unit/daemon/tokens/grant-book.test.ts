import { describe, expect, it } from 'vitest';
import { Grants } from '../../../../daemon/tokens/grant-book.ts';
import { profileName, someGrant } from '../../../support/builders.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { FakeAudit, FakeVault, LogSink } from '../../../support/fakes.ts';

const work = profileName('work');

describe('the book', () => {
  it('finishes a sign-out that is being written before the key goes', async () => {
    const vault = new FakeVault();
    const clock = new FakeClock();
    const book = new Grants({ vault, clock, log: new LogSink(), audit: new FakeAudit(), graceOf: () => null, onChange: () => undefined, signal: new AbortController().signal });
    vault.stored.set(work, { grant: someGrant({ profile: work }), intent: null });
    await book.load();
    let sealed = (): void => undefined;
    const taken = book.take(work, () => new Promise((resolve) => { sealed = resolve; }));
    let isFlushed = false;
    const flushed = book.flush().then(() => { isFlushed = true; });
    await settle();
    expect(isFlushed).toBe(false);
    sealed();
    await Promise.all([taken, flushed]);
    expect(vault.stored.size).toBe(0);
  });
});
