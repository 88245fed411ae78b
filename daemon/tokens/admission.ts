/**
 * Whether a refresh may be sent to its issuer now: its turn in the window, then the circuit, in this order, so that
 * who waited is judged by what is known when its turn comes. What came of it is told to both. While it waits here
 * no intent is written and no refresh token leaves.
 */
import type { Grant, Profile } from '../core/domain.ts';
import type { Clock, Transient } from '../core/ports.ts';
import { keyOf } from './circuit.ts';
import type { Circuits } from './circuit.ts';
import { PATIENCE_MS } from './flight.ts';
import { NO_ANSWER_YET } from './refusals.ts';
import type { FlightOutcome } from './refusals.ts';
import type { RefreshOutcome } from './refresh.ts';
import { Window } from './window.ts';
import type { Turn } from './window.ts';

export type AdmissionDeps = { readonly circuits: Circuits; readonly clock: Clock };

export class Admission {
  readonly #deps: AdmissionDeps;
  /** Of issuers at which something is on the wire. */
  readonly #windows = new Map<string, Window>();

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  /**
   * Runs the refresh when its turn comes, unless the issuer is out by then.
   *
   * @param waiting - ends the wait for a turn with its reason, and nothing else
   */
  async through(grant: Grant, profile: Profile, waiting: AbortSignal, refresh: () => Promise<RefreshOutcome>): Promise<FlightOutcome> {
    const window = this.#window(keyOf(profile));
    const turn = await window.enter(waiting);
    try {
      const outage = await this.#deps.circuits.admit(grant, profile);
      return outage === null ? await this.#send(profile, window, turn, refresh) : { kind: 'outage', outage };
    } finally {
      turn.leave();
    }
  }

  async #send(profile: Profile, window: Window, turn: Turn, refresh: () => Promise<RefreshOutcome>): Promise<RefreshOutcome> {
    const over = new AbortController();
    // One hanging grant tells of its issuer: the next one is not sent into the same silence.
    void this.#deps.clock.sleep(PATIENCE_MS, over.signal).then(() => this.#learn(profile, window, turn, { kind: 'transient', transient: NO_ANSWER_YET }), () => undefined);
    let outcome: RefreshOutcome | null = null;
    try {
      outcome = await refresh();
      return outcome;
    } finally {
      over.abort();
      this.#learn(profile, window, turn, outcome);
    }
  }

  /** @param outcome - null: none, the disk refused the intent or we made a mistake */
  #learn(profile: Profile, window: Window, turn: Turn, outcome: RefreshOutcome | null): void {
    const { circuits } = this.#deps;
    if (outcome !== null && wasAnswered(outcome)) {
      circuits.answered(profile);
      window.answered();
      return;
    }
    // Given up: the circuit was told of a failure since, and knows by now what came after it.
    if (!turn.isCounted()) return;
    const failure = outcome === null ? null : failureOf(outcome);
    if (failure === null) circuits.unheard(profile);
    else circuits.failed(profile, failure);
    // Who waits gets its turn at once, and is told by the circuit.
    if (circuits.isOpen(profile)) window.restart();
  }

  #window(key: string): Window {
    const window = this.#windows.get(key) ?? new Window(this.#deps.clock, () => this.#windows.delete(key));
    this.#windows.set(key, window);
    return window;
  }
}

function failureOf(outcome: RefreshOutcome): Transient | null {
  return outcome.kind === 'transient' ? outcome.transient : outcome.kind === 'parked' ? outcome.lost : null;
}

/** What was overtaken was perhaps never sent; what was parked because its grace is over surely was not. */
function wasAnswered(outcome: RefreshOutcome): boolean {
  if (outcome.kind === 'parked') return outcome.reason !== 'refresh_answer_lost';
  return outcome.kind === 'refreshed' || outcome.kind === 'refused';
}
