/**
 * Whether who started the tests has ended: then all that they start counts as left behind, and nothing of it runs in
 * a login session, at whatever terminal.
 */
import { createCallers } from '../../daemon/callers/callers.ts';

export async function isLeftBehind(): Promise<boolean> {
  const callers = createCallers({ loginctl: async () => null, ownCli: [] });
  try {
    return (await callers.attest({ uid: process.getuid?.() ?? -1, pid: process.pid }, null))?.origin.isOrphan !== false;
  } finally {
    callers.close();
  }
}
