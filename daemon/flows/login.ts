/**
 * One sign-in in progress: who started it, what it waits for, and how it ended. Its end is decided once;
 * later tries to end it otherwise change nothing.
 */
import type { EpochMs, LoginId, Scope } from '../../shared/names.ts';
import type { Caller, FlowKind, Identity, Profile } from '../core/domain.ts';
import type { BrokerError } from '../core/errors.ts';

export type DevicePrompt = {
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | null;
};

/** `otherwise`: what is left when nobody comes until then. */
export type Tunnel = { readonly port: number; readonly until: EpochMs; readonly otherwise: 'device' | 'refuse' };

export type LoginState =
  | { readonly kind: 'pending' }
  /** Another subject than before signed in; nothing is stored until its starter agrees (LB-11). */
  | { readonly kind: 'confirm_subject'; readonly identity: Identity | null; readonly previous: Identity }
  | { readonly kind: 'complete'; readonly identity: Identity | null }
  | { readonly kind: 'failed'; readonly error: BrokerError };

export type LoginFacts = {
  readonly id: LoginId;
  readonly profile: Profile;
  readonly flow: FlowKind;
  readonly reason: string;
  readonly owner: Caller;
  readonly scopes: readonly Scope[];
  /** Nobody named them: its token serves whoever names none. */
  readonly byDefault: boolean;
  /** What it is for; a sign-in has the empty one. */
  readonly purpose: string;
  /** Methods that policy wants of the person: of each list one (ID-04). */
  readonly methods: readonly (readonly string[])[];
  readonly expiresAt: EpochMs;
  /** Privileged access, which is never stored (AU-08), and why, in the words of its starter; null: it is not. */
  readonly justInTime: { readonly reason: string; readonly byDefault: boolean } | null;
  /** Which of these are privileged by the policy that it was started under. */
  readonly privilegedOf: (scopes: readonly Scope[]) => readonly Scope[];
};

export class Login {
  readonly facts: LoginFacts;
  /** Resolves when nothing of it runs any more. */
  settled: Promise<void> = Promise.resolve();
  /** Ends with the login: cancel, time-out, daemon stop, success. */
  readonly abort = new AbortController();
  /** The chooser's reason code, which changes when a browser proved its path. */
  reason: string;
  startUrl: string | null = null;
  /** What the person has to do so that a browser comes through ssh. */
  tunnel: Tunnel | null = null;
  /** A browser fetched the one-time link: somebody is signing in. */
  isUnderWay = false;
  device: DevicePrompt | null = null;
  /** When its grant was made; null: not yet. */
  signedInAt: EpochMs | null = null;
  /** Processes that wait for it besides the owner. */
  readonly joined = new Map<string, Caller>();
  #state: LoginState = { kind: 'pending' };
  #waiters: (() => void)[] = [];
  #confirm: ((accept: boolean) => void) | null = null;

  constructor(facts: LoginFacts) {
    this.facts = facts;
    this.reason = facts.reason;
  }

  get state(): LoginState {
    return this.#state;
  }

  get isOver(): boolean {
    return this.#state.kind === 'complete' || this.#state.kind === 'failed';
  }

  /** Resolves at the next change of state. */
  get changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  complete(identity: Identity | null): void {
    this.#move({ kind: 'complete', identity });
  }

  fail(error: BrokerError): void {
    this.#move({ kind: 'failed', error });
  }

  /** Asks whether another subject is meant; false when refused or over. */
  askForSubject(identity: Identity | null, previous: Identity): Promise<boolean> {
    const answer = new Promise<boolean>((resolve) => {
      this.#confirm = resolve;
      this.abort.signal.addEventListener('abort', () => resolve(false), { once: true });
    });
    this.#move({ kind: 'confirm_subject', identity, previous });
    return answer;
  }

  /** @returns false where nothing was asked */
  answer(accept: boolean): boolean {
    const confirm = this.#confirm;
    this.#confirm = null;
    confirm?.(accept);
    return confirm !== null;
  }

  isOwnedBy(caller: Caller): boolean {
    const { owner } = this.facts;
    return caller.pid === owner.pid && caller.startTime === owner.startTime;
  }

  #move(next: LoginState): void {
    if (this.isOver) return;
    this.#state = next;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
