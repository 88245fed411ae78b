/**
 * Whose programs the tests count as, by the same look that the daemon takes: scripts/as-person.mjs starts them so that
 * they are those of a person at a terminal, where that can be done.
 */
import { createCallers } from '../../daemon/callers/callers.ts';
import type { Caller } from '../../daemon/core/domain.ts';

type Look = { readonly caller: Caller; readonly why: string };

async function lookAtOurselves(): Promise<Look | null> {
  const callers = createCallers({ loginctl: async () => null, ownCli: [] });
  try {
    const caller = await callers.attest({ uid: process.getuid?.() ?? -1, pid: process.pid }, null);
    return caller === null ? null : { caller, why: callers.classReason(caller) };
  } finally {
    callers.close();
  }
}

/** Null: a person's; else why not. */
export async function whyNobody(): Promise<string | null> {
  const look = await lookAtOurselves();
  if (look === null) return 'who runs them cannot be seen';
  return look.caller.origin.class === 'human' ? null : look.why;
}

/** Whether who started the tests has ended: then all that they start counts as left behind, at whatever terminal. */
export async function isLeftBehind(): Promise<boolean> {
  return (await lookAtOurselves())?.caller.origin.isOrphan !== false;
}
