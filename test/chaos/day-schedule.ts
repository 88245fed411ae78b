/**
 * A day of fifty grants, drawn from a seed: who asks when, when the laptop sleeps, when the network changes and
 * when an issuer is away. And the ideal: how many requests a day like this needs at all.
 */
import { seeded } from './campaign.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
const GRANTS = 50;
const ISSUERS = 5;
const LIVES_MS = [5 * MINUTE, 10 * MINUTE, HOUR, 8 * HOUR, 24 * HOUR];
/** A caller that names none gets a token that lives at least this long. */
const MIN_TTL_MS = 60_000;
/** From eight to ten, and again after a lunch of eight hours, till midnight. */
const WORK = [[8 * HOUR, 10 * HOUR], [18 * HOUR, 24 * HOUR]] as const;

/** Milliseconds since the start of the day. */
export type Span = { readonly from: number; readonly to: number };
export type DayGrant = { readonly name: string; readonly issuer: number; readonly lifeMs: number };
export type Burst = { readonly at: number; readonly grant: number; readonly asks: number };
/** `refused`: nothing arrives; `ill`: it answers 503. */
export type Trouble = Span & { readonly kind: 'refused' | 'ill'; readonly issuer: number | null };
export type Day = { readonly grants: readonly DayGrant[]; readonly bursts: readonly Burst[]; readonly suspends: readonly Span[]; readonly troubles: readonly Trouble[] };

/** What random jitter gives in such a day: the middle. */
export const JITTER = 0.5;
/**
 * What the broker promises of refreshing ahead of expiry (docs/architecture.md); the one place to change when it
 * promises something else: at 0.8 of its life, less the jitter of a tenth, if somebody asked within half of its
 * life, half an hour at most, before that; else at the next use.
 */
const AHEAD = { fractionOfLife: 0.8 - 0.1 * JITTER, inUsePart: 0.5, inUseMaxMs: 30 * MINUTE };

export function drawDay(run: number, meanGapMs: number): Day {
  const random = seeded(run, 5);
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from));
  const grants = Array.from({ length: GRANTS }, (_, n) => ({ name: `grant-${n}`, issuer: n % ISSUERS, lifeMs: LIVES_MS[Math.floor(n / ISSUERS) % LIVES_MS.length] ?? HOUR }));
  const suspends = [between(8.5 * HOUR, 8.6 * HOUR), between(11 * HOUR, 12 * HOUR), between(19 * HOUR, 20 * HOUR), between(21.5 * HOUR, 22 * HOUR)]
    .map((from, n) => ({ from, to: from + between(10 * MINUTE, n === 1 ? 5 * HOUR : 90 * MINUTE) }));
  const isAsleep = (at: number): boolean => suspends.some(({ from, to }) => at >= from && at <= to);
  const bursts = grants.flatMap((_, grant) => WORK.flatMap(([from, to]) => {
    const found: Burst[] = [];
    for (let at = from; at < to;) {
      at += Math.ceil(-Math.log(1 - random()) * meanGapMs);
      if (at < to && !isAsleep(at)) found.push({ at, grant, asks: 1 + Math.floor(random() * 4) });
    }
    return found;
  })).toSorted((a, b) => a.at - b.at);
  const changes = Array.from({ length: 12 }, () => between(8 * HOUR, 24 * HOUR)).map((from): Trouble => ({ kind: 'refused', issuer: null, from, to: from + 8_000 }));
  const outages = [
    { kind: 'ill', issuer: 1, from: 9 * HOUR, to: 9.25 * HOUR },
    { kind: 'refused', issuer: 2, from: 18.5 * HOUR, to: 19 * HOUR },
    { kind: 'refused', issuer: null, from: 20.5 * HOUR, to: 20.6 * HOUR },
  ] as const;
  return { grants, bursts, suspends, troubles: [...changes, ...outages] };
}

/** What the back-off of each grant lets through: doubling up to 30 s, of which jitter takes half at most. */
export function requestsToTheIll({ grants, troubles }: Day): number {
  const ofGrant = (issuer: number): number => troubles.filter((each) => each.kind === 'ill' && (each.issuer === null || each.issuer === issuer))
    .reduce((sum, { from, to }) => sum + 6 + (to - from) / 15_000, 0);
  return grants.reduce((sum, { issuer }) => sum + ofGrant(issuer), 0);
}

export function troubleAt({ troubles }: Day, issuer: number, at: number): Trouble | null {
  return troubles.find((each) => (each.issuer === null || each.issuer === issuer) && at >= each.from && at < each.to) ?? null;
}

export type Asked = { readonly at: number; readonly grant: number };

/** Requests that issuers answer with a token if nobody ever asks one too many. What an issuer that is ill is asked meanwhile is bounded apart. */
export function idealRequests(day: Day, asked: readonly Asked[]): number {
  let requests = 0;
  for (const [index, { issuer, lifeMs }] of day.grants.entries()) {
    // Signed in at midnight.
    let gotAt = 0;
    let usedAt = -Infinity;
    const take = (at: number): void => {
      requests += 1;
      gotAt = at;
    };
    for (const { at } of asked.filter(({ grant }) => grant === index)) {
      const due = dueAt(day, issuer, Math.max(usedAt, gotAt + AHEAD.fractionOfLife * lifeMs));
      const isInUse = usedAt >= gotAt && due - usedAt <= Math.min(AHEAD.inUsePart * lifeMs, AHEAD.inUseMaxMs);
      if (due < at && isInUse) take(due);
      if (troubleAt(day, issuer, at) === null && at >= Math.min(gotAt + AHEAD.fractionOfLife * lifeMs, gotAt + lifeMs - MIN_TTL_MS)) take(at);
      usedAt = at;
    }
  }
  return requests;
}

/** Nothing happens while the machine sleeps or the issuer is away. */
function dueAt(day: Day, issuer: number, wanted: number): number {
  let at = wanted;
  for (;;) {
    const end = day.suspends.find(({ from, to }) => at >= from && at < to)?.to ?? troubleAt(day, issuer, at)?.to;
    if (end === undefined) return at;
    at = end;
  }
}
