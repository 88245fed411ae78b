import { describe, expect, it } from 'vitest';
import { parseProfileName, parseScope } from '../../../../shared/names.ts';
import type { ProfileTable } from '../../../../shared/profile-schemas.ts';
import type { Profile } from '../../../../daemon/core/domain.ts';
import { isFault } from '../../../../daemon/config/fault.ts';
import { makeProfile, redirectUris } from '../../../../daemon/config/profile.ts';
import { DEFAULT_PRESET, PRESETS } from '../../../../daemon/config/presets/index.ts';
import { endpointProblem, hostProblem, issuerProblem } from '../../../../daemon/config/urls.ts';

const NAME = parseProfileName('work');
/** The least that a person has to write for each preset. */
const LEAST: Readonly<Record<string, ProfileTable>> = {
  google: { preset: 'google', client_id: 'x' },
  entra: { preset: 'entra', client_id: 'x', tenant: '11111111-2222-3333-4444-555555555555' },
  github: { preset: 'github', client_id: 'x' },
  gitlab: { preset: 'gitlab', client_id: 'x' },
  okta: { preset: 'okta', client_id: 'x', tenant: 'example.okta.com' },
  auth0: { preset: 'auth0', client_id: 'x', tenant: 'example.eu.auth0.com' },
  keycloak: { preset: 'keycloak', client_id: 'x', issuer: 'https://sso.example.com/realms/main' },
  atlassian: { preset: 'atlassian', client_id: 'x' },
  oidc: { preset: 'oidc', client_id: 'x', issuer: 'https://issuer.example.com' },
  oauth: {
    preset: 'oauth', client_id: 'x', issuer: 'https://issuer.example.com', authorization_endpoint: 'https://issuer.example.com/authorize',
    token_endpoint: 'https://issuer.example.com/token', pkce: 'asserted',
  },
};

function profile(table: ProfileTable | undefined): Profile {
  if (table === undefined || NAME === null) throw new Error('no table');
  const made = makeProfile(NAME, table, null);
  if (isFault(made)) throw new Error(`${made.path.join('.')} ${made.problem}`);
  return made;
}

describe.each([...PRESETS])('the preset %s', (name, preset) => {
  it('is data alone', () => {
    const seen = (value: unknown): void => {
      if (value instanceof RegExp) return;
      expect(typeof value).not.toBe('function');
      if (typeof value === 'object' && value !== null) Object.values(value).forEach(seen);
    };
    seen(preset);
    // Every value but the pattern of a tenant survives a trip through JSON.
    const plain: unknown = JSON.parse(JSON.stringify(preset));
    expect(plain).toMatchObject({ ...preset, issuer: expect.anything() });
  });

  it('holds values of the right kind', () => {
    expect(preset.title).not.toBe('');
    expect(preset.vendorPages.length).toBeGreaterThan(0);
    for (const page of preset.vendorPages) expect(new URL(page).protocol).toBe('https:');
    for (const scope of [...preset.scopes, ...(preset.traits.offlineScope === null ? [] : [preset.traits.offlineScope])]) expect(parseScope(scope)).toBe(scope);
    for (const host of preset.traits.deviceVerificationHosts) expect(hostProblem(host)).toBeNull();
    for (const port of preset.traits.redirectPorts) {
      // Below every system's ephemeral range, above what needs privileges: seldom taken.
      expect(port).toBeGreaterThan(1024);
      expect(port).toBeLessThan(32_768);
    }
    if (preset.issuer.kind === 'tenant') expect(preset.issuer.tenant.example).toMatch(preset.issuer.tenant.pattern);
    for (const caveat of preset.caveats) expect(caveat).toMatch(/\.$/);
  });

  it('makes a whole profile of the least that has to be written', () => {
    const made = profile(LEAST[name]);
    expect(made.preset).toBe(name);
    expect(issuerProblem(made.issuer, false)).toBeNull();
    expect(JSON.stringify(made)).not.toMatch(/\{(?:issuer|origin|tenant)\}/);
    for (const url of Object.values(made.endpoints ?? {})) if (url !== null) expect(endpointProblem(url, false)).toBeNull();
    expect(made.traits.metadata).toBe(made.endpoints === null ? 'oidc' : 'none');
    // Where there is no metadata, nothing could list S256.
    if (made.endpoints !== null) expect(made.traits.pkce).toBe('asserted');
    expect(made.traits.clientSecret).toBe(preset.clientAuth === 'none' ? 'none' : 'required');
  });

  it('lets extra scopes pass only where a vendor is known to add some', () => {
    expect(preset.traits.extraScopes).toBe(['oidc', 'oauth'].includes(name) ? 'refuse' : 'allow');
  });
});

