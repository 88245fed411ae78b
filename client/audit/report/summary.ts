/**
 * The log in figures, in one walk: what a page can show of a week or a year costs the same memory, as everything is
 * counted into a fixed number of slots and lists keep their newest.
 */
import type { AuditRecord } from '../../../shared/audit-line.ts';
import { textOf, viewCaller, wordsOf } from '../caller-view.ts';
import type { CallerView } from '../caller-view.ts';
import type { Line } from '../log-files.ts';

export const SLOTS = 168;
const CALLERS_MAX = 200;
const PROFILES_MAX = 64;
const LIST_MAX = 200;
export const OTHERS = '(others)';

export type CallerRow = {
  readonly view: CallerView;
  releases: number;
  refusals: number;
  last: number;
  /** Releases of each profile, slot by slot. */
  readonly slots: Map<string, number[]>;
  readonly refused: number[];
};

export type SignIn = {
  readonly at: number;
  readonly profile: string;
  /** pkce_loopback, device, refuse, … */
  readonly outcome: string;
  readonly reason: string;
  readonly rule: string;
  readonly probes: readonly string[];
  readonly caller: CallerView | null;
  end: 'signed in' | 'failed' | 'open' | 'refused';
};

export type Incident = { readonly at: number; readonly profile: string | null; readonly kind: string; readonly what: string; readonly caller: CallerView | null };

export type Summary = {
  readonly since: number;
  readonly until: number;
  readonly records: number;
  readonly callers: readonly CallerRow[];
  readonly profiles: readonly string[];
  readonly signIns: readonly SignIn[];
  readonly detections: readonly Incident[];
  readonly refusals: readonly Incident[];
  /** Releases and refusals of all, slot by slot. */
  readonly released: readonly number[];
  readonly refused: readonly number[];
  readonly totals: { readonly releases: number; readonly refusals: number; readonly refreshes: number; readonly signIns: number; readonly deviceSignIns: number };
  /** Of the whole log, not of the range alone. */
  readonly lastUsed: ReadonlyMap<string, number>;
};

const slots = (): number[] => Array.from({ length: SLOTS }, () => 0);

function push<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > LIST_MAX) list.shift();
}

export async function summarise(lines: AsyncIterable<Line>, { since, until }: { readonly since: number; readonly until: number }): Promise<Summary> {
  const counts = new Counts(since, until);
  for await (const { record } of lines) counts.take(record);
  return counts.end();
}

class Counts {
  readonly #since: number;
  readonly #until: number;
  readonly #callers = new Map<string, CallerRow>();
  readonly #profiles = new Map<string, number>();
  readonly #lastUsed = new Map<string, number>();
  readonly #signIns: SignIn[] = [];
  readonly #detections: Incident[] = [];
  readonly #refusals: Incident[] = [];
  readonly #released = slots();
  readonly #refused = slots();
  readonly #totals = { releases: 0, refusals: 0, refreshes: 0, signIns: 0, deviceSignIns: 0 };
  #records = 0;

  constructor(since: number, until: number) {
    this.#since = since;
    this.#until = until;
  }

