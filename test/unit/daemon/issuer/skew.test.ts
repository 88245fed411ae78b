/** What is learnt of an issuer's clock, and what is not. */
import { describe, expect, it } from 'vitest';
import { Skews } from '../../../../daemon/issuer/skew.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { T0 } from '../../../support/builders.ts';

const HOUR_MS = 3_600_000;

class TwoClocks {
  wallMs: number = T0;
  bootMs = 5_000;
  now(): EpochMs {
    return this.wallMs as EpochMs;
  }
  boottimeMs(): number {
    return this.bootMs;
  }
  readonly bootId = 'boot-1';
  awakeMs(): number {
    return this.bootMs;
  }
  sleep(): Promise<void> {
    throw new Error('nobody sleeps here');
  }
  pass(ms: number): void {
    this.wallMs += ms;
    this.bootMs += ms;
  }
}

function start(): { readonly clock: TwoClocks; readonly skews: Skews; readonly learn: (date: string | null, over?: { readonly tookMs?: number; readonly age?: string; readonly issuer?: string }) => void } {
  const clock = new TwoClocks();
  const skews = new Skews(clock);
  return {
    clock, skews,
    learn(date, { tookMs = 0, age = null, issuer = 'https://a.example' }: { readonly tookMs?: number; readonly age?: string | null; readonly issuer?: string } = {}) {
      const startedMs = clock.bootMs;
      clock.pass(tookMs);
      skews.learn(issuer, { header: (name) => ({ date, age } as Readonly<Record<string, string | null>>)[name] ?? null }, startedMs);
    },
  };
}
const at = (ms: number): string => new Date(ms).toUTCString();

describe('the clock of an issuer', () => {
  it('is taken to have written its Date in the middle of the exchange', () => {
    const { clock, skews, learn } = start();
    learn(at(T0 + 60_000), { tookMs: 4_000 });
    expect(skews.list()).toEqual([{ issuer: 'https://a.example', skewMs: 58_000, at: T0 + 4_000 }]);
    expect(skews.nowMsAt('https://a.example')).toBe(clock.wallMs + 58_000);
  });

  it.each<[string, string | null, object]>([
    ['no Date', null, {}],
    ['a Date that is none', 'yesterday or so', {}],
    ['an exchange of more than five seconds', at(T0 + HOUR_MS), { tookMs: 5_001 }],
    ['an answer out of a cache', at(T0 - HOUR_MS), { age: '3600' }],
  ])('is not learnt from %s, and what was known stays', (_name, date, over) => {
    const { skews, learn } = start();
    learn(date, over);
    expect(skews.list()).toEqual([]);
    learn(at(T0 + 10_000));
    const before = skews.list();
    expect(before).toHaveLength(1);
    learn(date, over);
    expect(skews.list()).toEqual(before);
  });

  it('goes on by the clock that never jumps: after a jump of this machine\'s the skew is another', () => {
    const { clock, skews, learn } = start();
    learn(at(T0));
    for (const jumpMs of [12 * HOUR_MS, -12 * HOUR_MS]) {
      clock.wallMs += jumpMs;
      expect(skews.list()[0]?.skewMs).toBe(-jumpMs);
      expect(skews.nowMsAt('https://a.example')).toBe(T0);
      clock.wallMs -= jumpMs;
    }
    clock.pass(HOUR_MS);
    expect(skews.list()[0]?.skewMs).toBe(0);
  });

  it.each([[24 * HOUR_MS, 24 * HOUR_MS], [24 * HOUR_MS + 1_000, 0], [-24 * HOUR_MS, -24 * HOUR_MS], [-25 * HOUR_MS, 0]])('that is %i ms ahead is believed by %i ms', (saidMs, believedMs) => {
    const { clock, skews, learn } = start();
    learn(at(T0 + saidMs));
    expect(skews.nowMsAt('https://a.example') - clock.wallMs).toBe(believedMs);
    expect(skews.list()[0]?.skewMs).toBe(saidMs);
  });

  it('is known for each issuer apart, for the last 64 that answered', () => {
    const { clock, skews, learn } = start();
    learn(at(T0 + HOUR_MS), { issuer: 'first' });
    for (let i = 0; i < 63; i += 1) learn(at(T0), { issuer: `issuer-${i}` });
    expect([skews.nowMsAt('first'), skews.nowMsAt('nobody')]).toEqual([T0 + HOUR_MS, clock.wallMs]);
    learn(at(T0 + HOUR_MS), { issuer: 'first' });
    learn(at(T0), { issuer: 'one more' });
    expect(skews.list()).toHaveLength(64);
    expect(skews.list().map(({ issuer }) => issuer)).toEqual(expect.arrayContaining(['first', 'one more']));
    expect(skews.list().map(({ issuer }) => issuer)).not.toContain('issuer-0');
  });
});
