/** Signed in. Shows the account and the tool that asked, so that a person sees what is not theirs (LB-11). */
import { html } from './html.ts';
import type { PageContent } from './layout.ts';

export function successPage(page: { readonly subject: string | null; readonly profile: string; readonly caller: string }): PageContent {
  return {
    tone: 'good',
    title: 'Signed in',
    heading: 'You are signed in',
    lead: html`You can close this tab and go back to your terminal.`,
    facts: [
      { term: 'Account', value: page.subject === null ? html`not named by the issuer` : html`<bdi>${page.subject}</bdi>` },
      { term: 'Profile', value: html`<bdi>${page.profile}</bdi>` },
      { term: 'Asked by', value: html`<bdi>${page.caller}</bdi>` },
    ],
    note: html`Not your account, or nothing you started? Run <code>valetkey logout ${page.profile}</code>`,
  };
}
