import { describe, expect, it } from 'vitest';
import type { Seat } from '../../../../daemon/core/desktop-port.ts';
import { Notifications } from '../../../../daemon/notices/notifications.ts';
import type { BrokerEvent } from '../../../../shared/schemas.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { LogSink } from '../../../support/fakes.ts';

const seat: Seat = { servers: [{ uid: 1, pid: 2 }], display: { x11: ':0', wayland: null, xauthority: null, type: 'x11', desktop: '' } };
const told = (event: BrokerEvent['event'], over: Partial<BrokerEvent> = {}): BrokerEvent => ({ at: 1, event, profile: 'work', detail: null, ...over });

function rig() {
  const clock = new FakeClock();
  const shown: { title: string; body: string; signal: AbortSignal }[] = [];
  const world = { seat: seat as Seat | string, isWanted: true, isScreenLocked: false };
  const stop = new AbortController();
  const notifications = new Notifications({
    clock, log: new LogSink(), signal: stop.signal, isWanted: () => world.isWanted, isScreenLocked: () => world.isScreenLocked,
    desktop: { find: async () => world.seat, tell: async (title, body, signal) => void shown.push({ title, body, signal }) },
  });
  const take = async (...events: readonly BrokerEvent[]): Promise<void> => {
    for (const event of events) notifications.take(event);
    await settle();
  };
  return { clock, shown, world, stop, take };
}

describe('a notification', () => {
  it.each([
    ['login_needed', 'never_signed_in', 'Valetkey: sign in to work', 'A program waits for it. Run in a terminal: valetkey login work'],
    ['grant_parked', 'expired', 'Valetkey: the sign-in to work is over', 'It ended by itself. Run in a terminal: valetkey login work'],
    ['session_ending', '15 min', 'Valetkey: the sign-in to work ends soon', 'In 15 min. Run in a terminal: valetkey login work'],
    ['detected', 'refresh_spike: <b>evil</b> asked', 'Valetkey: something unusual', 'refresh_spike, of work. Run in a terminal: valetkey audit search --event detected'],
  ] as const)('[AL-04] tells of %s in our own words', async (event, detail, title, body) => {
    const { shown, take } = rig();
    await take(told(event, { detail }));
    expect(shown).toMatchObject([{ title, body }]);
  });

  it('is not made of what nobody has to act on', async () => {
    const { shown, take } = rig();
    await take(told('token_released'), told('token_refused'), told('token_refreshed'), told('login_started'), told('login_finished', { detail: 'failed' }), told('grant_removed'), told('locked'), told('stopping'));
    expect(shown).toEqual([]);
  });

  it('comes once in ten minutes of a kind and profile, however often it happens', async () => {
    const { clock, shown, take } = rig();
    // That it ended and that somebody wants it are one thing.
    for (let minute = 0; minute < 10; minute += 1) {
      await take(...Array.from({ length: 50 }, () => told('grant_parked')), ...Array.from({ length: 50 }, () => told('login_needed')));
      await clock.advance(60_000 - 1);
    }
    expect(shown).toHaveLength(1);
    await take(told('session_ending'), told('login_needed', { profile: 'lab' }));
    expect(shown).toHaveLength(3);
    await clock.advance(60_000);
    await take(told('login_needed'));
    expect(shown).toHaveLength(4);
  });

  it('is one of five at most in ten minutes, whatever ended at once', async () => {
    const { clock, shown, take } = rig();
    await take(...Array.from({ length: 40 }, (_, i) => told('grant_parked', { profile: `p${i}` })));
    expect(shown).toHaveLength(5);
    await clock.advance(600_000);
    await take(told('grant_parked', { profile: 'p39' }));
    expect(shown).toHaveLength(6);
  });

  it.each([
    ['a locked screen', (world: ReturnType<typeof rig>['world'], is: boolean) => { world.seat = is ? 'the screen is locked' : seat; }],
    ['no desktop', (world: ReturnType<typeof rig>['world'], is: boolean) => { world.seat = is ? 'logind knows no graphical session of this user' : seat; }],
  ])('is not shown to %s, and does not count then', async (_what, set) => {
    const { clock, shown, world, take } = rig();
    set(world, true);
    await take(told('login_needed'));
    set(world, false);
    await take(told('login_needed'));
    expect(shown).toEqual([]);
    await clock.advance(30_000);
    await take(told('login_needed'));
    expect(shown).toHaveLength(1);
  });

  it('is not shown where policy knows of the lock, nor where nobody wants it', async () => {
    const { shown, world, take } = rig();
    world.isScreenLocked = true;
    await take(told('login_needed'));
    world.isScreenLocked = false;
    world.isWanted = false;
    await take(told('login_needed'));
    expect(shown).toEqual([]);
    world.isWanted = true;
    await take(told('login_needed'));
    expect(shown).toHaveLength(1);
  });

  it('goes when somebody signed in, when its time is over, and when the daemon stops', async () => {
    const { clock, shown, stop, take } = rig();
    await take(told('login_needed'), told('login_needed', { profile: 'lab' }), told('detected'));
    await take(told('login_finished', { detail: 'complete' }));
    expect(shown.map(({ signal }) => signal.aborted)).toEqual([true, false, false]);
    await clock.advance(300_000);
    stop.abort();
    expect(shown.map(({ signal }) => signal.aborted)).toEqual([true, false, false]); // the desktop took them down itself
    const later = rig();
    await later.take(told('detected'));
    later.stop.abort();
    expect(later.shown[0]?.signal.aborted).toBe(true);
    await later.take(told('login_needed'));
    expect(later.shown).toHaveLength(1);
  });
});
