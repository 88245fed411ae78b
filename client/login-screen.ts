/**
 * What a person sees while signing in at a terminal. The code of a device login is shown on the terminal
 * itself and never on a stream that may be a log (DG-09); its page is never opened from here (DG-07).
 */
import { userInfo } from 'node:os';
import type { ConsentChallenge, LoginView, SubjectView } from '../shared/schemas.ts';
import { checkStartUrl } from './browser.ts';
import type { Opening } from './browser.ts';
import type { CommandContext } from './command.ts';
import type { SignInScreen } from './sign-in.ts';
import { tunnelLines } from './ssh-tunnel.ts';
import { clock, duration } from './time-words.ts';
import type { Person } from './tty.ts';
import { ValetkeyError } from './valetkey-error.ts';

const STOP = 'Stop if you did not start this. Never read this code to anyone.';
const QR_TEXT_MAX = 512;

/** Most people are through by then. */
const LONG_WAIT_S = 20;

export function subjectName(subject: SubjectView | null | undefined): string {
  if (subject === null || subject === undefined) return 'somebody the issuer did not name';
  const name = subject.email ?? subject.name;
  return name === null ? subject.sub : `${name} (${subject.sub})`;
}

export function challengeLines(challenge: ConsentChallenge, now: number): readonly string[] {
  return [
    '',
    'A sign-in by device code was asked for.',
    `  Issuer    ${challenge.issuer_host}`,
    `  Client    ${challenge.client_id}`,
    `  Scopes    ${challenge.scopes.join(' ') || '(none named)'}`,
    `  Machine   ${challenge.machine}`,
    `  Asked by  ${challenge.caller}`,
    STOP,
    `To go on, type ${challenge.code} within ${duration(challenge.expires_at - now)}; anything else stops.`,
  ];
}

export function deviceLines(view: LoginView, qr: string | null, now: number): readonly string[] {
  const { device } = view;
  if (device === undefined) return [];
  return [
    '',
    `Open this page in a browser: ${device.verification_uri}`,
    `and check that its host is:  ${device.verification_host}`,
    `Then enter this code:        ${device.user_code}`,
    ...(qr === null ? [] : ['', 'Or scan this, and compare the code before you agree:', ...qr.split('\n')]),
    '',
    `  Scopes    ${view.scopes.join(' ') || '(none named)'}`,
    `  Machine   ${view.machine}`,
    `  Asked by  ${view.caller}`,
    `  Expires   in ${duration(view.expires_at - now)}`,
    STOP,
    '',
  ];
}

/** Null where the text does not fit. */
async function qrCode(text: string): Promise<string | null> {
  if (text.length > QR_TEXT_MAX) return null;
  const { renderUnicodeCompact } = await import('uqr');
  return renderUnicodeCompact(text, { border: 2 });
}

export type ScreenOptions = { readonly openBrowser: boolean };

/** @returns the screen, and what takes it away. */
export function createLoginScreen(context: CommandContext, options: ScreenOptions): { screen: SignInScreen; close: () => void } {
  const { terminal, signal } = context;
  const closed = new AbortController();
  let stopWaiting: (() => void) | null = null;
  const clear = () => {
    stopWaiting?.();
    stopWaiting = null;
  };
  const withPerson = async <T>(use: (person: Person) => Promise<T> | T): Promise<T> => {
    clear();
    const person = context.meetPerson();
    if (person === null) throw ValetkeyError.local('consent_required', 'this process has no terminal at which a person could be asked');
    try {
      return await use(person);
    } finally {
      person.close();
    }
  };
  const showLink = (url: string) => terminal.tell(`Open this link in a browser on this machine, once: ${url}`);

  async function open(view: LoginView, url: string): Promise<void> {
    const opening = await context.openBrowser(url, view.browser ?? null, closed.signal)
      .catch((error: unknown): Opening => ({ kind: 'failed', why: String(error) }));
    if (opening.kind === 'opened' || closed.signal.aborted) return;
    clear();
    terminal.note(`The browser did not open: ${opening.why}`);
    showLink(url);
    screen.waiting(view);
  }

  const screen: SignInScreen = {
    async openBrowser(view, startUrl) {
      const url = checkStartUrl(startUrl);
      if (!options.openBrowser) {
        showLink(url);
        return;
      }
      terminal.note(`Opening the browser for ${view.issuer_host}`);
      // Not waited for: where the issuer knows the person already, the sign-in is over before the opener is.
      void open(view, url);
    },
    showTunnel(_view, startUrl, port) {
      for (const line of tunnelLines(port, checkStartUrl(startUrl), context.env, userInfo().username)) terminal.tell(line);
    },
    leftAlone() {
      clear();
      terminal.note('No browser followed the link. The device flow is left.');
    },
    askConsent: (challenge) => withPerson(async (person) => {
      person.show(challengeLines(challenge, context.now()));
      const typed = await person.ask('Code:', { signal });
      return typed !== null && typed.trim().toUpperCase() === challenge.code.toUpperCase() ? challenge.code : null;
    }),
    showDevice: (view) => withPerson(async (person) => {
      const target = view.device?.verification_uri_complete ?? view.device?.verification_uri;
      person.show(deviceLines(view, target === undefined ? null : await qrCode(target), context.now()));
    }),
    confirmSubject: (view) => withPerson(async (person) => {
      person.show([
        '',
        `Another account signed in than before at ${view.issuer_host}.`,
        `  Before  ${subjectName(view.previous_subject)}`,
        `  Now     ${subjectName(view.subject)}`,
      ]);
      const typed = await person.ask('Keep the new one? [y/N]', { signal });
      return typed !== null && /^y(?:es)?$/i.test(typed.trim());
    }),
    joined(view) {
      const { caller, profile, expires_at } = view;
      const end = `to end it, run: valetkey logout ${profile}`;
      if (!context.isInteractive) {
        throw ValetkeyError.local('login_required', `another process (${caller}) has started a sign-in, which nobody could finish from here`, {
          hint: `Finish it there, or ${end}`, login: view,
        });
      }
      terminal.tell(`Another process (${caller}) has started this sign-in and shows it; waiting for it, ${duration(expires_at - context.now())} at most. Ctrl-C leaves it as it is; ${end}`);
    },
    waiting(view) {
      if (stopWaiting !== null) return;
      const since = context.now();
      const { tunnel } = view;
      const tunnelText = (): string | null => (tunnel === undefined || tunnel.until <= context.now() ? null
        : `Waiting for the browser, ${clock(tunnel.until - context.now())} left; ${tunnel.otherwise === 'device' ? 'then by device code' : 'there is no other way from here'}`);
      // Without a pushed request a wrong client or redirect URI shows in the browser alone.
      const isLong = (): boolean => view.start_url !== undefined && context.now() - since >= LONG_WAIT_S;
      stopWaiting = terminal.waitFor(() => tunnelText() ?? `Waiting for the sign-in at ${view.issuer_host}, ${clock(view.expires_at - context.now())} left`
        + (isLong() ? `; an error in the browser? valetkey profile show ${view.profile} says what to register` : ''));
    },
  };
  return {
    screen,
    close() {
      closed.abort();
      clear();
    },
  };
}
