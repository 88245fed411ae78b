/** GET /v1/whoami: what the daemon sees of the process that asks. */
import * as v from 'valibot';

const program = v.object({ executable: v.nullable(v.string()), script: v.nullable(v.string()) });
export const whoamiReply = v.object({
  pid: v.number(),
  uid: v.number(),
  executable: v.nullable(v.string()),
  script: v.nullable(v.string()),
  /** Whom people think of: shells and Valetkey's own programs are looked through. */
  program,
  /** SHA-256 of the program's executable, hex. */
  digest: v.nullable(v.string()),
  class: v.picklist(['human', 'agent', 'workload']),
  class_reason: v.string(),
  agent: v.nullable(v.string()),
  terminal: v.nullable(v.object({ name: v.string(), foreground: v.boolean() })),
  session_leader: v.nullable(v.number()),
  unit: v.nullable(v.string()),
  orphan: v.boolean(),
  container: v.boolean(),
  remote: v.boolean(),
  forwarded: v.boolean(),
  /** The nearest first. */
  lineage: v.array(v.object({ pid: v.number(), name: v.string(), executable: v.nullable(v.string()), script: v.nullable(v.string()) })),
});
export type WhoamiReply = v.InferOutput<typeof whoamiReply>;
