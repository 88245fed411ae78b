/**
 * A device login from the code that a person types elsewhere to the stored grant. It ends with the last
 * process that waits for it (I9): a code nobody looks at any more is only good for phishing.
 */
import type { Identity } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { ClientAt, TokenSet } from '../core/ports.ts';
import { acceptSignIn } from './accept.ts';
import { pollDeviceFlow, startDeviceFlow } from './device-code.ts';
import type { DeviceFlow } from './device-code.ts';
import type { Login } from './login.ts';
import type { StartDeps } from './login-ask.ts';

const WATCH_MS = 1_000;

export async function runDeviceLogin(deps: StartDeps, login: Login, client: ClientAt): Promise<() => Promise<Identity | null>> {
  const { profile, scopes } = login.facts;
  const discard = (set: TokenSet): Promise<void> => deps.discard(profile, client.server, set);
  const flow: DeviceFlow = { issuer: deps.issuer, clock: deps.clock, profile, client, want: { scopes, resource: profile.resource }, discard };
  const started = await startDeviceFlow(flow);
  login.device = { userCode: started.userCode, verificationUri: started.verificationUri, verificationUriComplete: started.verificationUriComplete };
  return async () => {
    void watchProcesses(deps, login);
    const set = await pollDeviceFlow(flow, started, login.abort.signal);
    return acceptSignIn({ clock: deps.clock, book: deps.book, justInTime: deps.justInTime, isConfigured: () => deps.config().profiles.has(profile.name), discard }, login, client.server, set);
  };
}

async function watchProcesses(deps: StartDeps, login: Login): Promise<void> {
  const { signal } = login.abort;
  while (!signal.aborted) {
    const waiting = [login.facts.owner, ...login.joined.values()];
    if (!waiting.some((caller) => deps.callers.stillSame(caller))) {
      login.abort.abort(new BrokerError('login_cancelled', 'no process waits for this sign-in any more'));
      return;
    }
    await deps.clock.sleep(WATCH_MS, signal).catch(() => undefined); // aborted: the loop's condition ends it
  }
}
