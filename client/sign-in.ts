/**
 * One sign-in from the asking process's side: start or join it, show what a person needs, follow it to its
 * end. The daemon decides on the flow and does all OAuth; no code, verifier or token passes through here.
 * If this process started the sign-in and gives up, the sign-in is cancelled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsentChallenge, LoginRequest, LoginView } from '../shared/schemas.ts';
import { ERRORS, isErrorCode } from '../shared/errors.ts';
import type { Api } from './api.ts';
import { parseProblem, ValetkeyError } from './valetkey-error.ts';

/** How a person takes part. */
export type SignInScreen = {
  /** Open the one-time link of this login in a browser on this machine. Only to the process that started it. */
  openBrowser(view: LoginView, startUrl: string): Promise<void> | void;
  /** Show how a browser of another machine gets to the link, through ssh. Only to the process that started it. */
  showTunnel(view: LoginView, startUrl: string, port: number): Promise<void> | void;
  /** No browser came; the device flow is asked for instead, which a person has to confirm. */
  leftAlone(view: LoginView): void;
  /** Show the challenge and let the person type its code; null if nobody agreed (device flow). */
  askConsent(challenge: ConsentChallenge): Promise<string | null>;
  /** Show host and user code (device flow). Nothing may open the page by itself (RFC 8628, section 3.3.1). */
  showDevice(view: LoginView): Promise<void> | void;
  /** Another account signed in than before: keep it? */
  confirmSubject(view: LoginView): Promise<boolean>;
  /** Another process has started this sign-in. Throws where it must not be waited for. */
  joined(view: LoginView): void;
  /** The sign-in is pending. Called once for each answer of the daemon. */
  waiting(view: LoginView): void;
};

export type SignInApi = Pick<Api, 'startLogin' | 'login' | 'cancelLogin' | 'confirmLogin'>;

const POLL_WAIT_S = 25;
// A daemon that answers at once without a change must not make this process spin.
const POLL_PAUSE_MS = 250;
/** The daemon waits for a browser to prove its path. */
const WAITS_FOR_BROWSER = 'start_awaited';
const CANCEL_TIMEOUT_MS = 2_000;

async function startWithConsent(api: SignInApi, request: LoginRequest, screen: SignInScreen, signal: AbortSignal): Promise<LoginView> {
  try {
    return await api.startLogin(request, signal);
  } catch (error) {
    if (!(error instanceof ValetkeyError) || error.code !== 'consent_required' || error.challenge === null) throw error;
    const { id } = error.challenge;
    const code = await screen.askConsent(error.challenge);
    signal.throwIfAborted();
    if (code === null) throw ValetkeyError.local('consent_required', 'nobody confirmed the sign-in at this terminal; nothing was started');
    return api.startLogin({ ...request, consent: { challenge: id, code } }, signal);
  }
}

async function follow(api: SignInApi, started: LoginView, screen: SignInScreen, signal: AbortSignal): Promise<LoginView> {
  let view = started;
  while (view.state === 'pending' || view.state === 'confirm_subject') {
    if (view.state === 'confirm_subject' && view.owned) {
      view = await api.confirmLogin(view.id, await screen.confirmSubject(view), signal);
      continue;
    }
    screen.waiting(view);
    const askedAt = performance.now();
    const before = view.state;
    view = await api.login(view.id, POLL_WAIT_S, signal);
    if (view.state === before && performance.now() - askedAt < POLL_PAUSE_MS) await sleep(POLL_PAUSE_MS, undefined, { signal });
  }
  return view;
}

function failureOf(view: LoginView): ValetkeyError {
  const { error } = view;
  if (error === undefined) return ValetkeyError.local('internal', 'the sign-in failed without a reason');
  // A newer daemon may send codes that this client does not know.
  const { status, retryable } = ERRORS[isErrorCode(error.code) ? error.code : 'internal'];
  const problem = parseProblem({ type: `urn:valetkey:error:${error.code}`, status, retryable, ...error });
  return problem === null ? ValetkeyError.local('internal', 'the sign-in failed without a reason') : new ValetkeyError(problem);
}

/**
 * @returns the completed login, with the subject that signed in.
 * @throws ValetkeyError what the login failed with; the signal's reason if it was aborted.
 */
export async function signIn(api: SignInApi, request: LoginRequest, screen: SignInScreen, signal: AbortSignal): Promise<LoginView> {
  const started = await startWithConsent(api, request, screen, signal);
  const ended = await seeThrough(api, started, screen, signal);
  // The daemon does not make the same process wait twice.
  if (ended.error?.code === 'consent_required' && started.reason === WAITS_FOR_BROWSER) {
    screen.leftAlone(ended);
    return signIn(api, request, screen, signal);
  }
  if (ended.state === 'failed') throw failureOf(ended);
  return ended;
}

async function seeThrough(api: SignInApi, started: LoginView, screen: SignInScreen, signal: AbortSignal): Promise<LoginView> {
  try {
    // One that was completed since this process was told to sign in is not waited for.
    if (!started.owned && started.state !== 'complete') screen.joined(started);
    if (started.owned && started.start_url !== undefined && started.tunnel !== undefined) await screen.showTunnel(started, started.start_url, started.tunnel.port);
    else if (started.owned && started.start_url !== undefined) await screen.openBrowser(started, started.start_url);
    else if (started.owned && started.device !== undefined) await screen.showDevice(started);
    return await follow(api, started, screen, signal);
  } catch (error) {
    if (isGone(error)) {
      throw ValetkeyError.local('daemon_unreachable', 'the daemon ended, and the sign-in with it', { cause: error, hint: `Run: valetkey login ${started.profile}` });
    }
    if (started.owned) await cancel(api, started.id);
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof ValetkeyError && error.code === 'daemon_unreachable';
}

/**
 * The caller's signal may be spent, so this has a deadline of its own. If it fails, the first error is the
 * one that counts, and the login ends by itself after 5 minutes.
 */
async function cancel(api: SignInApi, id: string): Promise<void> {
  try {
    await api.cancelLogin(id, AbortSignal.timeout(CANCEL_TIMEOUT_MS));
  } catch (error) {
    if (!(error instanceof ValetkeyError) && !(error instanceof DOMException)) throw error;
  }
}
