/** A record as one line for people. Whatever is shown is cleaned by the terminal. */
import type { AuditRecord } from '../../shared/audit-line.ts';
import { callerWords, textOf, viewCaller, wordsOf } from './caller-view.ts';

/** `2026-11-23 09:30:01Z`: of the log, so not of the reader's time zone. */
export function timeWords(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? '(no time)' : `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** What matters of an event, of what is in its facts. */
const TELLING: Readonly<Record<string, readonly string[]>> = {
  daemon_started: ['started_by'], daemon_stopped: ['reason'], config_reloaded: ['changed'],
  login_decided: ['outcome', 'reason', 'failed_probes'], login_finished: ['flow', 'acr'], login_failed: ['flow', 'code'],
  token_released: ['source', 'scopes', 'resource', 'rule', 'more_since_last'], token_refused: ['rule', 'reason'],
  fetch_started: ['method', 'origin', 'rule'], fetch_ended: ['origin', 'status', 'bytes', 'why'],
  token_refreshed: ['generation', 'scopes'], refresh_failed: ['why'], grant_parked: ['reason', 'why'], token_revoked: ['token_kind', 'outcome'],
  workload_token_obtained: ['auth', 'kid', 'scopes', 'resource'], workload_token_released: ['source', 'scopes', 'resource', 'rule', 'more_since_last'], workload_token_refused: ['rule', 'reason'],
  workload_token_revoked: ['outcome'], workload_key_changed: ['step', 'keys'],
  profile_added: ['issuer', 'client_id'], client_registered: ['issuer', 'client_id'],
  peer_refused: ['where', 'uid', 'reason'], detected: ['detector', 'what'], unlocked: ['backend'], audit_checkpoint: ['kid'], audit_truncated: ['signed_seq', 'found_seq'], audit_tampered: ['what', 'after_seq', 'signed_seq'], audit_unsigned: ['from_seq', 'to_seq'],
};

function factWords(value: unknown): string | null {
  if (typeof value === 'number') return String(value);
  return textOf(value) ?? (wordsOf(value).length > 0 ? wordsOf(value).join(' ') : null);
}

export function tellingFacts({ event, facts }: AuditRecord): readonly (readonly [string, string])[] {
  return (TELLING[event] ?? []).flatMap((name) => {
    const words = factWords(facts[name]);
    return words === null ? [] : [[name, words] as const];
  });
}

export function recordWords(record: AuditRecord): string {
  const facts = tellingFacts(record).map(([name, words]) => `${name}=${words.includes(' ') ? `"${words}"` : words}`);
  const caller = viewCaller(record.caller);
  const who = caller === null ? '-' : `${callerWords(caller)}${caller.pid === null ? '' : `[${caller.pid}]`}`;
  return [timeWords(record.at), record.event.padEnd(16), (record.profile ?? '-').padEnd(12), who, ...facts].join('  ');
}
