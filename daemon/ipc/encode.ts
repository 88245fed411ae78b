/**
 * From the domain to the wire. The only place that turns a Secret into bytes for a caller, and the only
 * secret that it knows of is an access token: nothing here takes a grant's refresh token.
 */
import type { EpochMs, ProfileName, Scope } from '../../shared/names.ts';
import type { ProfileView } from '../../shared/profile-schemas.ts';
import type { GrantView, LogoutReply, TokenReply } from '../../shared/schemas.ts';
import type { WorkloadTokenReply } from '../../shared/workload-schemas.ts';
import type { AccessToken, Grant, Profile } from '../core/domain.ts';
import { expiryAsOf } from '../core/grant.ts';
import { Unprinted } from '../core/secret.ts';
import type { Instant } from '../core/time.ts';
import type { Revoked } from '../tokens/revocations.ts';
import type { SessionEnds } from '../tokens/session.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);
const secondsOrNull = (ms: number | null): number | null => (ms === null ? null : seconds(ms));
const joined = (scopes: readonly Scope[]): string => scopes.join(' ');

/** A reply that is text already, and a secret: it can be printed no more than the token in it. */
export class Encoded extends Unprinted {
  readonly #json: string;

  constructor(json: string) {
    super();
    this.#json = json;
  }

  static textOf(encoded: Encoded): string {
    return encoded.#json;
  }
}

/** A reply that is no JSON: over HTTP as it is, and in a frame, whose data is an object, as its member `text`. */
export class PlainText {
  readonly type: string;
  readonly text: string;

  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }
}

/** Whatever a handler returned, as JSON. */
export function encodeReply(reply: unknown): string {
  if (reply instanceof PlainText) return JSON.stringify({ text: reply.text });
  return reply instanceof Encoded ? Encoded.textOf(reply) : JSON.stringify(reply);
}

/** One token's replies: they live no longer than it does. */
type Replies = { readonly profile: string; readonly byRule: Map<string, Partial<Record<TokenReply['source'], Encoded>>> };
const replies = new WeakMap<AccessToken, Replies>();

/** The same token is asked for again and again; its reply changes no more than it does. */
export function encodeToken(profile: Profile, token: AccessToken, source: TokenReply['source'], rule: string, at: Instant): Encoded {
  const expiresAt = expiryAsOf(token, at);
  // After the clock was set the end has another name, until the next token comes.
  if (expiresAt !== token.expiresAt) return new Encoded(JSON.stringify(tokenReply(profile, token, source, rule, expiresAt)));
  let known = replies.get(token);
  if (known === undefined || known.profile !== profile.name) {
    known = { profile: profile.name, byRule: new Map() };
    replies.set(token, known);
  }
  let bySource = known.byRule.get(rule);
  if (bySource === undefined) {
    bySource = {};
    known.byRule.set(rule, bySource);
  }
  return (bySource[source] ??= new Encoded(JSON.stringify(tokenReply(profile, token, source, rule, expiresAt))));
}

/** With how the person signed in for it; rarely asked for, so never kept. */
export function encodeProvenToken(profile: Profile, token: AccessToken, source: TokenReply['source'], rule: string, at: Instant): Encoded {
  return new Encoded(JSON.stringify({ ...tokenReply(profile, token, source, rule, expiryAsOf(token, at)), acr: token.acr, auth_time: token.authTime }));
}

function tokenReply(profile: Profile, token: AccessToken, source: TokenReply['source'], rule: string, expiresAt: EpochMs): TokenReply {
  return {
    profile: profile.name,
    access_token: token.value.reveal(),
    token_type: token.tokenType,
    expires_at: seconds(expiresAt),
    scope: joined(token.scopes),
    resource: token.resource,
    source,
    granted_beyond: [...token.beyond],
    rule,
  };
}

export function encodeWorkloadToken(profile: ProfileName, token: AccessToken, source: WorkloadTokenReply['source'], rule: string, at: Instant): Encoded {
  const reply: WorkloadTokenReply = {
    profile, access_token: token.value.reveal(), token_type: token.tokenType, expires_at: seconds(expiryAsOf(token, at)),
    scope: joined(token.scopes), resource: token.resource, source, granted_beyond: [...token.beyond], rule,
  };
  return new Encoded(JSON.stringify(reply));
}

export function encodeGrant(grant: Grant, ends: SessionEnds): GrantView {
  const { identity, state } = grant;
  const active = state.kind === 'active' ? state : null;
  const isOver = active !== null && ends.isOver;
  return {
    profile: grant.profile,
    issuer: grant.issuer,
    client_id: grant.clientId,
    state: active === null || isOver ? 'login_required' : 'active',
    reason: state.kind === 'parked' ? state.reason : isOver ? 'session_limit' : null,
    subject: identity === null ? null : { sub: identity.sub, name: identity.name, email: identity.email },
    claims: identity === null ? {} : { auth_time: identity.authTime, acr: identity.acr, amr: identity.amr, tenant: identity.tenant },
    flow: grant.flow,
    scopes: [...grant.scopes],
    resource: grant.resource,
    generation: grant.generation,
    refreshable: active !== null && active.refreshToken !== null,
    signed_in_at: seconds(grant.signedInAt),
    refreshed_at: secondsOrNull(grant.refreshedAt),
    refresh_token_expires_at: secondsOrNull(grant.refreshTokenExpiresAt),
    authorization_expires_at: secondsOrNull(grant.authorizationExpiresAt),
    session_ends_at: active === null ? null : secondsOrNull(ends.session),
    idle_ends_at: active === null ? null : secondsOrNull(ends.idle),
    tokens: (active?.tokens ?? []).map((t) => ({ scope: joined(t.scopes), resource: t.resource, expires_at: seconds(t.expiresAt) })),
  };
}

export function encodeRevoked(revoked: readonly Revoked[]): LogoutReply['revoked'] {
  return revoked.map(({ token, outcome, until }) => ({ token, outcome, until: until === null ? null : seconds(until) }));
}

export function encodeProfile(profile: Profile, redirectUris: readonly string[], signedIn: boolean, source: string): ProfileView {
  return {
    name: profile.name,
    issuer: profile.issuer,
    client_id: profile.clientId,
    preset: profile.preset,
    scopes: [...profile.scopes],
    resource: profile.resource,
    flow: profile.flow,
    tier: profile.tier,
    browser: profile.browser === null ? null : [...profile.browser],
    ca_file: profile.caFile,
    proxy: profile.proxy,
    fetch_origins: [...profile.fetch.origins],
    fetch_methods: [...profile.fetch.methods],
    fetch_headers: [...profile.fetch.headers],
    confidential: profile.clientAuth !== 'none',
    redirect_uris: [...redirectUris],
    signed_in: signedIn,
    source,
  };
}
