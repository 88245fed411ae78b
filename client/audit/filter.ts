/** Which records are looked for, from the flags of `audit search`. All that are named have to match. */
import type { AuditRecord } from '../../shared/audit-line.ts';
import { ValetkeyError } from '../valetkey-error.ts';
import { viewCaller } from './caller-view.ts';

export type FilterFlags = {
  readonly profile?: string;
  readonly caller?: string;
  readonly event?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly request?: string;
  readonly token?: string;
};

export type Filter = (record: AuditRecord) => boolean;

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `2h`, `7d`, or a date: milliseconds since the epoch. @throws ValetkeyError bad_request */
export function parseTime(flag: string, text: string, nowMs: number): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
  if (count !== undefined) return nowMs - Number(count) * (UNIT_MS[unit] ?? 0);
  const date = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?$/.test(text) ? Date.parse(`${text.replace(' ', 'T').replace(/Z$/, '')}${text.length > 10 ? 'Z' : ''}`) : Number.NaN;
  if (Number.isNaN(date)) throw ValetkeyError.local('bad_request', `${flag} takes 30m, 2h, 7d, or a date of UTC such as 2026-11-23 or 2026-11-23T09:30`);
  return date;
}

/** A program by its path, its name, its agent, unit or class. */
function isCaller(record: AuditRecord, wanted: string): boolean {
  const view = viewCaller(record.caller);
  if (view === null) return false;
  return [view.path, view.executable, view.name, view.agent, view.unit, view.kind, view.digest].some((each) => each === wanted)
    || (wanted.includes('/') && view.path.includes(wanted)) || String(view.pid) === wanted;
}

/** Records that concern this one token: `facts.token` is its fingerprint. */
export function makeFilter(flags: FilterFlags, nowMs: number): Filter {
  const { profile, caller, event = [], request, token } = flags;
  const since = flags.since === undefined ? null : parseTime('--since', flags.since, nowMs);
  const until = flags.until === undefined ? null : parseTime('--until', flags.until, nowMs);
  return (record) => (profile === undefined || record.profile === profile)
    && (event.length === 0 || event.includes(record.event))
    && (request === undefined || record.request === request)
    && (token === undefined || record.facts['token'] === token)
    && (since === null || record.at >= since)
    && (until === null || record.at <= until)
    && (caller === undefined || isCaller(record, caller));
}
