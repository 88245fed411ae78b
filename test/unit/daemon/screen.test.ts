import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LoginSessions, SessionNews } from '../../../daemon/core/ports.ts';
import type { SessionDemand } from '../../../daemon/core/policy-rules.ts';
import { Gate } from '../../../daemon/gate.ts';
import { compilePolicy } from '../../../daemon/policy/decide.ts';
import { sessionWishes } from '../../../daemon/policy/session.ts';
import { Screen } from '../../../daemon/screen.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { FakeAudit, LogSink } from '../../support/fakes.ts';
import { someDocument } from '../../support/policies.ts';

let clock: FakeClock;
let gate: Gate;
let locks: number;
let tell: (news: SessionNews) => void;
let watched: AbortSignal[];
let demand: SessionDemand | null;
let screen: Screen;
let stop: AbortController;

beforeEach(() => {
  clock = new FakeClock();
  gate = new Gate();
  locks = 0;
  watched = [];
  stop = new AbortController();
  const loginSessions: LoginSessions = {
    watch: (onNews, signal) => {
      watched.push(signal);
      tell = onNews;
      return new Promise(() => undefined);
    },
  };
  const inForce = () => (demand === null ? null : compilePolicy({ admin: { ...someDocument('admin', []), session: demand }, user: null }));
  screen = new Screen({
    loginSessions, gate, clock, log: new LogSink(), audit: new FakeAudit(), events: { emit: () => undefined }, signal: stop.signal, policies: { inForce },
    lock: async () => {
      locks += 1;
      gate.isLocked = true;
    },
  });
});
afterEach(() => stop.abort());

describe('the screen', () => {
  it('keeps everything in until logind has spoken, and for two seconds the start waits for that', async () => {
    demand = { screenLock: 'hold', locksOnSuspend: false };
    let isKnown = false;
    void screen.follow().then(() => { isKnown = true; });
    await settle();
    expect([gate.screen, gate.shut, isKnown]).toEqual(['screen_lock_unheard', 'screen-unheard', false]);
    await clock.advance(2_000);
    expect(isKnown).toBe(true);
    tell({ kind: 'screen', isLocked: false });
    expect(gate.shut).toBeNull();
    tell({ kind: 'unheard', why: 'gone' });
    expect(gate.shut).toBe('screen-unheard');
  });

  it('is nobody\'s business where no policy asks, and where the policy cannot be read', async () => {
    for (demand of [null, { screenLock: null, locksOnSuspend: false }]) {
      await screen.follow();
      expect([gate.screen, gate.shut, watched.length]).toEqual(['not_asked', null, 0]);
    }
  });

  it('is listened to once, and no more when policy stops asking', async () => {
    demand = { screenLock: 'hold', locksOnSuspend: false };
    void screen.follow();
    tell({ kind: 'screen', isLocked: true });
    await screen.follow();
    expect(watched).toHaveLength(1);
    demand = { screenLock: null, locksOnSuspend: false };
    await screen.follow();
    expect([watched[0]?.aborted, gate.screen]).toEqual([true, 'not_asked']);
    tell({ kind: 'screen', isLocked: true });
    expect(gate.screen).toBe('not_asked');
  });

  it('locks the vault once a time where policy says so', async () => {
    demand = { screenLock: 'lock', locksOnSuspend: false };
    void screen.follow();
    tell({ kind: 'screen', isLocked: true });
    tell({ kind: 'screen', isLocked: true });
    expect([locks, gate.shut]).toEqual([1, 'user-lock']);
    gate.isLocked = false;
    tell({ kind: 'screen', isLocked: false });
    tell({ kind: 'screen', isLocked: true });
    expect(locks).toBe(2);
  });

  it('is no matter of suspend, which locks before the sleep, or after it where logind was late', async () => {
    demand = { screenLock: null, locksOnSuspend: true };
    void screen.follow();
    tell({ kind: 'screen', isLocked: true });
    expect(gate.shut).toBeNull();
    tell({ kind: 'sleep' });
    expect(locks).toBe(1);
    // Its owner unlocked after the wake-up, which is noticed only now.
    gate.isLocked = false;
    screen.resumed();
    expect(locks).toBe(1);
    screen.resumed();
    expect(locks).toBe(2);
    demand = { screenLock: 'lock', locksOnSuspend: false };
    gate.isLocked = false;
    screen.resumed();
    tell({ kind: 'sleep' });
    expect(locks).toBe(2);
  });
});

it.each([
  [null, null, null, false], ['hold', null, 'hold', false], [null, 'hold', 'hold', false], ['hold', 'lock', 'lock', true], ['lock', 'hold', 'lock', true], ['lock', null, 'lock', true],
] as const)('of the admin\'s %s and the user\'s %s the stricter counts: %s', (admin, user, screenLock, locksOnSuspend) => {
  const document = (source: 'admin' | 'user', wish: SessionDemand['screenLock']) => ({ ...someDocument(source, []), session: { screenLock: wish, locksOnSuspend: wish === 'lock' } });
  expect(sessionWishes({ admin: document('admin', admin), user: document('user', user) })).toEqual({ screenLock, locksOnSuspend });
});
