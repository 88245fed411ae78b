/** The sections that are looked at: what is unusual, each caller's time, all of it, and who uses what. */
import { callerWords } from '../caller-view.ts';
import type { CallerView } from '../caller-view.ts';
import { timeWords } from '../record-words.ts';
import type { AuditVerdict } from '../verify-log.ts';
import { axis, callerStrip, colourOf, highestSlot, volume } from './charts.ts';
import { html } from './html.ts';
import type { Markup } from './html.ts';
import type { CallerRow, Summary } from './summary.ts';

const LOOK_MAX = 20;
const DEVICE_MAX = 5;
const LANES_MAX = 40;
const MATRIX_PROFILES = 8;

export type StaleGrant = { readonly profile: string; readonly why: string };

/** The kind of a caller in words; it is never told by a colour alone. */
export function tags(view: CallerView): readonly Markup[] {
  return [
    ...(view.agent !== null ? [html`<span class="tag agent">agent: ${view.agent}</span>`] : view.kind === 'agent' ? [html`<span class="tag agent">agent</span>`] : []),
    ...(view.kind === 'workload' ? [html`<span class="tag workload">workload</span>`] : []),
    ...view.marks.map((mark) => html`<span class="tag warn">${mark}</span>`),
  ];
}

export function lookSection({ detections, signIns }: Summary, verdict: AuditVerdict, stale: readonly StaleGrant[]): Markup {
  const entry = (kind: string, when: string, what: string, more: string | null): Markup => html`<li class="${kind}"><time>${when}</time><div>${what}${more === null ? null : html`<small>${more}</small>`}</div></li>`;
  // Those that a detector found stand there already.
  const device = signIns.filter(({ outcome, at, profile }) => outcome === 'device' && !detections.some((each) => each.kind === 'device_where_pkce_worked' && each.profile === profile && each.at === at));
  const more = (all: number, shown: number, words: string): readonly Markup[] => (all > shown ? [entry('', 'and', `${all - shown} more ${words}`, null)] : []);
  const found = [
    ...(verdict.kind === 'broken' ? [entry('bad', 'the log itself', `${verdict.file}, line ${verdict.line}: ${verdict.why}`, 'Compare with a copy that is kept elsewhere.')] : []),
    ...detections.slice(0, LOOK_MAX).map(({ at, what, kind, caller, profile }) => entry('bad', timeWords(at), what, [kind, profile, caller === null ? null : `asked by ${callerWords(caller)}, ${caller.path}`].filter((part) => part !== null).join(' · '))),
    ...more(detections.length, LOOK_MAX, 'findings: valetkey audit search --event detected'),
    ...device.slice(0, DEVICE_MAX).map(({ at, profile, reason, caller }) => entry('', timeWords(at), `A device code was used to sign in to ${profile}`, `${reason}${caller === null ? '' : ` · asked by ${callerWords(caller)}`}`)),
    ...more(device.length, DEVICE_MAX, 'sign-ins by device code, in the table below'),
    ...stale.slice(0, LOOK_MAX).map(({ profile, why }) => entry('', 'now', `${profile}: ${why}`, `If nobody needs it: valetkey logout ${profile}`)),
    ...more(stale.length, LOOK_MAX, 'grants, in the table below'),
  ];
  return html`<section aria-labelledby="look"><h2 id="look">What to look at first</h2>${found.length === 0 ? html`<p class="calm">Nothing unusual was noticed in this time.</p>` : html`<ul class="look">${found}</ul>`}</section>`;
}

const GROUPS: readonly { readonly name: string; readonly has: (view: CallerView) => boolean }[] = [
  { name: 'Agents', has: (view) => view.agent !== null || view.kind === 'agent' },
  { name: 'Workloads, outside of a login session', has: (view) => view.kind === 'workload' },
  { name: 'Programs of a person', has: () => true },
];

function lane(row: CallerRow, summary: Summary, max: number): Markup {
  const { view, releases, refusals } = row;
  return html`<div class="lane"><div class="who"><b>${view.name}</b>${tags(view)}<span class="path" title="${view.path}">${view.path}</span></div><div class="draw">${callerStrip(row, summary, max)}</div><div class="sum">${releases.toLocaleString('en')}${refusals > 0 ? html`<small>${refusals} refused</small>` : null}</div></div>`;
}

function legend(summary: Summary): Markup {
  const square = (name: string): Markup => html`<svg viewBox="0 0 11 11" aria-hidden="true"><rect class="${name}" width="11" height="11" rx="2"/></svg>`;
  const named = summary.profiles.slice(0, 6).map((profile) => html`<li>${square(colourOf(summary.profiles, profile))}${profile}</li>`);
  const others = summary.profiles.length > 6 ? [html`<li>${square('c0')}${summary.profiles.length - 6} more</li>`] : [];
  return html`<ul class="legend">${named}${others}<li><svg viewBox="0 0 11 11" aria-hidden="true"><rect class="refused" y="6" width="11" height="5"/></svg>refused, below the line</li></ul>`;
}

