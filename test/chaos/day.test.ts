/**
 * A day of use in fast-forward: the daemon in this process on a real socket, with a clock, an issuer and a vault
 * that are fakes. No sign-in, and hardly a request to an issuer more than the day needs.
 */
import { Agent, request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { EpochMs } from '../../shared/names.ts';
import type { Profile } from '../../daemon/core/domain.ts';
import type { ConfigStore, Issuer, IssuerOutcome } from '../../daemon/core/ports.ts';
import { Secret } from '../../daemon/core/secret.ts';
import { profileName, someCaller, someCallers, someGrant, someProfile, someServer, someToken } from '../support/builders.ts';
import { FakeIssuer, FakeVault, fakeRandom, tokenSet } from '../support/fakes.ts';
import { startInProcess } from '../support/in-process.ts';
import type { InProcess } from '../support/in-process.ts';
import { publish, replay, replayable, runs, scale } from './campaign.ts';
import { DayClock } from './day-clock.ts';
import { drawDay, HOUR, JITTER, idealRequests, MINUTE, requestsToTheIll, troubleAt } from './day-schedule.ts';
import type { Asked, Day } from './day-schedule.ts';

const DAYS = runs(1, 5);
const MEAN_GAP_MS = scale(20, 6) * MINUTE;
const MIDNIGHT = Date.UTC(2026, 10, 23);
const TOLERANCE = 0.05;

replayable('day');

/** Replaces the refresh token each time, and ends the family at a second use. */
class DayIssuer extends FakeIssuer {
  /** While it was well, and while it was ill. */
  arrived = 0;
  whileIll = 0;
  alarms = 0;
  readonly #day: Day;
  readonly #clock: DayClock;
  readonly #current = new Map<string, number>();

  constructor(day: Day, clock: DayClock) {
    super();
    this.#day = day;
    this.#clock = clock;
  }

  override probe: Issuer['probe'] = async ({ issuer }) => {
    const index = Number(/issuer-(\d)/.exec(issuer)?.[1]);
    return troubleAt(this.#day, index, this.#clock.now() - MIDNIGHT)?.kind === 'refused'
      ? { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false }
      : { kind: 'reached' };
  };

  override async refresh(...[, profile, refreshToken]: Parameters<Issuer['refresh']>): Promise<IssuerOutcome> {
    const index = this.#day.grants.findIndex(({ name }) => name === profile.name);
    const grant = this.#day.grants[index];
    if (grant === undefined) throw new Error(`no grant ${profile.name}`);
    const trouble = troubleAt(this.#day, grant.issuer, this.#clock.now() - MIDNIGHT);
    if (trouble?.kind === 'refused') return { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'network', cause: 'refused', timedOut: false };
    if (trouble?.kind === 'ill') {
      this.whileIll += 1;
      return { kind: 'transient', answerLost: false, retryAfterMs: null, reach: 'server', cause: 'http_503', timedOut: false };
    }
    this.arrived += 1;
    const n = this.#current.get(profile.name) ?? 1;
    if (refreshToken.reveal() !== `rt-${profile.name}-${n}-EXAMPLE`) {
      this.alarms += 1;
      return { kind: 'rejected', code: 'issuer_refused', oauthError: 'invalid_grant', subError: null, description: 'used before', tokens: null };
    }
    this.#current.set(profile.name, n + 1);
    return { kind: 'tokens', tokens: tokenSet(n + 1, { accessToken: new Secret(`at-${profile.name}-${n + 1}-EXAMPLE`), refreshToken: new Secret(`rt-${profile.name}-${n + 1}-EXAMPLE`), expiresInS: grant.lifeMs / 1000 }) };
  }
}

/** Every configuration that a day needs; nobody edits it. */
function fixedConfig(profiles: readonly Profile[]): ConfigStore {
  const config = {
    file: '/config.toml', loadedAt: MIDNIGHT as EpochMs, profiles: new Map(profiles.map((profile) => [profile.name, profile])), workloads: new Map(), deviceIssuers: [],
    vault: { backend: 'memory' as const }, log: { level: 'info' as const, format: 'json' as const, file: null },
    notifications: { desktop: false, sessionEndingS: 0 }, limits: { requestsPerSecond: 10_000, burst: 10_000, connectionsPerProcess: 1_000 }, warnings: [],
  };
  const never = (): never => { throw new Error('the configuration does not change in a day'); };
  return { current: () => config, reload: async () => ({ changed: [] }), wouldChange: async () => false, plan: never, add: never, remove: never, removeWorkload: never, redirectUris: () => [], caveats: () => [] };
}

let daemon: InProcess | null = null;
afterEach(async () => {
  await daemon?.stop();
  daemon = null;
});

type Reply = { readonly status: number; readonly code: string | null; readonly retryAfterS: number | null };

function asker(socketPath: string): (profile: string) => Promise<Reply> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  return (profile) => new Promise((resolve, reject) => {
    const req = request({ socketPath, agent, method: 'POST', path: '/v1/token', headers: { 'content-type': 'application/json' } }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
      res.on('end', () => {
        const body = JSON.parse(text) as { readonly code?: string; readonly retry_after_s?: number };
        resolve({ status: res.statusCode ?? 0, code: body.code ?? null, retryAfterS: body.retry_after_s ?? null });
      });
    });
    req.on('error', reject);
    req.end(JSON.stringify({ profile }));
  });
}

async function live(day: Day): Promise<{ readonly asked: readonly Asked[]; readonly issuer: DayIssuer; readonly unreachable: number; readonly refusals: readonly string[] }> {
  const clock = new DayClock(MIDNIGHT);
  const issuer = new DayIssuer(day, clock);
  const vault = new FakeVault();
  const profiles = day.grants.map(({ name, issuer: n }) => someProfile({ name: profileName(name), issuer: `https://issuer-${n}.example` }));
  for (const [index, profile] of profiles.entries()) {
    const lifeMs = day.grants[index]?.lifeMs ?? HOUR;
    vault.stored.set(profile.name, {
      intent: null,
      grant: someGrant({
        profile: profile.name, issuer: profile.issuer, server: someServer({ issuer: profile.issuer }), signedInAt: MIDNIGHT as EpochMs,
        state: { kind: 'active', refreshToken: new Secret(`rt-${profile.name}-1-EXAMPLE`), tokens: [someToken({ obtainedAt: MIDNIGHT as EpochMs, expiresAt: (MIDNIGHT + lifeMs) as EpochMs })] },
      }),
    });
  }
  daemon = await startInProcess({
    config: '', edges: {
      clock, issuer, vault, config: fixedConfig(profiles), random: { ...fakeRandom(), fraction: () => JITTER },
      callers: someCallers({ attest: async () => someCaller({ uid: process.getuid?.() ?? 0 }) }),
    },
  });
  const ask = asker(daemon.socket);

  const asked: Asked[] = [];
  const refusals: string[] = [];
  let unreachable = 0;
  const waiting = [...day.bursts];
  const sleeps = [...day.suspends];
  const at = (): number => clock.now() - MIDNIGHT;
  while (waiting.length > 0) {
    const burst = waiting.shift();
    if (burst === undefined) break;
    while (sleeps[0] !== undefined && sleeps[0].from <= burst.at) {
      const { from, to } = sleeps.shift() ?? sleeps[0];
      await clock.advance(Math.max(0, from - at()));
      clock.suspend(to - at());
    }
    await clock.advance(Math.max(0, burst.at - at()));
    asked.push({ at: at(), grant: burst.grant });
    const replies = await Promise.all(Array.from({ length: burst.asks }, () => ask(day.grants[burst.grant]?.name ?? '')));
    const failed = replies.find(({ status }) => status !== 200);
    if (failed === undefined) continue;
    if (failed.code !== 'issuer_unreachable') {
      refusals.push(`${Math.round(at() / MINUTE)} min: ${String(failed.code)}`);
      continue;
    }
    unreachable += 1;
    // As a patient client does: once more, when it was told to. Those who asked together come back together.
    const again = { ...burst, at: at() + 1_000 * Math.max(5, failed.retryAfterS ?? 5), asks: 1 };
    const place = waiting.findIndex((each) => each.at > again.at);
    waiting.splice(place === -1 ? waiting.length : place, 0, again);
  }
  return { asked, issuer, unreachable, refusals };
}

describe('a day of use', () => {
  it(`fifty grants, ${DAYS} day(s): no sign-in that was not needed, and requests to issuers within ${100 * TOLERANCE} % of the ideal`, async () => {
    const total = { asks: 0, arrived: 0, ideal: 0, whileIll: 0, unreachable: 0, alarms: 0 };
    for (let run = 0; run < DAYS; run += 1) {
      const day = drawDay(run, MEAN_GAP_MS);
      const { asked, issuer, unreachable, refusals } = await live(day);
      const ideal = idealRequests(day, asked);
      const where = replay('day', run);
      expect(refusals, where).toEqual([]);
      expect(issuer.alarms, where).toBe(0);
      expect(Math.abs(issuer.arrived - ideal) / ideal, `${issuer.arrived} requests, ${ideal} needed: ${where}`).toBeLessThanOrEqual(TOLERANCE);
      expect(issuer.whileIll, where).toBeLessThanOrEqual(requestsToTheIll(day));
      // Else the day held no trouble, and proved little.
      expect(unreachable).toBeGreaterThan(0);
      total.asks += day.bursts.reduce((sum, { asks }) => sum + asks, 0);
      total.arrived += issuer.arrived;
      total.ideal += ideal;
      total.whileIll += issuer.whileIll;
      total.alarms += issuer.alarms;
      total.unreachable += unreachable;
      await daemon?.stop();
      daemon = null;
    }
    publish('day', {
      days: DAYS, grants: 50, 'requests of callers': total.asks, 'requests to issuers': total.arrived, 'requests that the days needed': total.ideal, 'requests to an issuer that was ill': total.whileIll,
      'told that the issuer is away': total.unreachable, 'sign-ins needed': 0, 'reuse alarms': total.alarms,
    });
  }, 60_000 + DAYS * 240_000);
});
