/**
 * Pure transitions of a grant and the rules by which a cached token serves a request.
 *
 * I1  Each saved change raises the generation by one; whoever computed from an older one has lost.
 * I2  A token serves only a request whose resource and acr are its own and whose scopes it holds
 *     (issuer, client, subject, flow and tenant are fixed by the grant that holds it).
 * I3  A parked grant holds no token of any kind; its reason and identity stay.
 */
import type { LoginReason } from '../../shared/errors.ts';
import type { EpochMs, Scope } from '../../shared/names.ts';
import type { AccessToken, Grant, IssuerTraits, Profile } from './domain.ts';
import type { TokenSet } from './ports.ts';

/** What a caller asked for, resolved against profile and grant. */
export type TokenNeed = {
  /** Null: none were named, so those of the sign-in. */
  readonly scopes: readonly Scope[] | null;
  readonly resource: string | null;
  readonly minTtlMs: number;
  readonly acrValues: readonly string[];
  readonly maxAgeS: number | null;
  /** Only a token obtained at or after this time will do; null: any. */
  readonly notBefore: EpochMs | null;
};

/** Cached tokens a grant; more contexts than this are asked for anew. */
const TOKENS_KEPT = 16;

/** Whether `held` holds `asked`, under its own name or one that the issuer uses for it. */
export function holdsScope(held: readonly string[], asked: string, aliases: IssuerTraits['scopeAliases']): boolean {
  return held.includes(asked) || namesOf(asked, aliases).some((alias) => held.includes(alias));
}

/** Own members only: a scope may be called `constructor`. */
function namesOf(scope: string, aliases: IssuerTraits['scopeAliases']): readonly string[] {
  return Object.hasOwn(aliases, scope) ? aliases[scope] ?? [] : [];
}

/** Scopes that were granted beyond what was asked, aliases counted as asked. */
export function scopesBeyond(granted: readonly Scope[], asked: readonly Scope[], aliases: IssuerTraits['scopeAliases']): readonly Scope[] {
  const known = new Set<string>(asked.flatMap((scope) => [scope, ...namesOf(scope, aliases)]));
  return granted.filter((scope) => !known.has(scope));
}

export function missingScopes(grant: Grant, asked: readonly Scope[], aliases: IssuerTraits['scopeAliases']): readonly Scope[] {
  return asked.filter((scope) => !holdsScope(grant.scopes, scope, aliases));
}

/** A token that has just come has its whole life before it: else one of 60 s would never do for who asks for 60. */
const FRESH_MS = 1_000;

export function serves(token: AccessToken, need: TokenNeed, aliases: IssuerTraits['scopeAliases'], now: EpochMs): boolean {
  const age = now - token.obtainedAt;
  const asOf = age >= 0 && age < FRESH_MS ? token.obtainedAt : now;
  return token.resource === need.resource
    && (need.scopes === null ? token.byDefault : need.scopes.every((scope) => holdsScope(token.scopes, scope, aliases)))
    && (need.acrValues.length === 0 || (token.acr !== null && need.acrValues.includes(token.acr)))
    && token.expiresAt - asOf >= need.minTtlMs
    && token.expiresAt > now
    && (need.notBefore === null || token.obtainedAt >= need.notBefore);
}

/** The token that serves the need and lives longest; null where none does. */
export function findToken(grant: Grant, need: TokenNeed, aliases: IssuerTraits['scopeAliases'], now: EpochMs): AccessToken | null {
  if (grant.state.kind !== 'active') return null;
  const good = grant.state.tokens.filter((token) => serves(token, need, aliases, now));
  return good.reduce<AccessToken | null>((best, token) => (best === null || token.expiresAt > best.expiresAt ? token : best), null);
}

export type Accepted =
  | { readonly kind: 'token'; readonly token: AccessToken }
  /** The answer breaks a rule of TK-09: its access token is thrown away. */
  | { readonly kind: 'discard'; readonly why: string; readonly hint: string | null };

export type Asked = {
  /** Scopes that were sent, or those of the grant where none were. */
  readonly scopes: readonly Scope[];
  readonly byDefault: boolean;
  readonly resource: string | null;
  readonly acr: string | null;
};

/** Judges a token response against what was asked (TK-09). */
export function acceptToken(set: TokenSet, asked: Asked, profile: Profile, now: EpochMs): Accepted {
  const { traits } = profile;
  if (set.withheld !== null) return { kind: 'discard', why: set.withheld, hint: null };
  // RFC 6749, section 5.1: expires_in is only RECOMMENDED; without a default of the preset its life is unknown.
  const lifeS = set.expiresInS ?? traits.defaultExpiresInS;
  if (lifeS === null) return { kind: 'discard', why: 'it does not say how long the token lives (expires_in), and the profile sets no default_expires_in_s', hint: `Set default_expires_in_s in profile ${profile.name}` };
  // RFC 6749, section 5.1: scope is OPTIONAL where identical to what was asked.
  const granted = set.scope ?? asked.scopes;
  const beyond = scopesBeyond(granted, asked.scopes, traits.scopeAliases);
  if (beyond.length > 0 && traits.extraScopes === 'refuse') {
    return {
      kind: 'discard', why: `it grants scopes that were not asked for: ${beyond.join(' ')}`,
      hint: `Add them to the scopes of profile ${profile.name}, or set extra_scopes = "allow" there`,
    };
  }
  return {
    kind: 'token',
    token: {
      value: set.accessToken, tokenType: set.tokenType, scopes: granted, beyond, byDefault: asked.byDefault,
      resource: asked.resource, acr: asked.acr, obtainedAt: now,
      expiresAt: (now + lifeS * 1000) as EpochMs,
    },
  };
}

/** Adds a token, dropping expired ones and the one of the same context that it replaces. */
export function withToken(tokens: readonly AccessToken[], token: AccessToken, now: EpochMs): readonly AccessToken[] {
  const context = (t: AccessToken): string => JSON.stringify([t.resource, t.acr, t.byDefault, [...t.scopes].sort()]);
  const mine = context(token);
  return [token, ...tokens.filter((t) => t.expiresAt > now && context(t) !== mine)].slice(0, TOKENS_KEPT);
}

/**
 * The next generation after a refresh. `token` is null where the access token was discarded.
 * @param keepsOthers - earlier access tokens live on: most servers that rotate end them with the refresh
 */
export function refreshed(grant: Grant, set: TokenSet, token: AccessToken | null, keepsOthers: boolean, now: EpochMs): Grant {
  if (grant.state.kind !== 'active') throw new Error('only an active grant can be refreshed');
  const before = grant.state.refreshToken;
  const rotated = set.refreshToken !== null && (before === null || !before.sameAs(set.refreshToken));
  const others = rotated && !keepsOthers ? [] : grant.state.tokens;
  return {
    ...grant,
    generation: grant.generation + 1,
    refreshedAt: now,
    // Once seen to rotate, always held to rotate: some issuers rotate only now and then.
    rotates: grant.rotates === true || rotated,
    identity: set.identity === null ? grant.identity : { ...set.identity, authTime: set.identity.authTime ?? grant.identity?.authTime ?? null },
    state: {
      kind: 'active',
      // RFC 6749, section 6: without a new refresh token the old one stays valid.
      refreshToken: set.refreshToken ?? before,
      tokens: token === null ? others : withToken(others, token, now),
    },
  };
}

/** I3: the tokens are gone, the reason and the identity stay. */
export function parked(grant: Grant, reason: LoginReason, now: EpochMs): Grant {
  return { ...grant, generation: grant.generation + 1, state: { kind: 'parked', reason, at: now } };
}