export function timelineSection(summary: Summary): Markup {
  if (summary.callers.length === 0) return html`<section aria-labelledby="time"><h2 id="time">Each program's time</h2><p class="calm">No program asked for a token in this time.</p></section>`;
  const shown = summary.callers.slice(0, LANES_MAX);
  const max = highestSlot(shown);
  const taken = new Set<CallerRow>();
  const groups = GROUPS.map(({ name, has }) => {
    const rows = shown.filter((row) => !taken.has(row) && has(row.view));
    for (const row of rows) taken.add(row);
    return rows.length === 0 ? null : html`<h3 class="group">${name}</h3>${rows.map((row) => lane(row, summary, max))}`;
  });
  const more = summary.callers.length - shown.length;
  return html`<section aria-labelledby="time"><h2 id="time">Each program's time</h2><p class="lead">A bar is what a program took in that time, in the colour of the profile. Heights are square roots, so that one token is still seen beside hundreds.</p>${legend(summary)}
${groups}<div class="lane foot"><span></span><div class="draw">${axis(summary)}</div></div>
${more > 0 ? html`<p class="lead">${more} more programs are in the table.</p>` : null}
<details><summary>As a table</summary><div class="scroll" tabindex="0" role="region" aria-label="Programs">${callerTable(summary)}</div></details></section>`;
}

function callerTable({ callers }: Summary): Markup {
  const rows = callers.map(({ view, releases, refusals, last, slots }) => html`<tr><td><b>${view.name}</b>${tags(view)}<span class="why">${view.path}</span></td><td>${[...slots.keys()].join(', ')}</td><td class="num" data-label="Tokens">${releases}</td><td class="num" data-label="Refused">${refusals}</td><td class="when">${timeWords(last)}</td><td><code>${view.digest === null ? '-' : view.digest.slice(0, 16)}</code></td></tr>`);
  return html`<table class="stack"><thead><tr><th scope="col">Program</th><th scope="col">Profiles</th><th scope="col" class="num">Tokens</th><th scope="col" class="num">Refused</th><th scope="col">Last</th><th scope="col">SHA-256</th></tr></thead><tbody>${rows}</tbody></table>`;
}

export function volumeSection(summary: Summary): Markup {
  const { totals } = summary;
  if (totals.releases + totals.refusals === 0) return html`<section aria-labelledby="volume"><h2 id="volume">Tokens handed out and refused</h2><p class="calm">None in this time.</p></section>`;
  return html`<section aria-labelledby="volume"><h2 id="volume">Tokens handed out and refused</h2><p class="lead">${totals.releases.toLocaleString('en')} were handed out from ${totals.refreshes.toLocaleString('en')} refreshes and ${totals.signIns} sign-ins; ${totals.refusals} requests were refused, drawn below the line.</p>${volume(summary)}${axis(summary)}</section>`;
}

function heat(count: number, max: number): string {
  const share = Math.log1p(count) / Math.log1p(max);
  return share > 0.8 ? 'h4' : share > 0.55 ? 'h3' : share > 0.25 ? 'h2' : 'h1';
}

/** Who uses what: an empty cell is a permission that nobody needed. */
export function matrixSection({ callers, profiles }: Summary): Markup | null {
  const columns = profiles.slice(0, MATRIX_PROFILES);
  const users = callers.filter(({ releases }) => releases > 0);
  const rows = users.slice(0, LANES_MAX);
  if (columns.length === 0 || rows.length === 0) return null;
  const countOf = (row: CallerRow, profile: string): number => (row.slots.get(profile) ?? []).reduce((sum, count) => sum + count, 0);
  const cut = [[users.length - rows.length, 'programs'], [profiles.length - columns.length, 'profiles']].flatMap(([left, what]) => (Number(left) > 0 ? [`${left} ${what}`] : []));
  const max = Math.max(1, ...rows.flatMap((row) => columns.map((profile) => countOf(row, profile))));
  const cell = (row: CallerRow, profile: string): Markup => {
    const count = countOf(row, profile);
    return count === 0 ? html`<td class="none"><span aria-label="none">·</span></td>` : html`<td><span class="heat ${heat(count, max)}">${count.toLocaleString('en')}</span></td>`;
  };
  const body = rows.map((row) => html`<tr><th scope="row">${row.view.name}${tags(row.view)}</th>${columns.map((profile) => cell(row, profile))}</tr>`);
  return html`<section aria-labelledby="matrix"><h2 id="matrix">Who uses what</h2><p class="lead">Tokens by program and profile. What stays empty is access that nobody needed, and that a policy could take away.${cut.length === 0 ? null : ` Not shown: ${cut.join(' and ')} that took less.`}</p><div class="scroll" tabindex="0" role="region" aria-labelledby="matrix"><table class="matrix"><thead><tr><th scope="col">Program</th>${columns.map((profile) => html`<th scope="col">${profile}</th>`)}</tr></thead><tbody>${body}</tbody></table></div></section>`;
}
