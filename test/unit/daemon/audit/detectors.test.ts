/** The detectors over scripted records, and what holds over any (AL-06). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DETECTORS, WINDOW_MS } from '../../../../daemon/audit/detector-rules.ts';
import type { Seen } from '../../../../daemon/audit/detector-rules.ts';
import { Detectors } from '../../../../daemon/audit/detectors.ts';
import type { OwnEvent } from '../../../../daemon/audit/chain.ts';
import type { AuditEvent } from '../../../../daemon/core/ports.ts';
import { profileName, someCaller, T0 } from '../../../support/builders.ts';
import type { EpochMs } from '../../../../shared/names.ts';
import { LogSink } from '../../../support/fakes.ts';

const DAY = 86_400_000;
const MINUTE = 60_000;
const caller = (path: string, digest: string | null = null): object => ({ ...someCaller({ executable: path }), origin: { class: 'human', program: { executable: path, script: null }, digest } });

type Step = readonly [at: number, event: AuditEvent['event'], over?: { profile?: string; caller?: object; facts?: Record<string, unknown> }];
function found(steps: readonly Step[]): readonly { detector: unknown; at: number }[] {
  const raised: { detector: unknown; at: number }[] = [];
  let now = 0;
  const detectors = new Detectors({ log: new LogSink(), append: (event: OwnEvent) => raised.push({ detector: event.facts['detector'], at: now }) }, []);
  for (const [at, event, over = {}] of steps) {
    now = at;
    detectors.see({ event, profile: profileName(over.profile ?? 'work'), caller: (over.caller ?? null) as AuditEvent['caller'], request: null, facts: over.facts ?? {} }, (T0 + at) as EpochMs);
  }
  return raised;
}
const names = (steps: readonly Step[]): readonly unknown[] => found(steps).map(({ detector }) => detector);
const repeat = (count: number, everyMs: number, step: (at: number) => Step, from = 0): readonly Step[] => Array.from({ length: count }, (_, n) => step(from + n * everyMs));

const pkce: Step = [0, 'login_finished', { facts: { flow: 'authorization_code' } }];
const device = (at: number, profile = 'work'): Step => [at, 'login_decided', { profile, facts: { outcome: 'device' } }];
const release = (at: number, path: string, digest: string | null = null): Step => [at, 'token_released', { caller: caller(path, digest) }];

describe('[AL-06] each scenario yields one event', () => {
  it('a device sign-in where a browser worked before', () => {
    expect(names([pkce, device(DAY), device(DAY + MINUTE)])).toEqual(['device_where_pkce_worked']);
    expect(names([device(DAY)])).toEqual([]);
    expect(names([pkce, device(DAY, 'other')])).toEqual([]);
    expect(names([pkce, [DAY, 'login_decided', { facts: { outcome: 'pkce_loopback' } }]])).toEqual([]);
  });

  it('a new digest at a known path', () => {
    expect(names([release(0, '/usr/bin/git', 'aa'), release(1, '/usr/bin/git', 'aa'), release(2, '/usr/bin/git', 'bb'), release(3, '/usr/bin/git', 'bb')])).toEqual(['new_digest']);
    expect(names([release(0, '/usr/bin/git', 'aa'), release(1, '/usr/bin/curl', 'bb')])).toEqual([]);
    expect(names([release(0, '/usr/bin/git', null), release(1, '/usr/bin/git', 'bb')])).toEqual([]);
  });

  it('refreshes that come too often, and not those that come all day', () => {
    expect(names(repeat(60, 10_000, (at) => [at, 'token_refreshed']))).toEqual(['refresh_spike']);
    expect(names(repeat(600, MINUTE, (at) => [at, 'token_refreshed']))).toEqual([]);
  });

  it('refusals of one program again and again', () => {
    const refused = (at: number, path = '/usr/bin/node'): Step => [at, 'token_refused', { caller: caller(path) }];
    expect(names(repeat(9, 10_000, (at) => refused(at)))).toEqual(['repeated_denials']);
    expect(names(repeat(9, 2 * MINUTE, (at) => refused(at)))).toEqual([]);
    expect(names([0, 1, 2, 3, 4, 5].map((n) => refused(n, `/bin/${n}`)))).toEqual([]);
    expect(names(repeat(9, 10_000, (at) => [at, 'token_refused', { caller: caller('/bin/a'), facts: { rule: 'user-lock' } }]))).toEqual([]);
  });

  it('a program that never took a token of this profile, once its users are known', () => {
    const day = repeat(25, DAY / 24, (at) => release(at, '/usr/bin/git'));
    expect(names([...day, release(DAY + MINUTE, '/tmp/x'), release(DAY + 2 * MINUTE, '/tmp/x')])).toEqual(['unusual_caller']);
    expect(names([release(0, '/usr/bin/git'), release(MINUTE, '/tmp/x')])).toEqual([]);
  });

  it('again after its window, if it goes on', () => {
    const raised = found(repeat(3 * 360, 10_000, (at) => [at, 'token_refreshed']));
    expect(raised.length).toBe(3);
    for (const [i, { at }] of raised.slice(1).entries()) expect(at - (raised[i]?.at ?? 0)).toBeGreaterThanOrEqual(WINDOW_MS);
  });
});

it('learns from the past of the log, and raises nothing for it again', () => {
  const past = [pkce, device(DAY)].map(([at, event, over], i) => ({ v: 1, seq: i + 1, prev: '', hash: '', at: T0 + at, event, profile: 'work', caller: null, request: null, facts: over?.facts ?? {} }));
  const raised: OwnEvent[] = [];
  const detectors = new Detectors({ log: new LogSink(), append: (event) => void raised.push(event) }, past);
  const see = (at: number): void => detectors.see({ event: 'login_decided', profile: profileName('work'), caller: null, request: 'r', facts: { outcome: 'device' } }, (T0 + at) as EpochMs);
  see(DAY + MINUTE);
  expect(raised).toEqual([]);
  see(DAY + WINDOW_MS + MINUTE);
  expect(raised).toMatchObject([{ event: 'detected', profile: 'work', request: 'r', facts: { detector: 'device_where_pkce_worked', browser_worked_at: T0 } }]);
  expect(detectors.active((T0 + DAY + WINDOW_MS + 2 * MINUTE) as EpochMs)).toMatchObject([{ detector: 'device_where_pkce_worked', profile: 'work' }]);
  expect(detectors.active((T0 + 2 * DAY) as EpochMs)).toEqual([]);
});

const seen: fc.Arbitrary<Seen> = fc.record({
  at: fc.integer({ min: 0, max: 3 * DAY }),
  event: fc.constantFrom('login_finished', 'login_decided', 'token_released', 'token_refused', 'token_refreshed', 'locked'),
  profile: fc.constantFrom('a', 'b', null),
  caller: fc.oneof(fc.constant(null), fc.tuple(fc.constantFrom('/bin/a', '/bin/b', '/bin/c'), fc.constantFrom('1', '2', null)).map(([path, digest]) => caller(path, digest)), fc.object()),
  facts: fc.record({ flow: fc.constantFrom('authorization_code', 'device_code', 7), outcome: fc.constantFrom('device', 'pkce_loopback', null) }),
});

describe('over any records', () => {
  it('the same records give the same findings, and nobody throws', () => {
    fc.assert(fc.property(fc.array(seen, { maxLength: 120 }), (stream) => {
      for (const { create } of DETECTORS) {
        const [one, two] = [create(), create()];
        expect(stream.map((each) => one(each))).toEqual(stream.map((each) => two(each)));
      }
    }), { numRuns: 300 });
  });

  it('the same thing is found once in a window, whatever the clock does', () => {
    fc.assert(fc.property(fc.array(seen, { maxLength: 200 }).map((stream) => stream.toSorted((a, b) => a.at - b.at)), (stream) => {
      for (const { name, create } of DETECTORS) {
        const judge = create();
        const last = new Map<string, number>();
        for (const each of stream) {
          const finding = judge(each);
          if (finding === null) continue;
          const before = last.get(finding.what);
          if (before !== undefined) expect(each.at - before, name).toBeGreaterThanOrEqual(WINDOW_MS);
          last.set(finding.what, each.at);
        }
      }
    }), { numRuns: 300 });
  });

  it('what a detector remembers is bounded: of thousands of programs the first one is forgotten, the last one is not', () => {
    const judge = DETECTORS.find(({ name }) => name === 'new_digest')?.create();
    const see = (n: number, digest: string) => judge?.({ at: n, event: 'token_released', profile: null, caller: caller(`/bin/${n}`, digest), facts: {} });
    for (let n = 0; n < 5_000; n += 1) see(n, 'before');
    expect(see(0, 'after')).toBeNull();
    expect(see(4_999, 'after')).toMatchObject({ facts: { path: '/bin/4999', digest_before: 'before' } });
  });
});
