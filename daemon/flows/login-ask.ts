/** What a caller asks of a sign-in, and what running one takes. */
import type { LoginId, Scope } from '../../shared/names.ts';
import type { AuthorizationServer, Config, FlowPreference, Profile } from '../core/domain.ts';
import type { Fingerprints } from '../core/fingerprints.ts';
import type { Loopback } from '../core/loopback-port.ts';
import type { Audit, Callers, Clock, GrantBook, Issuer, Log, Random, StepUp, TokenSet, Vault } from '../core/ports.ts';
import type { Policy } from '../policy/decide.ts';
import type { JustInTime } from '../tokens/just-in-time.ts';
import type { StepUpDeps } from './accept-step-up.ts';
import type { Consent } from './consent.ts';
import type { Login } from './login.ts';
import type { StartLimit } from './start-limit.ts';
import type { StepUpTries } from './step-up.ts';
import type { Unproved } from './unproved.ts';

export type LoginAsk = {
  readonly profile: Profile;
  readonly preference: FlowPreference;
  readonly manualOpen: boolean;
  readonly scopes: readonly Scope[] | null;
  readonly loginHint: string | null;
  /** Why, in the words of who asks; cleaned. */
  readonly reason: string | null;
  readonly stepUp: StepUp;
  /** A step-up: one token beside the grant, which stays as it is. */
  readonly isBeside: boolean;
  readonly consent: { readonly challenge: string; readonly code: string } | null;
  /** The last completed sign-in that who asks knew of (null: none): a newer one is joined. Left out: one is started. */
  readonly newerThan?: LoginId | null;
};

export type StartDeps = {
  readonly config: () => Config;
  /** Null: it is closed, and nothing is allowed. */
  readonly policy: () => Policy | null;
  readonly issuer: Issuer;
  readonly vault: Vault;
  readonly loopback: Loopback;
  readonly callers: Callers;
  readonly consent: Consent;
  readonly book: GrantBook;
  readonly justInTime: Pick<JustInTime, 'hold'>;
  readonly audit: Audit;
  readonly fingerprints: Fingerprints;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly uid: number;
  readonly machine: string;
  readonly starts: StartLimit;
  readonly unproved: Unproved;
  /** Whether another broker answers where ssh, or a container, would have put its socket. */
  readonly isBrokerForwarded: () => Promise<boolean>;
  readonly tries: StepUpTries;
  readonly amend: StepUpDeps['amend'];
  /** The user's own lock. */
  readonly isLocked: () => boolean;
  /** Revokes tokens that nobody will hold. */
  readonly discard: (profile: Profile, server: AuthorizationServer, set: TokenSet) => Promise<void>;
  /** It has something to show and runs from here on. */
  readonly onStarted: (login: Login) => void;
  /** Somebody signed in; before anybody is told. */
  readonly onSignedIn: (login: Login) => Promise<void>;
  readonly onFinished: (login: Login) => void;
};

/** What it takes to say which flow it would be. */
export type ConsiderDeps = Pick<StartDeps, 'policy' | 'config' | 'callers' | 'book' | 'uid' | 'unproved' | 'tries' | 'isBrokerForwarded' | 'audit' | 'random' | 'machine'>;
