/** GET /v1/whoami: what the daemon sees of the one who asks. It is what rules about callers are written from. */
import type { WhoamiReply } from '../../../shared/whoami-schemas.ts';
import { ttyName } from '../../core/tty.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';

export async function whoami({ callers }: Broker, { caller }: Ask): Promise<WhoamiReply> {
  const { origin, terminal } = caller;
  return {
    pid: caller.pid,
    uid: caller.uid,
    executable: caller.executable,
    script: caller.script,
    program: { ...origin.program },
    digest: await callers.digestOf(caller),
    class: origin.class,
    class_reason: callers.classReason(caller),
    agent: origin.agent,
    terminal: terminal === null ? null : { name: ttyName(terminal.device), foreground: terminal.foreground },
    session_leader: origin.sessionLeader?.pid ?? null,
    unit: origin.unit,
    orphan: origin.isOrphan,
    container: origin.container,
    remote: origin.remote,
    forwarded: origin.forwarded,
    lineage: origin.lineage.map(({ pid, name, executable, script }) => ({ pid, name, executable, script })),
  };
}
