/**
 * The device authorization grant (RFC 8628), polled by our own schedule: it stops at once when told to, and
 * a network error only slows it down (openid-client's poll does neither).
 */
import type { EpochMs } from '../../shared/names.ts';
import type { Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { ClientAt, Clock, DeviceOutcome, Issuer, TokenSet, Want } from '../core/ports.ts';
import { DEFAULT_INTERVAL_S, nextPauseS } from './device-schedule.ts';
import { failureOf } from './outcome-error.ts';
import { isTrustedVerificationUri } from './verification-host.ts';

export type DeviceFlow = {
  readonly issuer: Issuer;
  readonly clock: Clock;
  readonly profile: Profile;
  readonly client: ClientAt;
  readonly want: Want;
  /** Revokes tokens that nobody will hold. */
  readonly discard: (set: TokenSet) => Promise<void>;
};

export type StartedDevice = Extract<DeviceOutcome, { kind: 'device' }>;

export async function startDeviceFlow({ issuer, profile, client, want }: DeviceFlow): Promise<StartedDevice> {
  const started = await issuer.startDevice(client, profile, want);
  if (started.kind !== 'device') throw failureOf(started, profile.issuer, 'the device authorization request');
  for (const uri of [started.verificationUri, started.verificationUriComplete]) {
    if (uri !== null && !isTrustedVerificationUri(uri, profile)) {
      const host = URL.canParse(uri) ? new URL(uri).host : 'no URL';
      throw new BrokerError('verification_host_untrusted', `${profile.issuer} names a device page on ${host}; no code is shown`);
    }
  }
  return started;
}

/** Polls until tokens, a verdict, the code's end by either clock, or the signal. */
export async function pollDeviceFlow(flow: DeviceFlow, started: StartedDevice, signal: AbortSignal): Promise<TokenSet> {
  const { issuer, clock, profile, client, want } = flow;
  const lifeMs = started.expiresInS * 1000;
  const endsAt = (clock.now() + lifeMs) as EpochMs;
  const endsAtBoottime = clock.boottimeMs() + lifeMs;
  let pauseS = Math.max(started.intervalS, 0) || DEFAULT_INTERVAL_S;
  for (;;) {
    await clock.sleep(pauseS * 1000, signal);
    // DG-04: a laptop that slept through the code's life asks no more.
    if (clock.now() >= endsAt || clock.boottimeMs() >= endsAtBoottime) {
      throw new BrokerError('flow_timeout', `the device code of profile ${profile.name} expired before anybody used it`);
    }
    const outcome = await issuer.pollDevice(client, profile, started, want, signal);
    if (outcome.kind === 'tokens') return outcome.tokens;
    if (outcome.kind === 'rejected') {
      if (outcome.tokens !== null) await flow.discard(outcome.tokens);
      if (outcome.oauthError === 'expired_token') throw new BrokerError('flow_timeout', `the device code of profile ${profile.name} expired before anybody used it`);
      throw failureOf(outcome, profile.issuer, 'the device code');
    }
    pauseS = nextPauseS(pauseS, outcome);
  }
}
