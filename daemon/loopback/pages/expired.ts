/** Too late, or cancelled. */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function expiredPage(): PageContent {
  return {
    tone: 'calm',
    title: 'Sign-in over',
    heading: 'This sign-in is over',
    lead: html`It was cancelled, or took longer than five minutes. Go back to your terminal and run the command again.`,
    facts: [],
    note: null,
  };
}
