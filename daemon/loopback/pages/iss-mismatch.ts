/** Another server answered than was asked (RFC 9207). Nothing that it said is shown. */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function issMismatchPage(): PageContent {
  return {
    tone: 'bad',
    title: 'Not signed in',
    heading: 'The answer came from another issuer',
    lead: html`It was thrown away, and nothing was stored. Go back to your terminal and run the command again.`,
    facts: [],
    note: html`If it happens twice, somebody may be attacking the sign-in: tell whoever runs your issuer.`,
  };
}
