import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../../daemon/core/errors.ts';
import { withDeadline } from '../../../../daemon/ipc/deadline.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { LogSink } from '../../../support/fakes.ts';

const rig = () => ({ clock: new FakeClock(), log: new LogSink(), caller: new AbortController() });
const outcomeOf = (work: Promise<unknown>): Promise<string> => work.then((value) => `done: ${String(value)}`, (cause: unknown) => (cause instanceof BrokerError ? cause.code : String(cause)));
const gone = new BrokerError('cancelled', 'the caller left');

describe('a deadline', () => {
  it('answers the caller in time though the work does not heed its signal', async () => {
    const { clock, log, caller } = rig();
    const outcome = outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, () => new Promise(() => undefined)));
    await clock.advance(999);
    expect(await Promise.race([outcome, settle().then(() => 'waits')])).toBe('waits');
    await clock.advance(1);
    expect(await outcome).toBe('deadline_exceeded');
  });

  it('lets the work go on, and logs a failure that nobody hears', async () => {
    const { clock, log, caller } = rig();
    let fail: (cause: unknown) => void = () => undefined;
    const outcome = outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, () => new Promise((_, reject) => { fail = reject; })));
    await clock.advance(1_000);
    expect(await outcome).toBe('deadline_exceeded');
    const late = new Error('the disk is full');
    fail(late);
    await settle();
    expect(log.lines).toEqual([expect.objectContaining({ level: 'error', event: 'failed_unheard', cause: late })]);
  });

  it('logs nothing where the work ends by the signal, as it should', async () => {
    const { clock, log, caller } = rig();
    const outcome = outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, (signal) => clock.sleep(60_000, signal)));
    await clock.advance(1_000);
    expect(await outcome).toBe('deadline_exceeded');
    await settle();
    expect(log.lines).toEqual([]);
    expect(clock.sleepers).toBe(0);
  });

  it.each<[string, () => Promise<number>, string]>([
    ['a value', async () => 1, 'done: 1'], ['a failure', async () => { throw gone; }, 'cancelled'], ['a throw before the first await', () => { throw gone; }, 'cancelled'],
  ])('passes on %s, and leaves no timer and no listener behind', async (_, work, expected) => {
    const { clock, log, caller } = rig();
    expect(await outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, work))).toBe(expected);
    await settle();
    expect(clock.sleepers).toBe(0);
    caller.abort(gone);
    await clock.advance(5_000);
    expect(log.lines).toEqual([]);
  });

  it('ends with the caller, also with one that left before', async () => {
    const { clock, log, caller } = rig();
    const waiting = outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, (signal) => clock.sleep(60_000, signal)));
    caller.abort(gone);
    expect(await waiting).toBe('cancelled');
    expect(await outcomeOf(withDeadline({ clock, log }, 1_000, caller.signal, (signal) => clock.sleep(60_000, signal)))).toBe('cancelled');
    expect(clock.sleepers).toBe(0);
  });
});
