/**
 * Tells the person at the desktop what they have to act on. A notification only tells: it has no button and is no
 * answer. One of a kind and profile in ten minutes, and few at all, whatever happens; none where nobody could see it
 * (no desktop, a locked screen), and then it does not count. It names the profile and our own words, nothing else.
 */
import type { BrokerEvent } from '../../shared/schemas.ts';
import type { Clock, Desktop, Log } from '../core/ports.ts';
import { Lately } from './lately.ts';

export type NotificationsDeps = {
  readonly desktop: Pick<Desktop, 'find' | 'tell'>;
  readonly clock: Clock;
  readonly log: Log;
  /** The person wants them. */
  readonly isWanted: () => boolean;
  /** As far as policy had anybody look. */
  readonly isScreenLocked: () => boolean;
  readonly signal: AbortSignal;
};

const SAME_MS = 600_000;
/** Of all kinds and profiles, in ten minutes: who has forty profiles is not told forty times that an issuer ended them. */
const ALL_MAX = 5;
/** Until it is looked again whether somebody could see it by now. */
const UNSEEN_MS = 30_000;
/** As long as the desktop shows one. */
const SHOWN_MS = 300_000;

type Notice = { readonly kind: string; readonly title: string; readonly body: string };

export class Notifications {
  readonly #deps: NotificationsDeps;
  readonly #told: Lately;
  readonly #shown = new Map<string, AbortController>();

  constructor(deps: NotificationsDeps) {
    this.#deps = deps;
    this.#told = new Lately(deps.clock, SAME_MS);
  }

  take(event: BrokerEvent): void {
    // What it was about is done.
    if (event.event === 'login_finished' && event.detail === 'complete') for (const kind of ['sign-in', 'ending']) this.#end(keyOf(kind, event.profile));
    const notice = noticeOf(event);
    if (notice === null || !this.#deps.isWanted() || this.#deps.isScreenLocked() || this.#deps.signal.aborted) return;
    const key = keyOf(notice.kind, event.profile);
    if (this.#told.has(key) || this.#told.size >= ALL_MAX) return;
    this.#told.note(key);
    void this.#tell(key, notice).catch((cause: unknown) => this.#deps.log.error('notification_failed', { kind: notice.kind }, cause));
  }

  async #tell(key: string, { kind, title, body }: Notice): Promise<void> {
    const { desktop, clock, log, signal } = this.#deps;
    const seat = await desktop.find();
    if (typeof seat === 'string') {
      this.#told.note(key, SAME_MS - UNSEEN_MS);
      return log.debug('notification_not_shown', { kind, why: seat });
    }
    if (signal.aborted) return undefined;
    const end = new AbortController();
    this.#end(key);
    this.#shown.set(key, end);
    const stop = (): void => end.abort();
    signal.addEventListener('abort', stop, { once: true });
    await desktop.tell(title, body, end.signal);
    await clock.sleep(SHOWN_MS, end.signal).catch(() => undefined); // taken back before
    signal.removeEventListener('abort', stop);
    if (this.#shown.get(key) === end) this.#shown.delete(key);
    return undefined;
  }

  /** Takes it off the screen. */
  #end(key: string): void {
    this.#shown.get(key)?.abort();
    this.#shown.delete(key);
  }
}

function keyOf(kind: string, profile: string | null): string {
  return `${kind} ${profile ?? ''}`;
}

/** Null: nobody has to do anything. */
function noticeOf({ event, profile, detail }: BrokerEvent): Notice | null {
  const run = `Run in a terminal: valetkey login ${profile ?? ''}`.trimEnd();
  switch (event) {
    // Two sides of one thing: it ended, and somebody wants it.
    case 'login_needed':
      return { kind: 'sign-in', title: `Valetkey: sign in to ${profile ?? ''}`, body: `A program waits for it. ${run}` };
    case 'grant_parked':
      return { kind: 'sign-in', title: `Valetkey: the sign-in to ${profile ?? ''} is over`, body: `It ended by itself. ${run}` };
    case 'session_ending':
      return { kind: 'ending', title: `Valetkey: the sign-in to ${profile ?? ''} ends soon`, body: `${detail === null ? '' : `In ${detail}. `}${run}` };
    case 'detected':
      return { kind: 'detected', title: 'Valetkey: something unusual', body: `${detail?.split(':')[0] ?? 'A detector'}${profile === null ? '' : `, of ${profile}`}. Run in a terminal: valetkey audit search --event detected` };
    default:
      return null;
  }
}