  take(record: AuditRecord): void {
    const { event, profile, at } = record;
    const isRelease = event === 'token_released' || event === 'workload_token_released';
    if ((isRelease || event === 'fetch_started') && profile !== null) this.#lastUsed.set(profile, at);
    if (at < this.#since || at > this.#until) return;
    this.#records += 1;
    if (isRelease) this.#release(record);
    if (event === 'token_refused' || event === 'workload_token_refused' || event === 'peer_refused') this.#refuse(record);
    if (event === 'token_refreshed') this.#totals.refreshes += 1;
    if (event === 'login_decided') this.#decide(record);
    if (event === 'login_finished' || event === 'login_failed') this.#end(record);
    if (event === 'detected' || event === 'audit_truncated' || event === 'audit_tampered' || event === 'grant_parked') this.#note(record);
  }

  end(): Summary {
    return {
      since: this.#since, until: this.#until, records: this.#records,
      callers: [...this.#callers.values()].toSorted((a, b) => b.releases + b.refusals - a.releases - a.refusals),
      profiles: [...this.#profiles].toSorted(([, a], [, b]) => b - a).map(([name]) => name),
      signIns: this.#signIns.toReversed(), detections: this.#detections.toReversed(), refusals: this.#refusals.toReversed(),
      released: this.#released, refused: this.#refused, totals: this.#totals, lastUsed: this.#lastUsed,
    };
  }

  #slot(at: number): number {
    const width = Math.max(1, this.#until - this.#since) / SLOTS;
    return Math.min(SLOTS - 1, Math.floor((at - this.#since) / width));
  }

  #row(record: AuditRecord): CallerRow | null {
    const view = viewCaller(record.caller);
    if (view === null) return null;
    const key = this.#callers.size >= CALLERS_MAX && !this.#callers.has(keyOf(view)) ? OTHERS : keyOf(view);
    const row = this.#callers.get(key) ?? {
      view: key === OTHERS ? { ...view, name: OTHERS, path: OTHERS, agent: null, kind: null, marks: [] } : view,
      releases: 0, refusals: 0, last: 0, slots: new Map<string, number[]>(), refused: slots(),
    };
    row.last = record.at;
    this.#callers.set(key, row);
    return row;
  }

  #release(record: AuditRecord): void {
    const more = record.facts['more_since_last'];
    const count = 1 + (typeof more === 'number' ? more : 0);
    const profile = record.profile === null || (this.#profiles.size >= PROFILES_MAX && !this.#profiles.has(record.profile)) ? OTHERS : record.profile;
    const slot = this.#slot(record.at);
    this.#totals.releases += count;
    this.#released[slot] = (this.#released[slot] ?? 0) + count;
    this.#profiles.set(profile, (this.#profiles.get(profile) ?? 0) + count);
    const row = this.#row(record);
    if (row === null) return;
    row.releases += count;
    const taken = row.slots.get(profile) ?? slots();
    taken[slot] = (taken[slot] ?? 0) + count;
    row.slots.set(profile, taken);
  }

  #refuse(record: AuditRecord): void {
    const slot = this.#slot(record.at);
    this.#totals.refusals += 1;
    this.#refused[slot] = (this.#refused[slot] ?? 0) + 1;
    const { facts } = record;
    push(this.#refusals, {
      at: record.at, profile: record.profile, caller: viewCaller(record.caller),
      kind: textOf(facts['rule']) ?? record.event, what: textOf(facts['reason']) ?? textOf(facts['where']) ?? '',
    });
    const row = this.#row(record);
    if (row === null) return;
    row.refusals += 1;
    row.refused[slot] = (row.refused[slot] ?? 0) + 1;
  }

  #decide({ at, profile, facts, caller }: AuditRecord): void {
    const outcome = textOf(facts['outcome']) ?? 'unknown';
    push(this.#signIns, {
      at, profile: profile ?? '', outcome, reason: textOf(facts['reason']) ?? '', rule: textOf(facts['rule']) ?? '', probes: wordsOf(facts['failed_probes']),
      caller: viewCaller(caller), end: outcome === 'refuse' || outcome === 'forward_broker' ? 'refused' : 'open',
    });
  }

  #end({ event, profile, facts }: AuditRecord): void {
    if (event === 'login_finished') {
      this.#totals.signIns += 1;
      if (facts['flow'] === 'device_code') this.#totals.deviceSignIns += 1;
    }
    const open = this.#signIns.findLast((each) => each.profile === profile && each.end === 'open');
    if (open !== undefined) open.end = event === 'login_finished' ? 'signed in' : 'failed';
  }

  #note({ at, event, profile, facts, caller }: AuditRecord): void {
    push(this.#detections, { at, profile, kind: textOf(facts['detector']) ?? event, what: wordsFor(event, facts), caller: viewCaller(caller) });
  }
}

function keyOf(view: CallerView): string {
  return `${view.path}\n${view.agent ?? ''}\n${view.kind ?? ''}`;
}

function wordsFor(event: string, facts: AuditRecord['facts']): string {
  if (event === 'audit_tampered') return (facts['what'] === 'rewritten' ? 'somebody rewrote the log while no daemon ran' : `somebody ${String(facts['what'])} the log while it was written to`);
  if (event === 'audit_truncated') return `the log ended before record ${String(facts['signed_seq'])}, which had been signed`;
  if (event === 'grant_parked') return `the sign-in ended: ${textOf(facts['reason']) ?? 'unknown'}`;
  return textOf(facts['what']) ?? '';
}
