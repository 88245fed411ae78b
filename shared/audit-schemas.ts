/** The bodies of GET /v1/audit and POST /v1/audit/trace. Records are not among them: the log is a file of this user. */
import * as v from 'valibot';
import { epoch, text } from './schema-parts.ts';

const chainHead = v.object({ seq: v.number(), hash: v.string() });

export const auditReply = v.object({
  file: v.string(),
  /** The last record that is in the file. */
  head: chainHead,
  /** The last record that was signed in this run of the daemon. */
  signed: v.nullable(chainHead),
  /** Null while the vault is not open. */
  key: v.nullable(v.object({
    kid: v.string(),
    /** The public key, as in RFC 8037. */
    x: v.string(),
    lasting: v.boolean(),
    /** The last signed record that the vault remembers. */
    remembered: v.nullable(chainHead),
  })),
  trouble: v.nullable(v.string()),
  detections: v.array(v.object({ at: epoch, detector: v.string(), profile: v.nullable(v.string()), what: v.string() })),
});
export type AuditReply = v.InferOutput<typeof auditReply>;

/** An access or refresh token that was found somewhere. */
export const traceRequest = v.strictObject({ token: v.pipe(text(16_384), v.minLength(8)) });

export const traceReply = v.object({
  /** As in `facts.token` of the records. */
  fingerprint: v.string(),
  /** The key that it was made with; another one made those before it. */
  kid: v.string(),
  /** False: the vault is in memory, and records of earlier runs cannot be found by a token. */
  lasting: v.boolean(),
});
export type TraceReply = v.InferOutput<typeof traceReply>;
