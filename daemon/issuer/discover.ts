/**
 * Authorization server metadata (RFC 8414, OIDC Discovery), taken only if its `issuer` is the configured one
 * to the letter, it lists S256, and every endpoint may be used. What comes out is pinned for the sign-in.
 */
import { None, customFetch, allowInsecureRequests, discovery } from 'openid-client';
import type { AuthorizationServer } from '../core/domain.ts';
import type { Discoverable, Rejected, ServerOutcome } from '../core/ports.ts';
import { cleanText } from '../core/text.ts';
import { refusedUrl } from './address.ts';
import { openExchange } from './exchange.ts';
import type { WireDeps } from './exchange.ts';
import { outcomeOf, rejected } from './outcome.ts';

type Metadata = Readonly<Record<string, unknown>>;

/** @param signal - of what goes on in the background; null: somebody waits for it */
export async function discoverServer(deps: WireDeps, profile: Discoverable, signal: AbortSignal | null): Promise<ServerOutcome> {
  const why = refusedUrl(profile.issuer, profile.allowLoopbackHttp) ?? (profile.issuer.includes('?') ? 'has a query' : null);
  if (why !== null) return rejected('as_metadata_invalid', `the issuer ${cleanText(profile.issuer)} ${why}`);
  if (profile.traits.metadata === 'none') return writtenServer(profile);
  const tried: string[] = [];
  for (const { url, isOpenId } of wellKnownUrls(profile.issuer, profile.traits.metadata)) {
    const found = await fetchMetadata(deps, profile, url, signal);
    if (found.kind === 'metadata') return toServer(found.metadata, isOpenId, profile);
    if (found.kind !== 'rejected') return found;
    tried.push(`${url}: ${found.description}`);
  }
  return rejected('as_metadata_invalid', `there is no metadata of ${profile.issuer} (${tried.join('; ')})`);
}

/**
 * RFC 8414, sections 3.1 and 5; OIDC Discovery, section 4.1. For an issuer with a path each document has a
 * place of its own, and the first that answers counts.
 */
export function wellKnownUrls(issuer: string, first: 'oidc' | 'oauth'): readonly { readonly url: string; readonly isOpenId: boolean }[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const oauth = { url: `${origin}/.well-known/oauth-authorization-server${path}`, isOpenId: false };
  const openId = [
    { url: `${origin}${path}/.well-known/openid-configuration`, isOpenId: true },
    ...(path === '' ? [] : [{ url: `${origin}/.well-known/openid-configuration${path}`, isOpenId: true }]),
  ];
  return first === 'oidc' ? [...openId, oauth] : [oauth, ...openId.toReversed()];
}

async function fetchMetadata(deps: WireDeps, profile: Discoverable, url: string, signal: AbortSignal | null): Promise<ServerOutcome | { readonly kind: 'metadata'; readonly metadata: Metadata }> {
  const exchange = openExchange(deps, { server: profile, connection: profile, clientSecret: null }, signal);
  try {
    const configuration = await discovery(new URL(url), profile.clientId, undefined, None(), {
      [customFetch]: exchange.fetch,
      execute: profile.allowLoopbackHttp ? [allowInsecureRequests] : [],
    });
    return { kind: 'metadata', metadata: { ...configuration.serverMetadata() } };
  } catch (cause) {
    return outcomeOf(cause, exchange.answer());
  }
}

