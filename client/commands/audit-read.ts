/** `audit tail`, `search` and `export`: records for people, for programs and for collectors. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { AUDIT_FILE } from '../../shared/audit-line.ts';
import { makeFilter } from '../audit/filter.ts';
import type { FilterFlags } from '../audit/filter.ts';
import { follow } from '../audit/follow.ts';
import { auditFiles, lastLines, readLines } from '../audit/log-files.ts';
import type { Line } from '../audit/log-files.ts';
import { toOcsf } from '../audit/ocsf.ts';
import { recordWords } from '../audit/record-words.ts';
import { toSyslog } from '../audit/syslog.ts';
import { toTerminalJsonLine } from '../clean-text.ts';
import type { CommandContext } from '../command.ts';
import { parseWhole } from '../parse-flags.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export const EXPORT_FORMATS = ['jsonl', 'ocsf', 'syslog'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

const TAIL_LINES = 20;
const FOUND_MAX = 1_000;
const LINES_MAX = 100_000;

export type TailOptions = { readonly follow?: boolean; readonly lines?: string };
export type SearchOptions = FilterFlags & { readonly limit?: string };
export type ExportOptions = FilterFlags & { readonly format?: ExportFormat; readonly follow?: boolean };

function countOf(flag: string, text: string | undefined, fallback: number): number {
  return text === undefined ? fallback : parseWhole(flag, text, { unit: 'lines', min: 0, max: LINES_MAX });
}

export async function auditTail({ terminal, paths, signal }: CommandContext, options: TailOptions): Promise<void> {
  if (options.follow === true && terminal.json) {
    throw ValetkeyError.local('bad_request', 'a document has an end, and what is followed has none', { hint: 'Run: valetkey audit export --format jsonl --follow' });
  }
  const last = await lastLines(paths.auditDir, countOf('-n', options.lines, TAIL_LINES), () => true);
  if (terminal.json) return terminal.document({ records: last.map(({ record }) => record) });
  for (const { record } of last) terminal.line(recordWords(record));
  if (options.follow !== true) return;
  for await (const { record } of follow(join(paths.auditDir, AUDIT_FILE), last.at(-1)?.record.seq ?? await lastSeq(paths.auditDir), signal)) terminal.line(recordWords(record));
}

async function lastSeq(dir: string): Promise<number> {
  return (await lastLines(dir, 1, () => true))[0]?.record.seq ?? 0;
}

export async function auditSearch({ terminal, paths, now }: CommandContext, options: SearchOptions): Promise<void> {
  const isWanted = makeFilter(options, now() * 1000);
  const limit = countOf('--limit', options.limit, FOUND_MAX);
  const found = await lastLines(paths.auditDir, limit, isWanted);
  if (terminal.json) return terminal.document({ records: found.map(({ record }) => record) });
  for (const { record } of found) terminal.line(recordWords(record));
  if (found.length === 0) terminal.note('No record matches.');
  else if (found.length === limit) terminal.note(`The last ${limit} that match; --limit shows more.`);
}

function formatLine(format: ExportFormat, line: Line, host: string): string {
  switch (format) {
    // As it stands in the file, so that whoever has it can prove the chain.
    case 'jsonl': return line.text;
    case 'ocsf': return toTerminalJsonLine(toOcsf(line.record));
    case 'syslog': return toSyslog(line.record, host);
  }
}

export async function auditExport({ terminal, paths, signal, now }: CommandContext, options: ExportOptions): Promise<void> {
  const isWanted = makeFilter(options, now() * 1000);
  const format = options.format ?? 'jsonl';
  const host = hostname();
  let seq = 0;
  const show = (line: Line): void => {
    seq = line.record.seq;
    if (isWanted(line.record)) terminal.raw(`${formatLine(format, line, host)}\n`);
  };
  for await (const line of readLines(await auditFiles(paths.auditDir))) {
    signal.throwIfAborted();
    show(line);
  }
  if (options.follow !== true) return;
  for await (const line of follow(join(paths.auditDir, AUDIT_FILE), seq, signal)) show(line);
}
