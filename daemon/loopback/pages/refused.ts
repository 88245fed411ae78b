/** The issuer, or the daemon, said no. `title` is ours, never the server's text. */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function refusedPage(page: { readonly profile: string; readonly title: string }): PageContent {
  return {
    tone: 'bad',
    title: 'Not signed in',
    heading: 'You are not signed in',
    lead: html`${page.title}. Your terminal says more, and what to do next.`,
    facts: [{ term: 'Profile', value: html`<bdi>${page.profile}</bdi>` }],
    note: html`Nothing was stored. To try again, run <code>valetkey login ${page.profile}</code>`,
  };
}