function toServer(metadata: Metadata, isOpenIdDocument: boolean, profile: Discoverable): ServerOutcome {
  if (metadata['issuer'] !== profile.issuer) {
    return rejected('as_metadata_invalid', `the metadata names the issuer ${cleanText(String(metadata['issuer']))}, the profile ${profile.issuer}`);
  }
  // Where nobody signs in, none is needed: RFC 8414, section 2 lets it out for servers without such a grant.
  for (const name of profile.traits.pkce === 'unused' ? ['token_endpoint'] : ['authorization_endpoint', 'token_endpoint']) {
    if (metadata[name] === undefined) return rejected('as_metadata_invalid', `the metadata of ${profile.issuer} has no ${name}`);
  }
  const bad = refusedEndpoint(metadata, profile);
  if (bad !== null) return bad;
  if (profile.traits.pkce === 'listed' && !listOf(metadata, 'code_challenge_methods_supported')?.includes('S256')) return withoutS256(profile);
  const text = (name: string): string | null => (typeof metadata[name] === 'string' ? metadata[name] : null);
  const pushedAuthorizationRequestEndpoint = text('pushed_authorization_request_endpoint');
  const requirePushedAuthorizationRequests = metadata['require_pushed_authorization_requests'] === true;
  if (requirePushedAuthorizationRequests && pushedAuthorizationRequestEndpoint === null) {
    return rejected('as_metadata_invalid', `the metadata of ${profile.issuer} requires pushed requests and has no endpoint for them`);
  }
  const jwksUri = text('jwks_uri');
  const endSession = text('end_session_endpoint');
  const idTokenSigningAlgs = listOf(metadata, 'id_token_signing_alg_values_supported');
  const registration = text('registration_endpoint');
  return {
    kind: 'server',
    newcomers: {
      registrationEndpoint: registration === null || refusedUrl(registration, profile.allowLoopbackHttp) !== null ? null : registration,
      takesMetadataDocuments: metadata['client_id_metadata_document_supported'] === true,
    },
    server: {
      issuer: profile.issuer,
      authorizationEndpoint: text('authorization_endpoint') ?? '',
      tokenEndpoint: text('token_endpoint') ?? '',
      revocationEndpoint: text('revocation_endpoint'),
      deviceAuthorizationEndpoint: text('device_authorization_endpoint'),
      endSessionEndpoint: endSession === null || refusedUrl(endSession, profile.allowLoopbackHttp) !== null ? null : endSession,
      pushedAuthorizationRequestEndpoint,
      requirePushedAuthorizationRequests,
      jwksUri,
      issParameterSupported: metadata['authorization_response_iss_parameter_supported'] === true,
      idTokenSigningAlgs,
      scopesSupported: listOf(metadata, 'scopes_supported'),
      isOpenIdProvider: jwksUri !== null && (isOpenIdDocument || idTokenSigningAlgs !== null),
    },
  };
}

const ENDPOINTS = [
  'authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'device_authorization_endpoint', 'pushed_authorization_request_endpoint', 'jwks_uri',
];

/** javascript:, file:, http:, user@host and the like (RFC 8414, section 2 demands https). */
function refusedEndpoint(metadata: Metadata, profile: Discoverable): Rejected | null {
  for (const name of ENDPOINTS) {
    const value = metadata[name];
    if (value === undefined) continue;
    const why = typeof value === 'string' ? refusedUrl(value, profile.allowLoopbackHttp) : 'is not a string';
    if (why !== null) return rejected('as_metadata_invalid', `${name} of ${profile.issuer} ${why}`);
  }
  return null;
}

/** For issuers that publish nothing: a person wrote the endpoints out. */
function writtenServer(profile: Discoverable): ServerOutcome {
  const { endpoints } = profile;
  if (endpoints === null) return rejected('as_metadata_invalid', `${profile.issuer} publishes no metadata, and the profile writes out no endpoints`);
  const bad = refusedEndpoint({
    authorization_endpoint: endpoints.authorization, token_endpoint: endpoints.token,
    ...(endpoints.revocation === null ? {} : { revocation_endpoint: endpoints.revocation }),
    ...(endpoints.deviceAuthorization === null ? {} : { device_authorization_endpoint: endpoints.deviceAuthorization }),
  }, profile);
  if (bad !== null) return bad;
  if (profile.traits.pkce === 'listed') return withoutS256(profile);
  const server: AuthorizationServer = {
    issuer: profile.issuer,
    authorizationEndpoint: endpoints.authorization,
    tokenEndpoint: endpoints.token,
    revocationEndpoint: endpoints.revocation,
    deviceAuthorizationEndpoint: endpoints.deviceAuthorization,
    endSessionEndpoint: null,
    pushedAuthorizationRequestEndpoint: null,
    requirePushedAuthorizationRequests: false,
    jwksUri: null,
    issParameterSupported: false,
    idTokenSigningAlgs: null,
    scopesSupported: null,
    isOpenIdProvider: false,
  };
  return { kind: 'server', server };
}

/** AZ-02: without PKCE a code that is intercepted is a code that is used. */
function withoutS256(profile: Discoverable): Rejected {
  return rejected('as_no_s256', `${profile.issuer} does not list S256 in code_challenge_methods_supported`);
}

function listOf(metadata: Metadata, name: string): readonly string[] | null {
  const value = metadata[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : null;
}
