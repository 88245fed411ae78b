/**
 * The report: one file that can be mailed, printed and kept. It asks nobody for anything (its own policy forbids it to),
 * runs nothing, and every word that came from outside is escaped. The order is that of a reader in doubt: is the log
 * whole, what is unusual, who took what, by which flow, who was refused, what is left over.
 */
import { createHash } from 'node:crypto';
import type { GrantView } from '../../../shared/schemas.ts';
import { BUILD_VERSION } from '../../../shared/version.ts';
import type { AuditVerdict } from '../verify-log.ts';
import { timeWords } from '../record-words.ts';
import { html, raw } from './html.ts';
import type { Markup } from './html.ts';
import { STYLE } from './style.ts';
import type { Summary } from './summary.ts';
import { grantSection, integritySection, refusalSection, signInSection, staleGrants } from './tables.ts';
import { lookSection, matrixSection, timelineSection, volumeSection } from './pictures.ts';

export type Report = {
  readonly summary: Summary;
  readonly verdict: AuditVerdict;
  /** Null: no daemon could say. */
  readonly grants: readonly GrantView[] | null;
  readonly host: string;
  /** Seconds since the epoch. */
  readonly now: number;
};

const TICK = raw('<path d="M7 13.5l4 4 8-9" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/>');
const CROSS = raw('<path d="M8.5 8.5l9 9m0-9l-9 9" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/>');
const RING = raw('<circle cx="13" cy="13" r="11.5" fill="none" stroke="currentColor" stroke-width="1.8"/>');

function seal(verdict: AuditVerdict): Markup {
  const badge = (kind: string, mark: Markup, title: string, text: string): Markup => html`<div class="seal ${kind}"><svg viewBox="0 0 26 26" aria-hidden="true">${RING}${mark}</svg><p><b>${title}</b><span>${text}</span></p></div>`;
  if (verdict.kind === 'broken') return badge('bad', CROSS, 'This log was changed', `${verdict.file}, line ${verdict.line}: ${verdict.why}. What follows may not be what happened.`);
  const { signed, records } = verdict;
  if (signed === null) return badge('warn', TICK, 'The chain is whole, and not signed', `${records} records`);
  return badge('good', TICK, 'The chain is whole', `${records} records, signed up to ${signed.seq} on ${timeWords(signed.at)}`);
}

function figures({ summary, grants, now }: Report): Markup {
  const { totals, callers, detections } = summary;
  const stale = grants === null ? null : staleGrants(grants, summary, now).length;
  const agents = callers.filter(({ view }) => view.agent !== null || view.kind === 'agent').length;
  const shown: readonly (readonly [number | string, string, string])[] = [
    [totals.releases.toLocaleString('en'), totals.releases === 1 ? 'token handed out' : 'tokens handed out', ''],
    [callers.length, agents === 0 ? 'programs' : `programs, ${agents} of them agents`, ''],
    [totals.signIns, totals.deviceSignIns === 0 ? 'sign-ins' : `sign-ins, ${totals.deviceSignIns} by device code`, totals.deviceSignIns > 0 ? 'warm' : ''],
    [totals.refusals, 'refusals', totals.refusals > 0 ? 'warm' : ''],
    [detections.length, 'findings', detections.length > 0 ? 'hot' : ''],
    [stale ?? '?', stale === null ? 'stale grants: the vault is not open' : 'stale grants', (stale ?? 0) > 0 ? 'warm' : ''],
  ];
  return html`<div class="figures">${shown.map(([value, words, heat]) => html`<div class="${heat}"><b>${value}</b><span>${words}</span></div>`)}</div>`;
}

export function renderReport(report: Report): string {
  const { summary, verdict, grants, host, now } = report;
  const hash = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${raw(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>Valetkey audit of ${host}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
<header>
<div><h1>Who took which token on ${host}</h1><p class="lead">${timeWords(summary.since)} to ${timeWords(summary.until)}. All times are UTC.</p></div>
${seal(verdict)}
</header>
<main>
${figures(report)}
${lookSection(summary, verdict, grants === null ? [] : staleGrants(grants, summary, now))}
${timelineSection(summary)}
${volumeSection(summary)}
${matrixSection(summary)}
${signInSection(summary)}
${refusalSection(summary)}
${grantSection(grants, summary, now)}
${integritySection(verdict)}
</main>
<footer>Written by valetkey ${BUILD_VERSION} on ${timeWords(now * 1000)} from ${summary.records} records. Programs, paths and reasons are as recorded; names that programs give themselves are not shown.</footer>
</body>
</html>
`;
  return page.text;
}
