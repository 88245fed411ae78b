/**
 * What keeps every token in: the user's lock, a panic, a locked screen. One object, so that everything that issues
 * looks at the same one. It is shut at once, whatever is under way, and looked at once more before a token leaves.
 */
import type { EpochMs } from '../shared/names.ts';
import type { StatusReply } from '../shared/schemas.ts';
import type { Shut } from './ipc/routes/broker.ts';

export class Gate {
  isLocked = false;
  /** Since when a panic blocks everything; null: none does. */
  lockedOutSince: EpochMs | null = null;
  /** What is known of the screen, where policy asks. */
  screen: StatusReply['screen'] = 'not_asked';

  /** Null: tokens may leave. What takes most to undo is told first. */
  get shut(): Shut | null {
    if (this.lockedOutSince !== null) return 'panic';
    if (this.isLocked) return 'user-lock';
    if (this.screen === 'locked') return 'screen-lock';
    return this.screen === 'screen_lock_unheard' ? 'screen-unheard' : null;
  }
}
