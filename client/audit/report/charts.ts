/**
 * Drawings that stretch: an SVG of bars has no text of its own, so a phone shows the same picture narrower, and all
 * words stand in the page. What is not zero has a title; the table beside each drawing says the same to who cannot
 * see it.
 */
import { timeWords } from '../record-words.ts';
import { html, raw } from './html.ts';
import type { Markup } from './html.ts';
import { SLOTS } from './summary.ts';
import type { CallerRow, Summary } from './summary.ts';

const ROW = 30;
/** Below it refusals hang. */
const BASE = 24;
const COLOURS = 6;
const DAY_MS = 86_400_000;
/** A day cut off at the end has no room for its name. */
const NARROW = 0.06;

/** `c1` to `c6`; what is beyond shares one. */
export function colourOf(profiles: readonly string[], profile: string): string {
  const at = profiles.indexOf(profile);
  return at < 0 || at >= COLOURS ? 'c0' : `c${at + 1}`;
}

type Range = Pick<Summary, 'since' | 'until'>;

function slotStart({ since, until }: Range, slot: number): number {
  return since + ((until - since) / SLOTS) * slot;
}

/** Midnights of UTC in the range, as a share of its width. */
function midnights({ since, until }: Range): readonly { readonly share: number; readonly at: number }[] {
  const found: { share: number; at: number }[] = [];
  const step = Math.max(1, Math.ceil((until - since) / DAY_MS / 10)) * DAY_MS;
  for (let at = Math.ceil(since / DAY_MS) * DAY_MS; at < until; at += step) found.push({ share: (at - since) / (until - since), at });
  return found;
}

const round = (value: number): number => Math.round(value * 100) / 100;

function gridLines(range: Range, height: number): Markup {
  return raw(midnights(range).map(({ share }) => `<line class="grid" x1="${round(share * SLOTS)}" x2="${round(share * SLOTS)}" y1="0" y2="${height}"/>`).join(''));
}

/** The days under a drawing. Positions are those of an SVG, so that no style attribute is needed. */
export function axis(range: Range): Markup {
  const days = midnights(range);
  const labels = days.map(({ share, at }, i) => {
    const end = days[i + 1]?.share ?? 1;
    if (end - share < NARROW) return null;
    const date = new Date(at);
    const name = date.toLocaleDateString('en', { weekday: 'short', timeZone: 'UTC' });
    return html`<svg class="day" x="${round(share * 100)}%" width="${round((end - share) * 100)}%" height="16" overflow="hidden"><text x="4" y="12"><tspan class="dow">${name} </tspan>${date.getUTCDate()}</text></svg>`;
  });
  return html`<svg class="axis" width="100%" height="16" aria-hidden="true">${labels}</svg>`;
}

/** Square roots: one release is still seen beside a thousand. */
function heightOf(count: number, max: number, room: number): number {
  return count === 0 ? 0 : Math.max(3, round(Math.sqrt(count / max) * room));
}

export function highestSlot(callers: readonly CallerRow[]): number {
  let highest = 1;
  for (const { slots } of callers) for (let slot = 0; slot < SLOTS; slot += 1) highest = Math.max(highest, [...slots.values()].reduce((sum, taken) => sum + (taken[slot] ?? 0), 0));
  return highest;
}

/** One caller's week: what it took above the line, what it was refused below. */
export function callerStrip(row: CallerRow, summary: Summary, max: number): Markup {
  const bars: Markup[] = [];
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const parts = [...row.slots].map(([profile, taken]) => [profile, taken[slot] ?? 0] as const).filter(([, count]) => count > 0);
    const total = parts.reduce((sum, [, count]) => sum + count, 0);
    const when = timeWords(slotStart(summary, slot));
    let top = BASE - heightOf(total, max, BASE - 1);
    const scale = total === 0 ? 0 : (BASE - top) / total;
    for (const [profile, count] of parts) {
      const height = round(count * scale);
      bars.push(html`<rect class="${colourOf(summary.profiles, profile)}" x="${slot + 0.06}" y="${round(top)}" width="0.88" height="${height}"><title>${when}: ${count} of ${profile}</title></rect>`);
      top += height;
    }
    const refused = row.refused[slot] ?? 0;
    if (refused > 0) bars.push(html`<rect class="refused" x="${slot - 0.2}" y="${BASE + 1}" width="1.4" height="5"><title>${when}: refused ${refused} times</title></rect>`);
  }
  const label = `${row.view.name}: ${row.releases} releases, ${row.refusals} refusals`;
  return html`<svg class="strip" viewBox="0 0 ${SLOTS} ${ROW}" preserveAspectRatio="none" role="img" aria-label="${label}">${gridLines(summary, ROW)}<line class="base" x1="0" x2="${SLOTS}" y1="${BASE}" y2="${BASE}"/>${bars}</svg>`;
}

const AREA = 120;
const AREA_BASE = 92;

/** All releases over time as an area, refusals below it. */
export function volume(summary: Summary): Markup {
  const { released, refused, totals } = summary;
  const max = Math.max(1, ...released);
  const refusedMax = Math.max(1, ...refused);
  const y = (count: number): number => round(AREA_BASE - Math.sqrt(count / max) * (AREA_BASE - 6));
  // Steps, so that an hour without a release looks like one.
  const path = released.map((count, slot) => `L${slot} ${y(count)}L${slot + 1} ${y(count)}`).join('');
  const below = refused.flatMap((count, slot) => (count === 0 ? [] : [html`<rect class="refused" x="${slot - 0.1}" y="${AREA_BASE + 2}" width="1.2" height="${round(6 + Math.sqrt(count / refusedMax) * 18)}"><title>${timeWords(slotStart(summary, slot))}: ${count} refused</title></rect>`]));
  const above = released.flatMap((count, slot) => (count === 0 ? [] : [html`<rect class="hit" x="${slot}" y="0" width="1" height="${AREA_BASE}"><title>${timeWords(slotStart(summary, slot))}: ${count} released</title></rect>`]));
  return html`<svg class="area" viewBox="0 0 ${SLOTS} ${AREA}" preserveAspectRatio="none" role="img" aria-label="${totals.releases} releases and ${totals.refusals} refusals over time">${gridLines(summary, AREA)}<path class="fill" d="M0 ${AREA_BASE}${raw(path)}L${SLOTS} ${AREA_BASE}Z"/><line class="base" x1="0" x2="${SLOTS}" y1="${AREA_BASE}" y2="${AREA_BASE}"/>${below}${above}</svg>`;
}
