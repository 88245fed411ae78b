/** POST /v1/resources: what a server behind OAuth says of itself (RFC 9728), and a client for it at its issuer (RFC 7591). */
import * as v from 'valibot';
import { profileName, resource, scopes, text } from './schema-parts.ts';

export const resourceRequest = v.strictObject({
  /** The profile that is to be written. */
  name: profileName,
  url: text(2048),
  /** What the server calls itself, where that is more than the URL; default: the URL. */
  resource: v.optional(resource),
  /** Of several that the server names, the one to sign in at. */
  issuer: v.optional(text(2048)),
  /** The URL of a document that describes the client, and is its id; looked at. */
  client_id_metadata: v.optional(text(2048)),
  /** Register a client there. */
  register: v.optional(v.boolean()),
  /** In the place of those that the server names. */
  scopes: v.optional(scopes),
  ca_file: v.optional(text(4096)),
  proxy: v.optional(text(2048)),
  allow_loopback_http: v.optional(v.boolean()),
});
export type ResourceRequest = v.InferInput<typeof resourceRequest>;

export const resourceReply = v.object({
  resource: v.string(),
  /** Where it was read. */
  metadata: v.string(),
  authorization_servers: v.array(v.string()),
  /** The one to sign in at; null: there are several, and none was named. What follows is of it. */
  issuer: v.nullable(v.string()),
  scopes: v.array(v.string()),
  scopes_from: v.picklist(['request', 'challenge', 'metadata', 'nobody']),
  /** Ways by which it takes clients that it does not know. */
  takes: v.array(v.picklist(['registration', 'metadata_document'])),
  /** Of the client that was registered, or of its document. */
  client_id: v.nullable(v.string()),
  redirect_path: v.nullable(v.string()),
  /** Its addresses are looked at, at each connection. */
  public_hosts_only: v.boolean(),
});
export type ResourceReply = v.InferOutput<typeof resourceReply>;
