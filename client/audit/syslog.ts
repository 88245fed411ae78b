/**
 * A record as one line of syslog (RFC 5424): facility authpriv, the facts that matter as structured data. Names and
 * values are text of programs, so what the grammar forbids is escaped or left out.
 */
import { cleanText } from '../clean-text.ts';
import type { AuditRecord } from '../../shared/audit-line.ts';
import { viewCaller } from './caller-view.ts';
import { ocsfRow } from './ocsf.ts';
import { recordWords, tellingFacts } from './record-words.ts';

const AUTHPRIV = 10;
/** OCSF severity -> that of RFC 5424, section 6.2.1. */
const SEVERITY: Readonly<Record<number, number>> = { 1: 6, 3: 4, 4: 3, 5: 2 };
/** The enterprise number that RFC 5612 keeps for documents: this project has none. */
const SD_ID = 'valetkey@32473';

/** RFC 5424, section 6.3.3. */
function value(text: string): string {
  return cleanText(text, 512).replace(/["\\\]]/g, (mark) => `\\${mark}`);
}

function textOf(count: number | null | undefined): string | null {
  return count === null || count === undefined ? null : String(count);
}

/** Printable ASCII without spaces, as section 6 has it for host and ids. */
function word(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '_').slice(0, 48) || '-';
}

export function toSyslog(record: AuditRecord, host: string): string {
  const caller = viewCaller(record.caller);
  const priority = AUTHPRIV * 8 + (SEVERITY[ocsfRow(record.event).severity] ?? 6);
  const parameters: readonly (readonly [string, string | null])[] = [
    ['seq', String(record.seq)], ['profile', record.profile], ['caller', caller?.path ?? null], ['pid', textOf(caller?.pid)],
    ['class', caller?.kind ?? null], ['agent', caller?.agent ?? null], ['request', record.request], ['token', typeof record.facts['token'] === 'string' ? record.facts['token'] : null],
    ...tellingFacts(record), ['hash', record.hash],
  ];
  const data = parameters.flatMap(([name, text]) => (text === null ? [] : [` ${name}="${value(text)}"`])).join('');
  return `<${priority}>1 ${new Date(record.at).toISOString()} ${word(host)} valetkey - ${word(record.event)} [${SD_ID}${data}] ${cleanText(recordWords(record), 1_000)}`;
}
