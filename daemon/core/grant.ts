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
import type { AccessToken, Grant, Identity, IssuerTraits, Profile } from './domain.ts';
import type { TokenFlow } from './policy-rules.ts';
import type { TokenSet } from './ports.ts';
import { spanFrom } from './time.ts';
import type { Instant } from './time.ts';

/** What a caller asked for, resolved against profile and grant. */
export type TokenNeed = {
  /** Null: none were named, so those of the sign-in. */
  readonly scopes: readonly Scope[] | null;
  readonly resource: string | null;
  readonly minTtlMs: number;
  readonly acrValues: readonly string[];
  readonly maxAgeS: number | null;
  /** Only a token obtained at or after this moment of the clock since boot will do; null: any. */
  readonly notBeforeMs: number | null;
  /** What policy leaves of it; null: no rule sets a limit. */
  readonly bounds: TokenBounds | null;
};

/** The limits of the rules that decided. */
export type TokenBounds = {
  /** Which rule, for people. */
  readonly rule: string;
  /** Tells bounds apart that let different tokens through. */
  readonly key: string;
  /** The scopes that are too many; null: none can be. */
  readonly beyond: ((scopes: readonly Scope[]) => readonly Scope[]) | null;
  readonly maxTokenLifeS: number | null;
  readonly maxRemainingS: number | null;
  readonly flows: readonly TokenFlow[] | null;
  readonly maxAgeS: number | null;
  /** Methods of the sign-in: of each list one has to be there. */
  readonly amr: readonly (readonly string[])[];
  readonly maxSessionS: number | null;
  readonly maxIdleS: number | null;
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

/** What is left of a token's life by the clock that says less (TK-07); 0 or less: it is over. */
export function remainingMs(token: AccessToken, at: Instant): number {
  const byWall = token.expiresAt - at.now;
  if (token.life?.bootId === at.bootId) return Math.min(byWall, token.life.untilMs - at.boottimeMs);
  // Of an earlier boot: only the time of day is left, and one that is before the token's own birth tells nothing.
  return at.now < token.obtainedAt ? 0 : byWall;
}

/** Whether both clocks say that the token is over: what still lives by either has to be revoked. */
export function isSurelyOver(token: AccessToken, at: Instant): boolean {
  return token.expiresAt <= at.now && (token.life?.bootId !== at.bootId || token.life.untilMs <= at.boottimeMs);
}

/** A clock that was set by less than this is being corrected, not moved. */
const JUMP_MS = 2_000;

/** When the token ends by the time of day as it is now: whoever gets it goes by that clock, also after it was set back. */
export function expiryAsOf(token: AccessToken, at: Instant): EpochMs {
  const end = at.now + remainingMs(token, at);
  return Math.abs(end - token.expiresAt) < JUMP_MS ? token.expiresAt : (end as EpochMs);
}

/** What callers are told is whole seconds: they must not get a token that is over by what they are told. */
function endsAtSecond(token: AccessToken, at: Instant): number {
  return Math.floor(expiryAsOf(token, at) / 1000) * 1000;
}

/** The moment at which it came. */
function birthOf(token: AccessToken): Instant {
  return { now: token.obtainedAt, boottimeMs: token.life?.fromMs ?? 0, bootId: token.life?.bootId ?? '' };
}

function isFresh({ life }: AccessToken, at: Instant): boolean {
  return life?.bootId === at.bootId && at.boottimeMs - life.fromMs < FRESH_MS;
}

/** As of the moment at which it came: what was fetched for a need does not fail it because saving took a while. */
export function servedAtBirth(token: AccessToken, need: TokenNeed, aliases: IssuerTraits['scopeAliases']): boolean {
  return serves(token, { ...need, notBeforeMs: null }, aliases, birthOf(token));
}

export function serves(token: AccessToken, need: TokenNeed, aliases: IssuerTraits['scopeAliases'], at: Instant): boolean {
  const left = remainingMs(token, at);
  return token.resource === need.resource
    && (need.bounds === null || need.bounds.beyond === null || need.bounds.beyond(token.scopes).length === 0)
    && (need.scopes === null ? token.byDefault : need.scopes.every((scope) => holdsScope(token.scopes, scope, aliases)))
    && (need.acrValues.length === 0 || (token.acr !== null && need.acrValues.includes(token.acr)))
    && left > 0
    && endsAtSecond(token, at) > at.now
    && (left >= need.minTtlMs || (isFresh(token, at) && remainingMs(token, birthOf(token)) >= need.minTtlMs))
    && (need.notBeforeMs === null || (token.life?.bootId === at.bootId && token.life.fromMs >= need.notBeforeMs));
}

/** The ordinary token that serves the need and lives longest; null where none does. */
export function findToken(grant: Grant, need: TokenNeed, aliases: IssuerTraits['scopeAliases'], at: Instant): AccessToken | null {
  if (grant.state.kind !== 'active') return null;
  let best: AccessToken | null = null;
  for (const token of grant.state.tokens) {
    if (!token.isStepUp && serves(token, need, aliases, at) && (best === null || remainingMs(token, at) > remainingMs(best, at))) best = token;
  }
  return best;
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
  readonly isStepUp: boolean;
  readonly proof: Proof;
};

/** What the ID token says of how the person signed in. */
export type Proof = Pick<Identity, 'acr' | 'amr' | 'authTime'>;

export const NO_PROOF: Proof = { acr: null, amr: [], authTime: null };

/** Nothing of it where the issuer gave no ID token. */
export function proofOf(identity: Identity | null): Proof {
  if (identity === null) return NO_PROOF;
  const { acr, amr, authTime } = identity;
  return { acr, amr, authTime };
}

/** ID-04: of each list one has to be there. The lists hold known values only, so that unknown ones satisfy nothing. */
export function hasMethods({ amr }: Proof, lists: readonly (readonly string[])[]): boolean {
  return lists.every((list) => amr.some((method) => list.includes(method)));
}

/** Judges a token response against what was asked (TK-09). */
export function acceptToken(set: TokenSet, asked: Asked, profile: Pick<Profile, 'name' | 'traits'>, at: Instant): Accepted {
  const { traits } = profile;
  if (set.withheld !== null) return { kind: 'discard', why: set.withheld, hint: null };
  // RFC 6749, section 5.1: expires_in is only RECOMMENDED; without a default of the preset its life is unknown.
  const lifeS = set.expiresInS ?? traits.defaultExpiresInS;
  if (lifeS === null) return { kind: 'discard', why: 'it does not say how long the token lives (expires_in), and the profile sets no default_expires_in_s', hint: `Set default_expires_in_s in profile ${profile.name}` };
  // It would serve nobody, and each who asks would refresh again.
  if (lifeS < 1) return { kind: 'discard', why: 'it says that the token is over already (expires_in 0)', hint: null };
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
      resource: asked.resource, ...asked.proof, isStepUp: asked.isStepUp, obtainedAt: at.now,
      expiresAt: (at.now + lifeS * 1000) as EpochMs, life: spanFrom(at, lifeS * 1000),
    },
  };
}

