/**
 * RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): the browser is sent to where the issuer ends its own
 * session. Who signs out is said by logout_hint, never by an ID token, which does not leave the daemon; the address is
 * behind a one-time link, so that no process list shows it. Where the browser is to come back, the state is checked.
 */
import type { EpochMs, ProfileName } from '../../shared/names.ts';
import type { Caller, Grant, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Loopback, LoopbackListener } from '../core/loopback-port.ts';
import type { Audit, Clock, Issuer, Log, Random } from '../core/ports.ts';
import { Secret } from '../core/secret.ts';
import { failureOf } from './outcome-error.ts';

export type EndSessionDeps = {
  readonly issuer: Pick<Issuer, 'discover'>;
  readonly loopback: Loopback;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly uid: number;
  readonly signal: AbortSignal;
};

export type StartedEnd = { readonly startUrl: string; readonly endsAt: EpochMs };

const LIFE_MS = 300_000;
const STATE_BYTES = 32;

export class EndSessions {
  readonly #deps: EndSessionDeps;
  /** One a profile: a new one takes the place of the one before. */
  readonly #open = new Map<ProfileName, LoopbackListener>();

  constructor(deps: EndSessionDeps) {
    this.#deps = deps;
  }

  /**
   * @param returns - the browser comes back; the redirect URI of the sign-in has to be registered for that as well
   * @throws BrokerError issuer_refused where the issuer names no such place
   */
  async start(profile: Profile, grant: Grant | null, returns: boolean, caller: Caller): Promise<StartedEnd> {
    const { issuer, loopback, clock, random, uid } = this.#deps;
    const found = await issuer.discover(profile);
    if (found.kind !== 'server') throw failureOf(found, profile.issuer, 'discovery');
    const { endSessionEndpoint } = found.server;
    if (endSessionEndpoint === null) {
      throw new BrokerError('issuer_refused', `${profile.issuer} names no place where its browser session ends (end_session_endpoint)`, { hint: 'Sign out at the issuer, in the browser' });
    }
    const listener = await loopback.open({ ports: profile.traits.redirectPorts, path: profile.redirectPath, uid });
    const state = random.token(STATE_BYTES);
    const url = new URL(endSessionEndpoint);
    url.searchParams.set('client_id', profile.clientId);
    const hint = grant?.identity?.email ?? grant?.identity?.sub ?? null;
    if (hint !== null) url.searchParams.set('logout_hint', hint);
    if (returns) {
      url.searchParams.set('post_logout_redirect_uri', listener.redirectUri);
      url.searchParams.set('state', state);
    }
    listener.arm(async () => url.href, new Secret(state), null);
    void this.#open.get(profile.name)?.close();
    this.#open.set(profile.name, listener);
    void this.#follow(profile, listener, returns, caller);
    return { startUrl: listener.startUrl, endsAt: (clock.now() + LIFE_MS) as EpochMs };
  }

  /** Until the browser came back, or was sent on where it does not come back, or nobody followed the link. */
  async #follow(profile: Profile, listener: LoopbackListener, returns: boolean, caller: Caller): Promise<void> {
    const { clock, audit, log, signal } = this.#deps;
    const over = new AbortController();
    // Where the browser came back the listener closes itself, when its page was delivered.
    void clock.sleep(LIFE_MS, AbortSignal.any([signal, over.signal])).then(() => listener.close(), () => (signal.aborted ? listener.close() : undefined));
    try {
      await (returns ? listener.callback : listener.started);
      if (returns) listener.finish({ kind: 'signed_out', profile: profile.name });
      await audit.append({ event: 'browser_signed_out', profile: profile.name, caller, request: null, facts: { issuer: profile.issuer, returned: returns } });
      if (!returns) await listener.close();
    } catch (cause) {
      // Nobody followed the link, or its place was taken.
      log.info('end_session_not_finished', { profile: profile.name, why: cause instanceof BrokerError ? cause.code : 'internal' });
    } finally {
      over.abort();
      if (this.#open.get(profile.name) === listener) this.#open.delete(profile.name);
    }
  }
}
