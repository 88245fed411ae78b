/**
 * A profile: what a person wrote, on top of what the preset says. A table of the right shape becomes a
 * frozen Profile, or the first fault that is found in it.
 */
import { createHash } from 'node:crypto';
import { parseScope } from '../../shared/names.ts';
import type { ProfileName, Scope } from '../../shared/names.ts';
import type { ProfileTable } from '../../shared/profile-schemas.ts';
import type { IssuerTraits, Profile, WrittenEndpoints } from '../core/domain.ts';
import { bindingDigest } from './digest.ts';
import type { Fault } from './fault.ts';
import { didYouMean } from './did-you-mean.ts';
import { DEFAULT_PRESET, PRESETS } from './presets/index.ts';
import type { Preset } from './preset.ts';
import { fetchFault, fetchTerms } from './fetch-terms.ts';
import { programProblem } from './program.ts';
import { endpointProblem, hostProblem, issuerProblem, proxyProblem } from './urls.ts';

const ENDPOINT_KEYS = ['authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'device_authorization_endpoint'] as const;

/** Parameters that the daemon sets itself; a profile that could set them could undo state, nonce and PKCE. */
const OWN_PARAMETERS = [
  'client_id', 'client_secret', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce', 'code_challenge',
  'code_challenge_method', 'request', 'request_uri', 'resource', 'login_hint', 'max_age', 'acr_values', 'dpop_jkt',
];

function profileFault(table: ProfileTable): Fault | null {
  const preset = PRESETS.get(table.preset ?? DEFAULT_PRESET);
  if (preset === undefined) {
    const names = [...PRESETS.keys()];
    return fault('preset', `is not the name of a preset${didYouMean(table.preset ?? '', names)} Presets: ${names.join(', ')}`);
  }
  return issuerFault(table, preset) ?? endpointFault(table, preset) ?? clientFault(table) ?? loginFault(table) ?? fetchFault(table);
}

const fault = (key: string, problem: string): Fault => ({ path: [key], problem });

function issuerFault(table: ProfileTable, { issuer }: Preset): Fault | null {
  if (table.tenant !== undefined) {
    if (issuer.kind !== 'tenant') return fault('tenant', 'means nothing to this preset');
    if (table.issuer !== undefined) return fault('tenant', 'and issuer say the same thing twice; keep one');
    if (!issuer.tenant.pattern.test(table.tenant)) return fault('tenant', `must be ${issuer.tenant.meaning}, such as ${issuer.tenant.example}`);
    return null;
  }
  if (table.issuer === undefined) {
    if (issuer.kind === 'fixed') return null;
    if (issuer.kind === 'tenant') return fault('tenant', `is missing: ${issuer.tenant.meaning}, such as ${issuer.tenant.example}`);
    return fault('issuer', `is missing: the issuer's URL to the letter, such as ${issuer.example}`);
  }
  if (issuer.kind === 'fixed' && !issuer.replaceable && table.issuer !== issuer.url) {
    return fault('issuer', `of this preset is always ${issuer.url}; leave it out, or use preset = "${DEFAULT_PRESET}"`);
  }
  const problem = issuerProblem(table.issuer, table.allow_loopback_http ?? false);
  return problem === null ? null : fault('issuer', problem);
}

function endpointFault(table: ProfileTable, preset: Preset): Fault | null {
  const written = ENDPOINT_KEYS.find((key) => table[key] !== undefined);
  if (preset.endpoints !== 'written') {
    return written === undefined ? null : fault(written, 'cannot be written with this preset, which knows or fetches its endpoints; use preset = "oauth"');
  }
  for (const key of ENDPOINT_KEYS) {
    const url = table[key];
    const problem = url === undefined ? null : endpointProblem(url, table.allow_loopback_http ?? false);
    if (problem !== null) return fault(key, problem);
  }
  if (table.authorization_endpoint === undefined) return fault('authorization_endpoint', 'is missing; if the issuer publishes metadata, use preset = "oidc" instead');
  if (table.token_endpoint === undefined) return fault('token_endpoint', 'is missing');
  // Nothing lists S256 where there is no metadata, so a person has to vouch for it (RFC 9700, section 2.1.1).
  if (table.pkce !== 'asserted') return fault('pkce', 'must be "asserted" where endpoints are written out: check that the issuer documents PKCE with S256');
  return null;
}

function clientFault(table: ProfileTable): Fault | null {
  if (table.client_id.trim() !== table.client_id || table.client_id === '') return fault('client_id', 'must not be empty, nor begin or end with a space');
  if (table.proxy !== undefined) {
    const problem = proxyProblem(table.proxy);
    if (problem !== null) return fault('proxy', problem);
  }
  const taken = Object.keys(table.authorization_params ?? {}).find((name) => OWN_PARAMETERS.includes(name));
  return taken === undefined ? null : { path: ['authorization_params', taken], problem: 'is set by the daemon itself and cannot be set here' };
}

function loginFault(table: ProfileTable): Fault | null {
  const problem = table.browser === undefined ? null : programProblem(table.browser);
  if (problem !== null) return fault('browser', problem);
  for (const host of table.device_verification_hosts ?? []) {
    const wrong = hostProblem(host);
    if (wrong !== null) return fault('device_verification_hosts', wrong);
  }
  const preset = presetOf(table);
  const device = preset.endpoints === 'written' ? table.device_authorization_endpoint : preset.endpoints === 'metadata' || preset.endpoints.deviceAuthorization;
  if (table.flow === 'device' && (device === undefined || device === null)) return fault('flow', 'is "device", but this issuer has no device authorization endpoint');
  return null;
}

function presetOf(table: ProfileTable): Preset {
  const preset = PRESETS.get(table.preset ?? DEFAULT_PRESET);
  if (preset === undefined) throw new Error('the preset was not checked');
  return preset;
}

/** @param caPem - the certificates of `ca_file`, read by the caller. A fault's path is relative to the table. */
export function makeProfile(name: ProfileName, table: ProfileTable, caPem: string | null): Profile | Fault {
  const wrong = profileFault(table);
  if (wrong !== null) return wrong;
  const preset = presetOf(table);
  const issuer = issuerOf(table, preset);
  const clientAuth = table.client_auth ?? preset.clientAuth;
  const endpoints = endpointsOf(table, preset, issuer);
  const binding = { issuer, clientId: table.client_id, clientAuth, endpoints, caPem, proxy: table.proxy ?? null };
  return deepFreeze({
    ...binding,
    name,
    preset: table.preset ?? DEFAULT_PRESET,
    scopes: [...new Set((table.scopes ?? preset.scopes).map(scope))],
    resource: table.resource ?? null,
    flow: table.flow ?? 'auto',
    browser: table.browser ?? null,
    caFile: table.ca_file ?? null,
    allowLoopbackHttp: table.allow_loopback_http ?? false,
    publicOnly: table.public_hosts_only ?? false,
    keepAliveS: table.keep_alive_s ?? null,
    maxTokenLifeS: table.max_token_life_s ?? null,
    tier: table.tier ?? 'normal',
    fetch: fetchTerms(table),
    redirectPath: table.redirect_path ?? ownRedirectPath(issuer),
    traits: traitsOf(table, preset, clientAuth),
    digest: bindingDigest(binding),
  });
}

function issuerOf(table: ProfileTable, { issuer }: Preset): string {
  if (table.issuer !== undefined) return table.issuer;
  if (issuer.kind === 'fixed') return issuer.url;
  if (issuer.kind === 'tenant' && table.tenant !== undefined) return issuer.template.replace('{tenant}', table.tenant);
  throw new Error('the issuer was not checked');
}

function endpointsOf(table: ProfileTable, { endpoints }: Preset, issuer: string): WrittenEndpoints | null {
  if (endpoints === 'metadata') return null;
  if (endpoints === 'written') {
    return {
      authorization: table.authorization_endpoint ?? '',
      token: table.token_endpoint ?? '',
      revocation: table.revocation_endpoint ?? null,
      deviceAuthorization: table.device_authorization_endpoint ?? null,
    };
  }
  const fill = (template: string): string => template.replace('{issuer}', issuer.replace(/\/$/, '')).replace('{origin}', new URL(issuer).origin);
  return {
    authorization: fill(endpoints.authorization),
    token: fill(endpoints.token),
    revocation: endpoints.revocation === null ? null : fill(endpoints.revocation),
    deviceAuthorization: endpoints.deviceAuthorization === null ? null : fill(endpoints.deviceAuthorization),
  };
}

function traitsOf(table: ProfileTable, { traits, endpoints }: Preset, clientAuth: Profile['clientAuth']): IssuerTraits {
  return {
    metadata: endpoints === 'metadata' ? 'oidc' : 'none',
    offlineScope: traits.offlineScope === null ? null : scope(traits.offlineScope),
    authorizationParams: { ...traits.authorizationParams, ...table.authorization_params },
    pkce: table.pkce ?? traits.pkce,
    resourceStyle: table.resource_style ?? traits.resourceStyle,
    scopeAliases: structuredClone(traits.scopeAliases),
    extraScopes: table.extra_scopes ?? traits.extraScopes,
    narrowing: traits.narrowing,
    redirectPorts: table.redirect_ports ?? [...traits.redirectPorts],
    redirectPath: table.redirect_path ?? null,
    deviceVerificationHosts: table.device_verification_hosts ?? [...traits.deviceVerificationHosts],
    refreshGraceS: table.refresh_grace_s ?? traits.refreshGraceS,
    refreshAt: table.refresh_at ?? traits.refreshAt,
    defaultExpiresInS: table.default_expires_in_s ?? traits.defaultExpiresInS,
    clientSecret: clientAuth === 'none' ? 'none' : 'required',
  };
}

/** A path of its own for each issuer keeps the answer of one from passing for another's (RFC 8252, section 8.10). */
function ownRedirectPath(issuer: string): string {
  return `/cb/${createHash('sha256').update(issuer).digest('hex').slice(0, 12)}`;
}

/** The redirect URIs to register, to the letter; `{port}` stands for any port. */
export function redirectUris({ redirectPath, traits }: Profile): readonly string[] {
  const ports: readonly (number | string)[] = traits.redirectPorts.length === 0 ? ['{port}'] : traits.redirectPorts;
  return ports.map((port) => `http://127.0.0.1:${port}${redirectPath}`);
}

function scope(text: string): Scope {
  const parsed = parseScope(text);
  if (parsed === null) throw new Error('a scope was not checked');
  return parsed;
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