/** Adds a token, dropping expired ones and the one of the same context that it replaces. */
export function withToken(tokens: readonly AccessToken[], token: AccessToken, at: Instant): readonly AccessToken[] {
  const context = (t: AccessToken): string => JSON.stringify([t.resource, t.acr, t.byDefault, t.isStepUp, [...t.scopes].sort()]);
  const mine = context(token);
  return [token, ...tokens.filter((t) => remainingMs(t, at) > 0 && context(t) !== mine)].slice(0, TOKENS_KEPT);
}

/**
 * The next generation after a refresh. `token` is null where the access token was discarded.
 * @param keepsOthers - earlier access tokens live on: most servers that rotate end them with the refresh
 */
export function refreshed(grant: Grant, set: TokenSet, token: AccessToken | null, keepsOthers: boolean, at: Instant): Grant {
  if (grant.state.kind !== 'active') throw new Error('only an active grant can be refreshed');
  const before = grant.state.refreshToken;
  const rotated = set.refreshToken !== null && (before === null || !before.sameAs(set.refreshToken));
  // Those of a step-up came of a sign-in of their own.
  const others = rotated && !keepsOthers ? grant.state.tokens.filter(({ isStepUp }) => isStepUp) : grant.state.tokens;
  return {
    ...grant,
    generation: grant.generation + 1,
    refreshedAt: at.now,
    ...endsSaid(set, at, grant),
    // Once seen to rotate, always held to rotate: some issuers rotate only now and then.
    rotates: grant.rotates === true || rotated,
    // OIDC Core, section 12.2: auth_time is that of the sign-in, whatever a later ID token says.
    identity: set.identity === null ? grant.identity : { ...set.identity, authTime: grant.identity?.authTime ?? set.identity.authTime },
    state: {
      kind: 'active',
      // RFC 6749, section 6: without a new refresh token the old one stays valid.
      refreshToken: set.refreshToken ?? before,
      tokens: token === null ? others : withToken(others, token, at),
    },
  };
}

/**
 * When the sign-in ends by itself, as far as the answer says (draft-ietf-oauth-refresh-token-expiration, TK-10).
 * An idle limit starts anew with each answer; the end of the authorization stands until another one is named.
 */
export function endsSaid(set: TokenSet, at: Instant, before: Pick<Grant, 'authorizationExpiresAt'> | null): Pick<Grant, 'refreshTokenExpiresAt' | 'authorizationExpiresAt'> {
  const end = (seconds: number | null): EpochMs | null => (seconds === null ? null : ((at.now + seconds * 1000) as EpochMs));
  return { refreshTokenExpiresAt: end(set.refreshTokenExpiresInS), authorizationExpiresAt: end(set.authorizationExpiresInS) ?? before?.authorizationExpiresAt ?? null };
}

/** I3: the tokens are gone, the reason and the identity stay. */
export function parked(grant: Grant, reason: LoginReason, now: EpochMs): Grant {
  return { ...grant, generation: grant.generation + 1, state: { kind: 'parked', reason, at: now } };
}
