/**
 * Waits for the proof that a browser reaches the listener: a GET of the one-time link (FC-12). The decision
 * stands, and is on record, before that browser is told of the issuer. When none comes in time the login ends, and
 * its process may go on with what is left.
 */
import type { EpochMs } from '../../shared/names.ts';
import { BrokerError } from '../core/errors.ts';
import type { LoopbackListener } from '../core/loopback-port.ts';
import { chooseFlow } from '../policy/chooser.ts';
import { refusalOf } from './choose.ts';
import { isPkce } from './decision.ts';
import type { Decision } from './decision.ts';
import type { Login } from './login.ts';
import type { StartDeps } from './login-ask.ts';

/** Called when a browser fetches the link, of whichever decision. Throws where it came too late. */
export async function standForBrowser(login: Login, decision: Decision): Promise<void> {
  const choice = await decision.standOn(true);
  if (!isPkce(choice)) throw new BrokerError('flow_timeout', 'the browser came when it was no longer waited for');
  login.reason = choice.reason;
}

export function awaitProof(deps: StartDeps, login: Login, listener: LoopbackListener, decision: Decision, rule: string | null): void {
  const { choice: { proofS, rule: by }, input } = decision;
  if (proofS === null) return;
  if (by === '13') {
    const unproved = chooseFlow({ ...input, probes: { ...input.probes, startHit: false } });
    login.tunnel = { port: listener.port, until: (deps.clock.now() + proofS * 1000) as EpochMs, otherwise: unproved.outcome === 'device' ? 'device' : 'refuse' };
  }
  deps.clock.sleep(proofS * 1000, login.abort.signal).then(
    () => giveUp(deps, login, decision, rule),
    () => undefined, // the login ended first
  ).catch((cause: unknown) => login.abort.abort(cause));
}

async function giveUp(deps: StartDeps, login: Login, decision: Decision, rule: string | null): Promise<void> {
  const { profile, owner } = login.facts;
  const choice = await decision.standOn(false);
  if (isPkce(choice)) return; // the browser was first
  if (choice.outcome !== 'device') throw refusalOf(choice, profile, rule);
  deps.unproved.remember(profile, owner, choice);
  throw new BrokerError('consent_required', `no browser followed the link of profile ${profile.name}; a person has to confirm the device flow, which is left`, {
    reason: choice.reason, hint: `Run: valetkey login ${profile.name} --device`,
  });
}
