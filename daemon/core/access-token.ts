/** An access token as it is held: what it is good for, how the person signed in for it, and until when. */
import type { EpochMs, Scope } from '../../shared/names.ts';
import type { Secret } from './secret.ts';
import type { BootSpan } from './time.ts';

export type AccessToken = {
  readonly value: Secret;
  readonly tokenType: 'Bearer';
  readonly scopes: readonly Scope[];
  /** Scopes granted beyond what was asked. */
  readonly beyond: readonly Scope[];
  /** Asked for without naming scopes: it serves whoever names none. */
  readonly byDefault: boolean;
  readonly resource: string | null;
  readonly acr: string | null;
  readonly amr: readonly string[];
  /** When the person last proved who they are, as the issuer says, in seconds; null where it does not. */
  readonly authTime: number | null;
  /** Of a sign-in beside the grant's own (RFC 9470): it serves only who asks for more than that has, and has no successor. */
  readonly isStepUp: boolean;
  readonly obtainedAt: EpochMs;
  readonly expiresAt: EpochMs;
  /** Its life by the clock that never jumps; null where it was not recorded. */
  readonly life: BootSpan | null;
};
