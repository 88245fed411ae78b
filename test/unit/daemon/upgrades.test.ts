import { beforeEach, describe, expect, it } from 'vitest';
import type { Successor } from '../../../daemon/core/successor-port.ts';
import type { BrokerError } from '../../../daemon/core/errors.ts';
import { Upgrades } from '../../../daemon/upgrades.ts';
import type { Child, UpgradesDeps } from '../../../daemon/upgrades.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { LogSink } from '../../support/fakes.ts';

/** What the daemon is busy with, and what became of its children. */
class World {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly left: (Child | null)[] = [];
  readonly started: { pid: number; fd: number; key: number | null; isAbandoned: boolean }[] = [];
  person = false;
  wire = false;
  isLocked = false;
  backend: 'keychain' | 'memory' = 'keychain';
  kept = 1;
  fd: number | null = 10;
  key: number | null = null;
  recorded = true;
  readonly upgrades: Upgrades;

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters below are of the ports
    const world = this;
    const start = async ({ fd }: { readonly fd: number }): Promise<Successor | null> => {
      if (!this.recorded) return null;
      const child = { pid: 100 + this.started.length, fd, key: this.key, isAbandoned: false };
      this.started.push(child);
      return { pid: child.pid, program: '/opt/valetkeyd', takeOver: async () => undefined, abandon: async () => { child.isAbandoned = true; } };
    };
    const deps: UpgradesDeps = {
      successors: { failed: null, start, get key() { return world.key; } },
      gate: { get isLocked() { return world.isLocked; } },
      vault: { status: () => ({ backend: this.backend, state: 'open', detail: '' }) },
      book: { list: () => Array.from({ length: this.kept }, () => ({ state: { kind: 'active' } })) as unknown as ReturnType<UpgradesDeps['book']['list']> },
      doorway: () => ({ listener: this.fd === null ? null : { fd: this.fd, isHeld: false } }),
      isPersonBusy: () => this.person, isWireBusy: () => this.wire,
      clock: this.clock, log: new LogSink(), signal: this.stop.signal,
      leaveTo: (child) => void this.left.push(child),
    };
    this.upgrades = new Upgrades(deps);
  }
}

let world: World;
beforeEach(() => { world = new World(); });
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an upgrade', () => {
  it('happens at once where nothing is under way', async () => {
    expect(await world.upgrades.ask()).toEqual({ how: 'take_over', pid: 100, program: '/opt/valetkeyd' });
    await settle();
    expect(world.left).toMatchObject([{ fd: 10, isHeld: false }]);
  });

  it.each([['a program that was recorded', () => { world.recorded = false; }], ['a socket that can be left to it', () => { world.fd = null; }]])('without %s leaves to whoever asks next', async (_, lack) => {
    lack();
    expect(await world.upgrades.ask()).toEqual({ how: 'exit', pid: null, program: null });
    await settle();
    expect(world.left).toEqual([null]);
  });

  it('waits for a person for five and a half minutes, and then gives up and says why', async () => {
    world.person = true;
    await world.upgrades.ask();
    expect(world.upgrades.view).toMatchObject({ state: 'waiting' });
    await world.clock.advance(329_000);
    expect(world.upgrades.view).toMatchObject({ state: 'waiting' });
    await world.clock.advance(2_000);
    expect(world.left).toEqual([]);
    expect(world.started[0]?.isAbandoned).toBe(true);
    expect(world.upgrades.view).toEqual({ state: 'failed', detail: expect.stringContaining('signing in') as string });
    // And the next one is one of its own.
    world.person = false;
    expect(await world.upgrades.ask()).toMatchObject({ pid: 101 });
  });

  it('waits for the wire for ten seconds, since what is on it is saved anyhow', async () => {
    world.wire = true;
    await world.upgrades.ask();
    await world.clock.advance(9_000);
    expect(world.left).toEqual([]);
    await world.clock.advance(1_100);
    expect(world.left).toHaveLength(1);
  });

  it('is one for all who ask', async () => {
    world.person = true;
    expect(await Promise.all([world.upgrades.ask(), world.upgrades.ask()])).toEqual([1, 2].map(() => ({ how: 'take_over', pid: 100, program: '/opt/valetkeyd' })));
    expect(await world.upgrades.ask()).toMatchObject({ pid: 100 });
    expect(world.started).toHaveLength(1);
  });

  it.each([['the socket was made anew', () => { world.fd = 11; }], ['the vault was opened', () => { world.key = 7; }]])('starts another program where %s meanwhile: the first has other descriptors', async (_, change) => {
    world.person = true;
    await world.upgrades.ask();
    change();
    world.person = false;
    await world.clock.advance(60);
    await settle();
    expect(world.started.map(({ isAbandoned }) => isAbandoned)).toEqual([true, false]);
    expect(world.left).toMatchObject([{ fd: world.fd, key: world.key }]);
  });

  it('waits while somebody has locked the broker since, and ends the program where the daemon stops', async () => {
    world.person = true;
    await world.upgrades.ask();
    world.isLocked = true;
    world.person = false;
    await world.clock.advance(1_000);
    expect(world.left).toEqual([]);
    world.stop.abort();
    await settle();
    expect(world.started[0]?.isAbandoned).toBe(true);
    expect(world.left).toEqual([]);
  });

  it('is refused where it would lose something', async () => {
    world.isLocked = true;
    await expect(world.upgrades.ask()).rejects.toMatchObject({ code: 'vault_locked' } satisfies Partial<BrokerError>);
    world.isLocked = false;
    world.backend = 'memory';
    await expect(world.upgrades.ask()).rejects.toMatchObject({ code: 'upgrade_failed', message: expect.stringContaining('1 sign-in would') as string });
    expect(world.started).toEqual([]);
    world.kept = 0;
    expect(await world.upgrades.ask()).toMatchObject({ how: 'take_over' });
  });
});
