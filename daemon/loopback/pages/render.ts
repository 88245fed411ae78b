/** From what a login came to, to the page that says so. */
import { unreachable } from '../../core/errors.ts';
import type { LoopbackPage } from '../../core/loopback-port.ts';
import { expiredPage } from './expired.ts';
import { issMismatchPage } from './iss-mismatch.ts';
import { renderDocument } from './layout.ts';
import { refusedPage } from './refused.ts';
import { signedOutPage } from './signed-out.ts';
import { stillFinishingPage } from './still-finishing.ts';
import { successPage } from './success.ts';
import { wrongAccountPage } from './wrong-account.ts';

/** What the flow says, and what the listener itself has to say. */
export type AnyPage = LoopbackPage | { readonly kind: 'still_finishing' } | { readonly kind: 'iss_mismatch' };
export type RenderedPage = { readonly status: number; readonly html: string };

export function renderPage(page: AnyPage): RenderedPage {
  switch (page.kind) {
    case 'success':
      return { status: 200, html: renderDocument(successPage(page)) };
    case 'refused':
      return { status: 200, html: renderDocument(refusedPage(page)) };
    case 'wrong_account':
      return { status: 200, html: renderDocument(wrongAccountPage(page)) };
    case 'signed_out':
      return { status: 200, html: renderDocument(signedOutPage(page)) };
    case 'expired':
      return { status: 410, html: renderDocument(expiredPage()) };
    case 'still_finishing':
      return { status: 200, html: renderDocument(stillFinishingPage()) };
    case 'iss_mismatch':
      return { status: 400, html: renderDocument(issMismatchPage()) };
    default:
      return unreachable(page);
  }
}
