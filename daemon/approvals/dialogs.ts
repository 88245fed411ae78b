/**
 * Puts open questions to the person at the desktop: one dialog at a time, the oldest question first. A dialog of a
 * question that ended elsewhere is taken away. Where none may be shown, a notification says that a question waits;
 * it decides nothing, since every program of the user can press its buttons.
 *
 * Q5  Only a dialog that the daemon started, shown by a display that whyNotDisplay() lets pass, says yes.
 * Q6  An answer that comes faster than anybody reads was a key that was meant for another window, and is none.
 */
import type { Caller } from '../core/domain.ts';
import { BrokerError } from '../core/errors.ts';
import type { ApprovalPins, Callers, Desktop, DialogAnswer, Log, Seat } from '../core/ports.ts';
import type { Secret } from '../core/secret.ts';
import type { Approvals, Pending, Verdict } from './approvals.ts';
import { programLabel } from './consent-key.ts';
import { dialogBinding, dialogText } from './dialog-text.ts';

export type DialogsDeps = {
  readonly desktop: Desktop;
  readonly callers: Pick<Callers, 'attest'>;
  readonly approvals: Pick<Approvals, 'approvable' | 'answer'>;
  readonly pins: ApprovalPins;
  readonly log: Log;
  /** Puts the answer on record. Never rejects. */
  readonly onAnswered: (pending: Pending, server: Caller, verdict: Verdict) => void;
  readonly onWrongPin: (pending: Pending, server: Caller) => void;
};

/** Beyond these, questions wait for a terminal: nobody clicks through more. */
const WAITING_MAX = 8;
/** Nobody sits in front of it any more. */
const LIFE_MS = 120_000;
/** As browsers do before they let a dialog be answered that came up by itself. */
const READING_MS = 1_000;
const TRIES = 3;

type Waiting = { readonly pending: Pending; readonly signal: AbortSignal };

export class Dialogs {
  readonly #deps: DialogsDeps;
  readonly #waiting: Waiting[] = [];
  /** Of all questions that are shown, or wait to be, or were told of. */
  readonly #ends = new Map<string, AbortController>();
  #isBusy = false;

  constructor(deps: DialogsDeps) {
    this.#deps = deps;
  }

  asked(pending: Pending): void {
    if (this.#waiting.length >= WAITING_MAX) return this.#deps.log.info('dialog_left_out', { id: pending.id });
    const end = new AbortController();
    this.#ends.set(pending.id, end);
    this.#waiting.push({ pending, signal: end.signal });
    if (!this.#isBusy) void this.#work();
    return undefined;
  }

  ended({ id }: Pending): void {
    this.#ends.get(id)?.abort();
    this.#ends.delete(id);
  }

  stop(): void {
    for (const end of this.#ends.values()) end.abort();
    this.#ends.clear();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      if (!next.signal.aborted) await this.#put(next).catch((cause: unknown) => this.#deps.log.error('dialog_failed', {}, cause));
      this.#waiting.shift();
    }
    this.#isBusy = false;
  }

  async #put({ pending, signal }: Waiting): Promise<void> {
    const { desktop, log, pins } = this.#deps;
    const seat = await desktop.find();
    if (signal.aborted) return undefined;
    if (typeof seat === 'string') return log.info('dialog_not_shown', { id: pending.id, why: seat });
    const server = await this.#serverOf(seat, pending);
    const isWithoutPin = pending.tier === 'privileged' && !(await pins.isSet().catch(() => false)); // the terminal says what is in the way
    if (signal.aborted) return undefined;
    const text = dialogText(pending, null);
    if (server === null || isWithoutPin || text === null) return this.#tell(pending, signal);
    let shown = text;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const answer = await desktop.ask(seat, shown, LIFE_MS, signal);
      if (signal.aborted) return undefined;
      if (answer.kind === 'none') {
        log.info('dialog_unanswered', { id: pending.id, why: answer.why });
        return this.#tell(pending, signal);
      }
      const error = await this.#take(pending, server, answer);
      if (error === null) return undefined;
      shown = dialogText(pending, error) ?? text;
    }
    return log.info('dialog_given_up', { id: pending.id });
  }

  /** What to show with the dialog when it comes up again; null: it does not. */
  async #take(pending: Pending, server: Caller, answer: Exclude<DialogAnswer, { kind: 'none' }>): Promise<string | null> {
    if (answer.afterMs < READING_MS) return 'That was too fast to have been read.';
    if (answer.kind === 'no') {
      this.#answer(pending, server, { allow: false });
      return null;
    }
    const refusal = pending.tier === 'privileged' ? await this.#refusePin(pending, server, answer.pin) : null;
    if (refusal === null) this.#answer(pending, server, { allow: true, binding: dialogBinding(pending.asker), ms: null });
    return refusal === '' ? null : refusal;
  }

  /** Null: it is the PIN. Empty: it is not looked at, and the dialog is over. */
  async #refusePin(pending: Pending, server: Caller, pin: Secret | null): Promise<string | null> {
    const { log, pins, onWrongPin } = this.#deps;
    if (pin === null) return '';
    try {
      await pins.prove(pin);
      return null;
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.info('dialog_pin_refused', { id: pending.id, code: cause.code });
      if (cause.code !== 'pin_wrong') return '';
      onWrongPin(pending, server);
      return 'The PIN is wrong.';
    }
  }

  /** It may have been answered, or have ended, while the dialog was open. */
  #answer(pending: Pending, server: Caller, verdict: Verdict): void {
    const { approvals, log, onAnswered } = this.#deps;
    try {
      approvals.answer(pending.id, server, verdict, 'dialog');
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      return log.info('dialog_answer_refused', { id: pending.id, code: cause.code });
    }
    return onAnswered(pending, server, verdict);
  }

  /** Null where one of those that show the windows may not be trusted with this question. */
  async #serverOf({ servers }: Seat, { id }: Pending): Promise<Caller | null> {
    const { approvals, callers, log } = this.#deps;
    const found = await Promise.all(servers.map(async (peer) => callers.attest(peer, null)));
    try {
      for (const server of found) {
        if (server === null) return null;
        approvals.approvable(id, server, 'dialog');
      }
    } catch (cause) {
      if (!(cause instanceof BrokerError)) throw cause;
      log.warn('display_not_trusted', { id, why: cause.message });
      return null;
    }
    return found[0] ?? null;
  }

  #tell({ id, asker, profile }: Pending, signal: AbortSignal): Promise<void> {
    return this.#deps.desktop.tell('Valetkey: a question waits', `${programLabel(asker)} wants to use ${profile}. Run in a terminal: valetkey approve ${id}`, signal);
  }
}
