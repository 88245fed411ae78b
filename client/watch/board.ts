/**
 * What the live view knows: the last state that the daemon told, what happened since the view began, and who took or was
 * refused how many tokens. It is bounded: the oldest event and the caller that was longest unseen go first.
 */
import type { ApprovalsReply } from '../../shared/approval-schemas.ts';
import type { BrokerEvent, StatusReply } from '../../shared/schemas.ts';

export type Update =
  | { readonly kind: 'state'; readonly status: StatusReply; readonly approvals: ApprovalsReply }
  | { readonly kind: 'event'; readonly event: BrokerEvent }
  /** Nobody is listened to; tried again by itself. */
  | { readonly kind: 'lost'; readonly why: string };

export type CallerCount = {
  /** Without its pid: ten runs of git are git. */
  readonly name: string;
  readonly tokens: number;
  readonly refused: number;
  readonly lastAt: number;
  /** Those that it asked for, the last first. */
  readonly profiles: readonly string[];
};

const EVENTS_MAX = 200;
const CALLERS_MAX = 64;
const PROFILES_MAX = 4;

export class Board {
  #status: StatusReply | null = null;
  #approvals: ApprovalsReply | null = null;
  #lost: string | null = 'connecting to the daemon';
  #events: readonly BrokerEvent[] = [];
  readonly #callers = new Map<string, CallerCount>();

  take(update: Update): void {
    switch (update.kind) {
      case 'state':
        this.#status = update.status;
        this.#approvals = update.approvals;
        this.#lost = null;
        return;
      case 'event':
        this.#events = [update.event, ...this.#events].slice(0, EVENTS_MAX);
        this.#count(update.event);
        return;
      case 'lost':
        this.#lost = update.why;
        // A question and a sign-in end with the daemon.
        this.#approvals = null;
    }
  }

  get status(): StatusReply | null {
    return this.#status;
  }

  get approvals(): ApprovalsReply | null {
    return this.#approvals;
  }

  /** Why nothing is heard; null: the daemon is. */
  get lost(): string | null {
    return this.#lost;
  }

  /** The newest first. */
  get events(): readonly BrokerEvent[] {
    return this.#events;
  }

  /** Whoever asked last comes first. */
  get callers(): readonly CallerCount[] {
    return [...this.#callers.values()].toReversed();
  }

  #count({ event, caller, count, at, profile }: BrokerEvent): void {
    if (caller === undefined || (event !== 'token_released' && event !== 'token_refused')) return;
    const name = caller.replace(/ \(pid \d+\)$/, '');
    const before = this.#callers.get(name);
    this.#callers.delete(name);
    this.#callers.set(name, {
      name,
      tokens: (before?.tokens ?? 0) + (event === 'token_released' ? count ?? 1 : 0),
      refused: (before?.refused ?? 0) + (event === 'token_refused' ? 1 : 0),
      lastAt: at,
      profiles: profile === null ? before?.profiles ?? [] : [profile, ...(before?.profiles ?? []).filter((each) => each !== profile)].slice(0, PROFILES_MAX),
    });
    const oldest = this.#callers.size > CALLERS_MAX ? this.#callers.keys().next() : null;
    if (oldest !== null && oldest.done !== true) this.#callers.delete(oldest.value);
  }
}
