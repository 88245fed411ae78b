/**
 * What policy makes of a locked screen and of suspend (SU-04). Where it asks for the screen, no token leaves while that
 * is locked, nor while nobody can tell: what policy demands and is not known counts against the request. Listened to
 * only where policy asks.
 */
import { BrokerError } from './core/errors.ts';
import type { Audit, Clock, LoginSessions, Log, SessionNews } from './core/ports.ts';
import type { Gate } from './gate.ts';
import type { Events, Policies } from './ipc/routes/broker.ts';
import { sessionWishes } from './policy/session.ts';
import { within } from './within.ts';

export type ScreenDeps = {
  readonly loginSessions: LoginSessions;
  readonly policies: Pick<Policies, 'inForce'>;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly log: Log;
  readonly audit: Audit;
  readonly events: Pick<Events, 'emit'>;
  readonly signal: AbortSignal;
  /** As valetkey lock. */
  readonly lock: () => Promise<void>;
};

/** Who starts the daemon waits so long, at most, for the first word of logind. */
const FIRST_WORD_MS = 2_000;

export class Screen {
  readonly #deps: ScreenDeps;
  #listening: AbortController | null = null;
  /** What was heard last; null: nothing is heard. */
  #isLocked: boolean | null = null;
  #wasToldOfSleep = false;
  #onFirstWord: () => void = () => undefined;

  constructor(deps: ScreenDeps) {
    this.#deps = deps;
  }

  get isLocked(): boolean | null {
    return this.#isLocked;
  }

  /** Does what policy says by now: listens, or stops. Resolves when it is known how it is, or after two seconds. */
  async follow(): Promise<void> {
    const { screenLock, locksOnSuspend } = this.#wishes();
    const isAskedFor = screenLock !== null || locksOnSuspend || this.#deps.policies.inForce()?.asksScreen === true;
    if (!isAskedFor) {
      this.#listening?.abort();
      this.#listening = null;
      this.#isLocked = null;
      this.#apply();
      return;
    }
    this.#apply();
    if (this.#listening !== null) return;
    const firstWord = new Promise<void>((resolve) => {
      this.#onFirstWord = resolve;
    });
    this.#listen();
    await within(this.#deps.clock, FIRST_WORD_MS, firstWord);
  }

  /** The machine slept. Where logind's word of it did not come in time, the lock comes now. */
  resumed(): void {
    if (!this.#wasToldOfSleep && this.#wishes().locksOnSuspend) this.#lock('suspend');
    this.#wasToldOfSleep = false;
  }

  #listen(): void {
    const { loginSessions, signal, log } = this.#deps;
    const mine = new AbortController();
    this.#listening = mine;
    loginSessions.watch((news) => {
      if (!mine.signal.aborted) this.#take(news);
    }, AbortSignal.any([signal, mine.signal])).catch((cause: unknown) => {
      if (signal.aborted || mine.signal.aborted) return;
      log.error('logind_unheard', {}, cause);
      this.#take({ kind: 'unheard', why: 'internal' });
    });
  }

  #take(news: SessionNews): void {
    if (news.kind === 'sleep') {
      if (this.#wishes().locksOnSuspend) {
        this.#wasToldOfSleep = true;
        this.#lock('suspend');
      }
      return;
    }
    const before = this.#isLocked;
    this.#isLocked = news.kind === 'screen' ? news.isLocked : null;
    this.#apply();
    if (this.#isLocked === true && before !== true && this.#wishes().screenLock === 'lock') this.#lock('screen');
    this.#onFirstWord();
  }

  #apply(): void {
    const { gate, events, log } = this.#deps;
    const before = gate.screen;
    const isAsked = this.#wishes().screenLock !== null;
    gate.screen = !isAsked ? 'not_asked' : this.#isLocked === null ? 'screen_lock_unheard' : this.#isLocked ? 'locked' : 'unlocked';
    if (gate.screen === before) return;
    log.info('screen', { is: gate.screen });
    const was = before === 'locked';
    const is = gate.screen === 'locked';
    if (was === is) return;
    this.#record(is ? 'session_locked' : 'session_unlocked');
    events.emit(is ? 'session_locked' : 'session_unlocked', null, null);
  }

  /** A policy that nobody may decide by lets nothing out anyway. */
  #wishes(): ReturnType<typeof sessionWishes> {
    return sessionWishes(this.#deps.policies.inForce()?.documents ?? { admin: null, user: null });
  }

  #lock(why: 'screen' | 'suspend'): void {
    const { gate, lock, log } = this.#deps;
    if (gate.isLocked) return;
    log.info('locking', { why });
    lock().catch((cause: unknown) => log.error('lock_failed', { code: cause instanceof BrokerError ? cause.code : 'internal' }, cause));
  }

  #record(event: 'session_locked' | 'session_unlocked'): void {
    const { audit, log } = this.#deps;
    audit.append({ event, profile: null, caller: null, request: null, facts: {} }).catch((cause: unknown) => log.error('audit_failed', { event }, cause));
  }
}
