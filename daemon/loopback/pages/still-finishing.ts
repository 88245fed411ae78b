/** The answer is here, but the issuer takes its time to redeem it; the port does not stay open for that. */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function stillFinishingPage(): PageContent {
  return {
    tone: 'calm',
    title: 'Almost done',
    heading: 'The sign-in is still being finished',
    lead: html`Your part is done. Look at your terminal: it says when you are signed in. You can close this tab.`,
    facts: [],
    note: null,
  };
}
