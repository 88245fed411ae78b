import { describe, expect, it } from 'vitest';
import type { Api } from '../../../../client/api.ts';
import { ValetkeyError } from '../../../../client/valetkey-error.ts';
import type { Update } from '../../../../client/watch/board.ts';
import { feed } from '../../../../client/watch/feed.ts';
import type { BrokerEvent } from '../../../../shared/schemas.ts';
import { FakeClock, settle } from '../../../support/fake-clock.ts';
import { noApprovals, run, status } from '../fake-world.ts';

const told = (event: BrokerEvent['event']): BrokerEvent => ({ at: 1, event, profile: 'work', detail: null });

/** A daemon that can be ended and started. */
function rig() {
  const clock = new FakeClock();
  const stop = new AbortController();
  const updates: Update[] = [];
  const world = { runs: true, hasLeft: false, looks: 0, connections: 0, fault: null as unknown };
  let say: (event: BrokerEvent) => void = () => undefined;
  let hangUp: () => void = () => undefined;
  const link = {
    api: {
      status: async () => {
        world.looks += 1;
        return status;
      },
      approvals: async () => noApprovals,
    } as unknown as Api,
    async events(signal: AbortSignal): Promise<AsyncIterable<BrokerEvent>> {
      world.connections += 1;
      if (world.fault !== null) throw world.fault;
      if (!world.runs) throw ValetkeyError.local('daemon_unreachable', 'no daemon answers');
      const waiting: BrokerEvent[] = [];
      let isOver = false;
      let wake: () => void = () => undefined;
      say = (event) => {
        waiting.push(event);
        wake();
      };
      hangUp = () => {
        isOver = true;
        wake();
      };
      signal.addEventListener('abort', hangUp, { once: true });
      return (async function* () {
        while (!isOver) {
          const next = waiting.shift();
          if (next !== undefined) yield next;
          else await new Promise<void>((resolve) => { wake = resolve; });
        }
      })();
    },
  };
  const over = feed({ link, hasLeft: () => world.hasLeft, sleep: (ms, signal) => clock.sleep(ms, signal), signal: stop.signal }, (update) => void updates.push(update));
  over.catch(() => undefined);
  return { clock, stop, updates, world, over, say: (event: BrokerEvent) => say(event), hangUp: () => hangUp(), kinds: () => updates.splice(0).map((update) => (update.kind === 'event' ? update.event.event : update.kind)) };
}

describe('a daemon that is followed', () => {
  it('tells its state at once, and anew when something changed, twice a second at most', async () => {
    const { clock, world, say, kinds } = rig();
    await settle();
    expect(kinds()).toEqual(['state']);
    for (let i = 0; i < 100; i += 1) say(told('grant_changed'));
    await settle();
    expect([kinds().length, world.looks]).toEqual([100, 1]);
    await clock.advance(500);
    expect(kinds()).toEqual(['state']);
    await clock.advance(2_000);
    expect(world.looks).toBe(2);
  });

  it('is not asked for its state by tokens, which come in masses, but every ten seconds', async () => {
    const { clock, world, say } = rig();
    await clock.advance(600);
    for (let i = 0; i < 1_000; i += 1) say(told('token_released'));
    await clock.advance(5_000);
    expect(world.looks).toBe(1);
    await clock.advance(5_000);
    expect(world.looks).toBe(2);
  });

  it('that ends is waited for, and followed when it is there again', async () => {
    const { clock, updates, world, say, hangUp, kinds } = rig();
    await settle();
    world.runs = false;
    hangUp();
    await settle();
    expect(updates.at(-1)).toEqual({ kind: 'lost', why: 'the daemon is gone; it is waited for' });
    await clock.advance(60_000);
    expect(world.connections).toBeGreaterThan(5);
    expect(world.connections).toBeLessThan(50); // it is no load
    kinds();
    world.runs = true;
    await clock.advance(2_000);
    say(told('token_released'));
    await settle();
    expect(kinds()).toEqual(['state', 'token_released']);
  });

  it('that left in good order is not woken by being asked', async () => {
    const { clock, updates, world, hangUp } = rig();
    await settle();
    world.hasLeft = true;
    hangUp();
    await clock.advance(60_000);
    expect([world.connections, updates.at(-1)]).toEqual([1, { kind: 'lost', why: 'no daemon runs; it is waited for' }]);
  });

  it('that has too many watchers, or does not answer, is said to, and tried again', async () => {
    const { clock, updates, world, hangUp, kinds } = rig();
    await settle();
    world.fault = ValetkeyError.local('too_many_requests', 'there are 32 event streams already');
    hangUp();
    await clock.advance(300);
    expect(updates.at(-1)).toEqual({ kind: 'lost', why: 'the daemon has as many watchers as it takes; tried again' });
    world.fault = null;
    kinds();
    await clock.advance(5_000);
    expect(kinds()).toContain('state');
  });

  it('whose fault is for good is given up, with that fault', async () => {
    const { clock, world, hangUp, over } = rig();
    await settle();
    world.fault = ValetkeyError.local('protocol_mismatch', 'it speaks another protocol');
    hangUp();
    await clock.advance(1_000);
    await expect(over).rejects.toMatchObject({ code: 'protocol_mismatch' });
    expect(clock.sleepers).toBe(0);
  });

  it('is left when the signal ends, and nothing stays', async () => {
    const { clock, stop, over } = rig();
    await settle();
    stop.abort();
    await over;
    expect(clock.sleepers).toBe(0);
  });
});

describe('valetkey watch without a terminal', () => {
  const happened: readonly BrokerEvent[] = [
    { at: 1_795_410_712, event: 'token_released', profile: 'work', detail: 'any', caller: 'git (pid 4711)', count: 12 },
    { at: 1_795_410_713, event: 'peer_refused', profile: null, detail: 'a\u001b[2Jb\u2028c' },
  ];
  async function watch(argv: readonly string[]) {
    const stop = new AbortController();
    return run(argv, {
      signal: stop.signal, api: { status: () => status, approvals: () => noApprovals },
      events: async () => (async function* () {
        await settle(); // the state is told meanwhile
        yield* happened;
        stop.abort();
      })(),
    });
  }

  it('[AL-04] prints a line an event', async () => {
    const { exit, stdout, stderr, mayStart } = await watch(['watch']);
    expect(stdout).toBe('2026-11-23 05:11:52Z  token_released    work          git (pid 4711)  12 times, any\n2026-11-23 05:11:53Z  peer_refused      -             -  a [2Jb c\n');
    expect([exit, stderr, mayStart]).toEqual([0, 'Listening.\n', [false]]);
  });

  it('[AL-04] prints one JSON object a line with --json, and nothing that a terminal obeys', async () => {
    const { exit, stdout, stderr } = await watch(['watch', '--json']);
    const lines = stdout.trimEnd().split('\n');
    expect([exit, stderr, lines.map((line) => JSON.parse(line) as unknown)]).toEqual([0, '', happened]);
    expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}|\p{Zl}/u);
  });
});
