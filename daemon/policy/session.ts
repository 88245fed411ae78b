/** What both files ask of the desktop, together: each can only ask for more. */
import type { PolicyDocuments, SessionDemand } from '../core/policy-rules.ts';

const STRICTNESS: readonly SessionDemand['screenLock'][] = [null, 'hold', 'lock'];

export function sessionWishes({ admin, user }: PolicyDocuments): SessionDemand {
  const asked = [admin, user].flatMap((document) => (document === null ? [] : [document.session]));
  return {
    screenLock: STRICTNESS[Math.max(0, ...asked.map(({ screenLock }) => STRICTNESS.indexOf(screenLock)))] ?? null,
    locksOnSuspend: asked.some(({ locksOnSuspend }) => locksOnSuspend),
  };
}
