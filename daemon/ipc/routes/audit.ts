/**
 * What only the daemon knows of the audit log: its end in memory, the vault's word, and the name of a token. Records
 * themselves are read from the file by whoever may read it, so that a long search stands in nobody's way here.
 */
import type * as v from 'valibot';
import type { AuditReply, TraceReply, traceRequest } from '../../../shared/audit-schemas.ts';
import { Secret } from '../../core/secret.ts';
import type { Ask } from '../dispatch.ts';
import type { Broker } from './broker.ts';

export function audit(broker: Broker): AuditReply {
  const { file, head, signed, key, detections } = broker.audit.state();
  return {
    file, head, signed,
    key: key === null ? null : { kid: key.kid, x: key.publicKey.x, lasting: key.isLasting, remembered: key.last },
    trouble: broker.audit.trouble(),
    detections: detections.map(({ at, detector, profile, what }) => ({ at: Math.floor(at / 1000), detector, profile, what })),
  };
}

/** The token is named and forgotten; it is neither recorded nor logged (AL-02, AL-03). */
export async function trace(broker: Broker, ask: Ask): Promise<TraceReply> {
  const { token } = ask.body as v.InferOutput<typeof traceRequest>; // parsed by this method's schema
  await broker.lifecycle.ensureOpen();
  const keys = await broker.vault.auditKeys();
  return { fingerprint: keys.fingerprint(new Secret(token)), kid: keys.kid, lasting: keys.isLasting };
}
