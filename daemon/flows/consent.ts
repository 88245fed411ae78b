/**
 * Local consent to a device login (DG-08): the daemon gives the asking process a code, the process shows
 * it at its terminal, a person types it. Bound to the process, its controlling terminal with the process
 * in the foreground, the request, and 60 seconds. It stops scripts by accident, not a determined one of
 * the same user: a script can make itself a terminal (SECURITY.md says so).
 */
import type { EpochMs, LoginId } from '../../shared/names.ts';
import type { ConsentChallenge } from '../../shared/schemas.ts';
import type { Caller, Profile } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { Clock, Random } from '../core/ports.ts';

const LIFE_MS = 60_000;
const KEPT = 32;

type Challenge = {
  readonly id: LoginId; readonly code: string; readonly key: string; readonly pid: number; readonly startTime: string;
  readonly terminal: number; readonly expiresAt: EpochMs;
};

/** DG-08: what an agent, a container or another machine has for a terminal is its own, and no person's. Null: it may be asked there. */
export function whyNotItself({ origin }: Caller): string | null {
  if (origin.agent !== null) return `${origin.agent} has started`;
  if (origin.container) return 'runs in a container';
  return origin.forwarded ? 'is on another machine' : null;
}

export class Consent {
  readonly #clock: Clock;
  readonly #random: Random;
  #challenges: Challenge[] = [];

  constructor(deps: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /** The error that carries a new challenge, where this caller may be asked at all. */
  demand(key: string, caller: Caller, profile: Profile, scopes: readonly string[], machine: string): BrokerError {
    const whyNot = whyNotItself(caller);
    if (whyNot !== null) {
      return new BrokerError('consent_required', `a person has to confirm the device flow, and not at the terminal of a program that ${whyNot}`, { hint: `Run at a terminal of your own: valetkey login ${profile.name}` });
    }
    if (caller.terminal === null || !caller.terminal.foreground) {
      return new BrokerError('consent_required', 'a person has to confirm the device flow at the terminal of the asking process, and it has none in the foreground');
    }
    const now = this.#clock.now();
    const challenge: Challenge = {
      id: this.#random.token(16) as LoginId, code: this.#shortCode(), key, pid: caller.pid, startTime: caller.startTime,
      terminal: caller.terminal.device, expiresAt: (now + LIFE_MS) as EpochMs,
    };
    this.#challenges = [...this.#challenges.filter((c) => c.expiresAt > now), challenge].slice(-KEPT);
    const view: ConsentChallenge = {
      id: challenge.id, code: challenge.code, expires_at: Math.floor(challenge.expiresAt / 1000), issuer_host: new URL(profile.issuer).host,
      client_id: profile.clientId, scopes: [...scopes], machine, caller: caller.label,
    };
    return new BrokerError('consent_required', 'a person has to confirm the device flow', { challenge: view });
  }

  /** Uses the challenge up; false where it is not this request, process, terminal and code. */
  isGiven(answer: { readonly challenge: string; readonly code: string }, key: string, caller: Caller): boolean {
    const found = this.#challenges.find((c) => c.id === answer.challenge);
    if (found === undefined) return false;
    this.#challenges = this.#challenges.filter((c) => c !== found);
    return whyNotItself(caller) === null && found.expiresAt > this.#clock.now()
      && found.code === answer.code.trim().toUpperCase()
      && found.key === key
      && found.pid === caller.pid && found.startTime === caller.startTime
      && caller.terminal !== null && caller.terminal.device === found.terminal && caller.terminal.foreground;
  }

  /** Letters and digits that are not mistaken for each other. */
  #shortCode(): string {
    return this.#random.token(48).toUpperCase().replace(/[^B-DF-HJ-NP-TV-XZ2-9]/g, '').slice(0, 4);
  }
}
