/**
 * Every way to say no to a request, as data: status and the page's words. The words never repeat anything of
 * the request.
 */
export type Refusal = { readonly status: number; readonly heading: string; readonly text: string };

const again = 'Nothing was changed. If you are signing in, go back to your terminal and run the command again.';
const elsewhere = 'Nothing was changed. This address only takes the browser of a sign-in in progress.';

export const REFUSALS = {
  bad_host: { status: 400, heading: 'This request names no single host', text: elsewhere },
  misdirected: { status: 421, heading: 'This request was meant for another host', text: elsewhere },
  bad_target: { status: 400, heading: 'This request is not understood', text: elsewhere },
  bad_body: { status: 400, heading: 'This request is not understood', text: elsewhere },
  malformed: { status: 400, heading: 'This request is not understood', text: elsewhere },
  bad_method: { status: 405, heading: 'Only page visits are answered here', text: elsewhere },
  prefetch: { status: 403, heading: 'This page cannot be loaded ahead', text: elsewhere },
  not_navigation: { status: 403, heading: 'Web pages cannot reach into a sign-in', text: elsewhere },
  not_found: {
    status: 404,
    heading: 'This link no longer works',
    text: 'A sign-in link works once and for a few minutes. Go back to your terminal and run the command again.',
  },
  not_ready: { status: 503, heading: 'The sign-in is not ready yet', text: 'The issuer takes long to answer. This page tries again by itself.' },
  busy: { status: 503, heading: 'Too many connections at once', text: 'This page tries again by itself.' },
  bad_response: { status: 400, heading: 'This is not an answer of an issuer', text: again },
  unknown_state: { status: 400, heading: 'This answer belongs to no sign-in', text: again },
  used: { status: 410, heading: 'This answer was used already', text: 'Each answer of an issuer is taken once. See your terminal for how the sign-in went.' },
  other_browser: {
    status: 403,
    heading: 'The sign-in was started in another browser',
    text: 'Finish it where it was started, with cookies allowed for 127.0.0.1, or go back to your terminal and run the command again.',
  },
  other_user: { status: 403, heading: 'The sign-in belongs to another user', text: 'Only the user who started it can finish it. The attempt was recorded.' },
  owner_unknown: { status: 403, heading: 'It cannot be told who is asking', text: 'The system did not say which user this connection belongs to, so the sign-in was not continued.' },
  too_large: {
    status: 431,
    heading: 'This request is too large',
    text: 'Perhaps other programs left many cookies for 127.0.0.1: remove them in your browser, then run the command again.',
  },
  too_slow: { status: 408, heading: 'This request took too long', text: again },
} as const satisfies Record<string, Refusal>;

export type RefusalReason = keyof typeof REFUSALS;
