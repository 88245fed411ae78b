/**
 * Scopes and the one resource of a request in the issuer's own style (RFC 8707, or what came before it), and
 * granted scopes back in the names that were asked for.
 */
import { parseScopes } from '../../shared/names.ts';
import type { Scope } from '../../shared/names.ts';
import type { AuthorizationServer, Profile } from '../core/domain.ts';
import type { Want } from '../core/ports.ts';

/** What of a profile, or a workload, decides how it asks. */
export type Asking = Pick<Profile, 'scopes' | 'resource' | 'traits'>;

/** Never of a resource, whatever the style. */
const OPENID_SCOPES = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'];

/** `resource` or `audience`: on every request that leads to a token. */
export function resourceParams({ traits }: Asking, { resource }: Want): Readonly<Record<string, string>> {
  if (resource === null) return {};
  if (traits.resourceStyle === 'resource') return { resource };
  return traits.resourceStyle === 'audience' ? { audience: resource } : {};
}

/** Scopes of a sign-in, with the one that brings a refresh token where the server knows it. */
export function signInScopes(profile: Profile, server: AuthorizationServer, want: Want, wantsOffline = true): Readonly<Record<string, string>> {
  const { offlineScope } = profile.traits;
  const isOffered = wantsOffline && offlineScope !== null && (server.scopesSupported?.includes(offlineScope) ?? true);
  const scopes = namedForResource(profile, want);
  return scopeParam(isOffered ? [...scopes, offlineScope] : scopes);
}

/** Scopes of a refresh: none were named means as at the sign-in, which is said by leaving them out (RFC 6749, section 6). */
export function refreshScopes(profile: Profile, want: Want): Readonly<Record<string, string>> {
  const isAsBefore = want.scopes.length === 0 && want.resource === profile.resource;
  return isAsBefore ? {} : scopeParam(namedForResource(profile, want));
}

/** Scopes of a client that asks in its own name: there is no sign-in whose scopes it could mean by naming none. */
export function clientScopes(profile: Asking, want: Want): Readonly<Record<string, string>> {
  return scopeParam(namedForResource(profile, want));
}

/** What the server granted, in the names that were asked for. Null: it did not say. */
export function grantedScopes(profile: Asking, want: Want, said: string | null): readonly Scope[] | null {
  if (said === null) return null;
  // GitHub separates by commas. A comma may be part of a scope (RFC 6749, section 3.3), but of none that was asked for.
  const hasCommas = [...want.scopes, ...profile.scopes].some((scope) => scope.includes(','));
  const words = hasCommas ? said : said.replaceAll(',', ' ');
  const prefix = prefixOf(profile, want);
  return parseScopes(words.split(' ').map((word) => (prefix !== null && word.startsWith(prefix) ? word.slice(prefix.length) : word)).join(' '));
}

function namedForResource(profile: Asking, want: Want): readonly string[] {
  const prefix = prefixOf(profile, want);
  if (prefix === null) return want.scopes;
  const named = want.scopes.map((scope) => (isOfResource(scope) ? `${prefix}${scope}` : scope));
  // Entra ID: what was consented to for this resource.
  return want.scopes.some((scope) => isOfResource(scope) || scope.startsWith(prefix)) ? named : [...named, `${prefix}.default`];
}

function prefixOf({ traits }: Asking, { resource }: Want): string | null {
  return traits.resourceStyle === 'scope_prefix' && resource !== null ? `${resource}/` : null;
}

function isOfResource(scope: string): boolean {
  return !OPENID_SCOPES.includes(scope) && !scope.includes('://');
}

function scopeParam(scopes: readonly string[]): Readonly<Record<string, string>> {
  return scopes.length === 0 ? {} : { scope: [...new Set(scopes)].join(' ') };
}
