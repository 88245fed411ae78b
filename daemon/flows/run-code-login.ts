/**
 * A PKCE login from the armed listener to the stored grant and the page that the browser shows.
 */
import type { Identity } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { LoopbackListener, LoopbackPage } from '../core/loopback-port.ts';
import type { ClientAt, TokenSet } from '../core/ports.ts';
import { acceptSignIn } from './accept.ts';
import { acceptStepUp } from './accept-step-up.ts';
import { finishCodeFlow, prepareCodeFlow } from './authorization-code.ts';
import type { CodeFlow } from './authorization-code.ts';
import { standForBrowser } from './await-proof.ts';
import type { Decision } from './decision.ts';
import type { Login } from './login.ts';
import type { LoginAsk, StartDeps } from './login-ask.ts';

export async function runCodeLogin(deps: StartDeps, login: Login, client: ClientAt, listener: LoopbackListener, ask: LoginAsk, decision: Decision): Promise<() => Promise<Identity | null>> {
  const { profile, scopes } = login.facts;
  const discard = async (set: TokenSet): Promise<void> => {
    if (!ask.isBeside) await deps.discard(profile, client.server, set); // accept-step-up.ts says why
  };
  const flow: CodeFlow = { issuer: deps.issuer, clock: deps.clock, profile, client, listener, want: { scopes, resource: profile.resource }, stepUp: ask.stepUp, beforeStart: () => standForBrowser(login, decision), discard };
  const request = await prepareCodeFlow(flow, ask.loginHint);
  login.startUrl = listener.startUrl;
  void listener.started.then(() => {
    login.isUnderWay = true;
  });
  login.abort.signal.addEventListener('abort', () => {
    if (login.isOver) return; // the page is on its way; the listener closes behind it
    listener.finish(pageOf(login, null, asBrokerError(login.abort.signal.reason)));
    void listener.close();
  }, { once: true });
  return async () => {
    try {
      const set = await finishCodeFlow(flow, request);
      void login.changed.then(() => showQuestion(login, listener));
      const identity = ask.isBeside ? await acceptStepUp(deps, login, set) : await acceptSignIn({ clock: deps.clock, book: deps.book, justInTime: deps.justInTime, isConfigured: () => deps.config().profiles.has(profile.name), discard }, login, client.server, set);
      listener.finish(pageOf(login, identity, null));
      return identity;
    } catch (cause) {
      const error = login.abort.signal.aborted ? asBrokerError(login.abort.signal.reason) : asBrokerError(cause);
      listener.finish(pageOf(login, null, error));
      throw error;
    }
  };
}

/** The browser learns at once that the terminal has a question; the port does not stay open for the answer. */
function showQuestion(login: Login, listener: LoopbackListener): void {
  const { state, facts } = login;
  if (state.kind !== 'confirm_subject') return;
  listener.finish({ kind: 'wrong_account', subject: subjectOf(state.identity), profile: facts.profile.name });
}

function subjectOf(identity: Identity | null): string | null {
  return identity?.email ?? identity?.name ?? identity?.sub ?? null;
}

function asBrokerError(cause: unknown): BrokerError {
  return cause instanceof BrokerError ? cause : new BrokerError('internal', 'the sign-in ended by a mistake of the daemon', { cause });
}

function pageOf(login: Login, identity: Identity | null, error: BrokerError | null): LoopbackPage {
  const { profile, owner } = login.facts;
  if (error === null) return { kind: 'success', subject: subjectOf(identity), profile: profile.name, caller: owner.label };
  if (error.code === 'flow_timeout') return { kind: 'expired' };
  return { kind: 'refused', profile: profile.name, title: error.title };
}