// One line a vendor: what its pages say, asserted on the profile that the daemon works with.
type Facts = { issuer: string; refresh: [string | null, Record<string, string>]; pkce: string; style: string; auth: string; ports: number[]; hosts: string[]; expires: number | null; grace: number | null };
const FACTS: Readonly<Record<string, Facts>> = {
  google: {
    issuer: 'https://accounts.google.com', refresh: [null, { access_type: 'offline', prompt: 'consent' }], pkce: 'listed', style: 'none',
    auth: 'client_secret_post', ports: [], hosts: ['www.google.com', 'google.com'], expires: null, grace: null,
  },
  entra: {
    issuer: 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0', refresh: ['offline_access', {}], pkce: 'asserted', style: 'scope_prefix',
    auth: 'none', ports: [], hosts: ['microsoft.com', 'www.microsoft.com', 'login.microsoft.com'], expires: null, grace: 3600,
  },
  github: {
    issuer: 'https://github.com/login/oauth', refresh: [null, {}], pkce: 'asserted', style: 'none',
    auth: 'client_secret_post', ports: [], hosts: ['github.com'], expires: 86_400, grace: null,
  },
  gitlab: { issuer: 'https://gitlab.com', refresh: [null, {}], pkce: 'asserted', style: 'none', auth: 'none', ports: [], hosts: [], expires: null, grace: null },
  okta: { issuer: 'https://example.okta.com', refresh: ['offline_access', {}], pkce: 'listed', style: 'none', auth: 'none', ports: [18471, 18472, 18473], hosts: [], expires: null, grace: null },
  auth0: { issuer: 'https://example.eu.auth0.com/', refresh: ['offline_access', {}], pkce: 'listed', style: 'audience', auth: 'none', ports: [18471, 18472, 18473], hosts: [], expires: null, grace: null },
  keycloak: { issuer: 'https://sso.example.com/realms/main', refresh: [null, {}], pkce: 'listed', style: 'none', auth: 'none', ports: [], hosts: [], expires: null, grace: null },
  atlassian: {
    issuer: 'https://auth.atlassian.com', refresh: ['offline_access', { audience: 'api.atlassian.com', prompt: 'consent' }], pkce: 'asserted', style: 'none',
    auth: 'client_secret_post', ports: [18471], hosts: [], expires: null, grace: null,
  },
  oidc: { issuer: 'https://issuer.example.com', refresh: ['offline_access', { prompt: 'consent' }], pkce: 'listed', style: 'resource', auth: 'none', ports: [], hosts: [], expires: null, grace: null },
  oauth: { issuer: 'https://issuer.example.com', refresh: [null, {}], pkce: 'asserted', style: 'resource', auth: 'none', ports: [], hosts: [], expires: null, grace: null },
};

describe('what each vendor says', () => {
  it('is stated for every preset, and the default is the strict one', () => {
    expect(Object.keys(FACTS)).toEqual([...PRESETS.keys()]);
    expect(DEFAULT_PRESET).toBe('oidc');
  });

  it.each(Object.entries(FACTS))('%s', (name, facts) => {
    const { issuer, clientAuth, traits } = profile(LEAST[name]);
    expect({
      issuer, refresh: [traits.offlineScope, traits.authorizationParams], pkce: traits.pkce, style: traits.resourceStyle, auth: clientAuth,
      ports: traits.redirectPorts, hosts: traits.deviceVerificationHosts, expires: traits.defaultExpiresInS, grace: traits.refreshGraceS,
    }).toEqual(facts);
  });

  it('Google grants its userinfo scopes under longer names', () => {
    expect(profile(LEAST['google']).traits.scopeAliases).toMatchObject({
      email: ['https://www.googleapis.com/auth/userinfo.email'], profile: ['https://www.googleapis.com/auth/userinfo.profile'],
    });
  });

  it('GitHub has no metadata, and its device endpoint is not below the issuer; an Enterprise Server has the same paths', () => {
    expect(profile(LEAST['github']).endpoints).toEqual({
      authorization: 'https://github.com/login/oauth/authorize', token: 'https://github.com/login/oauth/access_token',
      revocation: null, deviceAuthorization: 'https://github.com/login/device/code',
    });
    expect(profile({ preset: 'github', client_id: 'x', issuer: 'https://ghe.example.com/login/oauth' }).endpoints).toMatchObject({
      token: 'https://ghe.example.com/login/oauth/access_token', deviceAuthorization: 'https://ghe.example.com/login/device/code',
    });
  });

  it('GitHub\'s device flow works without the client secret that its code flow demands', () => {
    expect(profile({ preset: 'github', client_id: 'x', client_auth: 'none', flow: 'device' }).traits.clientSecret).toBe('none');
  });

  it('Atlassian has endpoints of its own, no revocation and no device flow', () => {
    expect(profile(LEAST['atlassian']).endpoints).toEqual({
      authorization: 'https://auth.atlassian.com/authorize', token: 'https://auth.atlassian.com/oauth/token', revocation: null, deviceAuthorization: null,
    });
  });

  it('those that compare the port get fixed ones, shown to the letter', () => {
    expect(redirectUris(profile(LEAST['atlassian']))).toEqual([expect.stringMatching(/^http:\/\/127\.0\.0\.1:18471\/cb\/[0-9a-f]{12}$/)]);
    expect(redirectUris(profile(LEAST['okta']))).toHaveLength(3);
    expect(redirectUris(profile(LEAST['google']))).toEqual([expect.stringMatching(/^http:\/\/127\.0\.0\.1:\{port\}\/cb\/[0-9a-f]{12}$/)]);
  });
});
