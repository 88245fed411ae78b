/** The issuer sent the browser back from the end of its session. */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function signedOutPage(page: { readonly profile: string }): PageContent {
  return {
    tone: 'good',
    title: 'Signed out',
    heading: 'You are signed out',
    lead: html`The issuer has ended its session in this browser. You can close this tab.`,
    facts: [{ term: 'Profile', value: html`<bdi>${page.profile}</bdi>` }],
    note: html`Another browser, or another account at the issuer, may still be signed in.`,
  };
}
