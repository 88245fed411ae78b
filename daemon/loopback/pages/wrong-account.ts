/** Another account than the profile's: stored only after a person confirmed it at the terminal (LB-11). */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function wrongAccountPage(page: { readonly subject: string | null; readonly profile: string }): PageContent {
  return {
    tone: 'warn',
    title: 'Another account',
    heading: 'Another account than before',
    lead: html`Nothing was stored. Go back to your terminal to confirm the change, or sign in again with the account that this profile had.`,
    facts: [
      { term: 'Signed in as', value: page.subject === null ? html`not named by the issuer` : html`<bdi>${page.subject}</bdi>` },
      { term: 'Profile', value: html`<bdi>${page.profile}</bdi>` },
    ],
    note: html`If you did not choose this account yourself, do not confirm it: somebody may have signed you in to theirs.`,
  };
}
