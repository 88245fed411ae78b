/** `audit report`: one page, written for this user alone. */
import { rename, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { AUDIT_FILE } from '../../shared/audit-line.ts';
import type { GrantView } from '../../shared/schemas.ts';
import { parseTime } from '../audit/filter.ts';
import { auditFiles, readLines } from '../audit/log-files.ts';
import { renderReport } from '../audit/report/page.ts';
import { summarise } from '../audit/report/summary.ts';
import { verifyAudit } from '../audit/verify-log.ts';
import type { CommandContext } from '../command.ts';
import { count } from '../time-words.ts';
import { ValetkeyError } from '../valetkey-error.ts';

export type ReportOptions = { readonly html?: boolean; readonly output?: string; readonly since?: string };

/** Null where no daemon runs, or its vault is not open: the page then tells the log's side alone. */
async function grantsIfOpen({ runningDaemon, signal }: CommandContext): Promise<readonly GrantView[] | null> {
  try {
    return (await runningDaemon.api.grants(signal)).grants;
  } catch (error) {
    if (error instanceof ValetkeyError && !signal.aborted) return null;
    throw error;
  }
}

export async function auditReport(context: CommandContext, options: ReportOptions): Promise<void> {
  const { terminal, paths, now } = context;
  if (terminal.json) throw ValetkeyError.local('bad_request', 'a report is a page, not a document', { hint: 'Run: valetkey audit search --json, or valetkey inventory --json' });
  const until = now() * 1000;
  const since = parseTime('--since', options.since ?? '7d', until);
  const verdict = await verifyAudit(join(paths.auditDir, AUDIT_FILE));
  const summary = await summarise(readLines(await auditFiles(paths.auditDir)), { since, until });
  const html = renderReport({ summary, verdict, grants: await grantsIfOpen(context), host: hostname(), now: now() });
  if (options.output === undefined) return terminal.raw(html);
  // As a whole or not at all, and for nobody else's eyes from its first byte on.
  const part = `${options.output}.part`;
  try {
    await writeFile(part, html, { mode: 0o600, flag: 'wx' });
    await rename(part, options.output);
  } catch (cause) {
    throw ValetkeyError.local('bad_request', `${options.output} cannot be written: ${cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)}`, { cause, hint: 'Name a file in a directory of yours' });
  }
  terminal.note(`Wrote ${basename(options.output)}: ${count(summary.records, 'record')}, ${count(summary.callers.length, 'program')}.`);
}
