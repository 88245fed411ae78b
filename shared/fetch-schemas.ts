/** POST /v1/fetch: a request to an API, which the daemon sends with the profile's token and without giving it away. */
import * as v from 'valibot';
import { claimed, profileName, resource, scopes, seconds, text } from './schema-parts.ts';

export const FETCH_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

export const fetchRequest = v.strictObject({
  profile: v.optional(profileName),
  url: text(8192),
  /** Default GET. */
  method: v.optional(v.picklist(FETCH_METHODS)),
  headers: v.optional(v.record(text(64), text(4096))),
  /** Text; the whole request has to stay under 64 KiB. */
  body: v.optional(text(65_536)),
  /** The same in base64, for what is no text. */
  body_base64: v.optional(v.pipe(v.string(), v.maxLength(65_536), v.base64('base64 with its padding (RFC 4648, section 4)'))),
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  min_ttl_s: v.optional(seconds(86_400)),
  /** How long the token is waited for; default 30. */
  wait_s: v.optional(seconds(300)),
  /** How long the whole answer may take; default 60. */
  timeout_s: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(300))),
  /** How large its body may be; default 32 MiB. */
  max_bytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_073_741_824))),
  claimed: v.optional(claimed),
});
export type FetchRequest = v.InferInput<typeof fetchRequest>;
