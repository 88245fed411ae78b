/** The wire's profiles, and the table of one as a person writes it in the configuration. */
import * as v from 'valibot';
import { profileName, resource, scopes, seconds, text } from './schema-parts.ts';

export const profileView = v.object({
  name: v.string(),
  issuer: v.string(),
  client_id: v.string(),
  preset: v.string(),
  scopes: v.array(v.string()),
  resource: v.nullable(v.string()),
  flow: v.picklist(['auto', 'pkce', 'device']),
  tier: v.picklist(['low', 'normal', 'high', 'privileged']),
  browser: v.nullable(v.array(v.string())),
  ca_file: v.nullable(v.string()),
  proxy: v.nullable(v.string()),
  /** Where the daemon may use its tokens for programs that do not get them. */
  fetch_origins: v.array(v.string()),
  fetch_methods: v.array(v.string()),
  /** Besides those that every request may carry. */
  fetch_headers: v.array(v.string()),
  confidential: v.boolean(),
  /** Register these, to the letter, at the issuer. `{port}` stands for any port. */
  redirect_uris: v.array(v.string()),
  signed_in: v.boolean(),
  source: v.string(),
});
export type ProfileView = v.InferOutput<typeof profileView>;
export const profilesReply = v.object({ profiles: v.array(profileView) });
export type ProfilesReply = v.InferOutput<typeof profilesReply>;

/** The keys of one `[profiles.NAME]` table, as a person writes them. */
export const profileTable = v.strictObject({
  preset: v.optional(text(32)),
  issuer: v.optional(text(2048)),
  tenant: v.optional(text(256)),
  client_id: v.pipe(text(2048), v.regex(/^[\x20-\x7e]*$/, 'printable ASCII characters (RFC 6749, appendix A.1)')),
  client_auth: v.optional(v.picklist(['none', 'client_secret_basic', 'client_secret_post'])),
  scopes: v.optional(scopes),
  resource: v.optional(resource),
  resource_style: v.optional(v.picklist(['resource', 'audience', 'scope_prefix', 'none'])),
  flow: v.optional(v.picklist(['auto', 'pkce', 'device'])),
  browser: v.optional(v.pipe(v.array(text(4096)), v.minLength(1), v.maxLength(32))),
  ca_file: v.optional(text(4096)),
  proxy: v.optional(text(2048)),
  allow_loopback_http: v.optional(v.boolean()),
  public_hosts_only: v.optional(v.boolean()),
  redirect_ports: v.optional(v.pipe(v.array(v.pipe(v.number(), v.integer(), v.minValue(1024), v.maxValue(65_535))), v.maxLength(16))),
  redirect_path: v.optional(v.pipe(v.string(), v.regex(/^\/[A-Za-z0-9._~/-]{0,128}$/, 'a path of letters, digits and . _ ~ - /'))),
  pkce: v.optional(v.picklist(['listed', 'asserted'])),
  extra_scopes: v.optional(v.picklist(['allow', 'refuse'])),
  default_expires_in_s: v.optional(seconds(86_400)),
  refresh_grace_s: v.optional(seconds(3_600)),
  refresh_at: v.optional(v.pipe(v.number(), v.minValue(0.5), v.maxValue(1))),
  max_token_life_s: v.optional(v.pipe(seconds(86_400), v.minValue(60))),
  keep_alive_s: v.optional(seconds(2_592_000)),
  tier: v.optional(v.picklist(['low', 'normal', 'high', 'privileged'])),
  fetch_origins: v.optional(v.pipe(v.array(text(512)), v.maxLength(16))),
  fetch_methods: v.optional(v.pipe(v.array(v.picklist(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])), v.minLength(1), v.maxLength(6))),
  fetch_headers: v.optional(v.pipe(v.array(v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'a header name in lower case'))), v.maxLength(32))),
  fetch_private: v.optional(v.boolean()),
  device_verification_hosts: v.optional(v.pipe(v.array(text(253)), v.maxLength(16))),
  authorization_endpoint: v.optional(text(2048)),
  token_endpoint: v.optional(text(2048)),
  revocation_endpoint: v.optional(text(2048)),
  device_authorization_endpoint: v.optional(text(2048)),
  authorization_params: v.optional(v.record(text(64), text(1024))),
});
export type ProfileTable = v.InferInput<typeof profileTable>;

export const profileAddRequest = v.strictObject({
  name: profileName,
  profile: profileTable,
  client_secret: v.optional(text(4096)),
  /** Check and show, but write nothing. */
  dry_run: v.optional(v.boolean()),
});
export type ProfileAddRequest = v.InferInput<typeof profileAddRequest>;
export const profileAddReply = v.object({
  profile: profileView,
  /** What discovery found: endpoints by their metadata names; null where the issuer has none. */
  server: v.record(v.string(), v.nullable(v.string())),
  warnings: v.array(v.string()),
  written: v.nullable(v.string()),
});
export type ProfileAddReply = v.InferOutput<typeof profileAddReply>;
