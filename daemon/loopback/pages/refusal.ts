/** The small page of a refused request. */
import { REFUSALS } from '../refusals.ts';
import type { RefusalReason } from '../refusals.ts';
import { html } from './html.ts';
import { renderDocument } from './layout.ts';

export function refusalPage(reason: RefusalReason): string {
  const { heading, text } = REFUSALS[reason];
  return renderDocument({ tone: 'stop', title: 'Not part of a sign-in', heading, lead: html`${text}`, facts: [], note: null });
}
