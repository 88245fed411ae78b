import { describe, expect, it } from 'vitest';
import { parseProfileName } from '../../../../shared/names.ts';
import type { ProfileTable } from '../../../../shared/profile-schemas.ts';
import type { Profile } from '../../../../daemon/core/domain.ts';
import { isFault } from '../../../../daemon/config/fault.ts';
import type { Fault } from '../../../../daemon/config/fault.ts';
import { makeProfile, redirectUris } from '../../../../daemon/config/profile.ts';

const ISSUER = 'https://issuer.example.com';
const make = (table: Partial<ProfileTable>): Profile | Fault => {
  const name = parseProfileName('work');
  if (name === null) throw new Error('no name');
  return makeProfile(name, { client_id: 'cli', issuer: ISSUER, ...table }, null);
};
const made = (table: Partial<ProfileTable>): Profile => {
  const profile = make(table);
  if (isFault(profile)) throw new Error(`${profile.path.join('.')} ${profile.problem}`);
  return profile;
};
const fault = (table: Partial<ProfileTable>): string => {
  const found = make(table);
  return isFault(found) ? `${found.path.join('.')} ${found.problem}` : 'no fault';
};
const WRITTEN = { preset: 'oauth', authorization_endpoint: `${ISSUER}/a`, token_endpoint: `${ISSUER}/t`, pkce: 'asserted' } as const;

describe('the issuer', () => {
  it.each([
    'https://issuer.example.com', 'https://issuer.example.com/', 'https://issuer.example.com/tenant/v2.0', 'https://issuer.example.com:8443', 'https://[2001:db8::1]/x',
  ])('%s is kept to the letter', (issuer) => {
    expect(made({ issuer }).issuer).toBe(issuer);
  });

  it.each([
    ['issuer.example.com', 'is not a URL'],
    ['', 'is not a URL'],
    ['https://', 'is not a URL'],
    ['http://issuer.example.com', 'must begin with https://'],
    ['ftp://issuer.example.com', 'must begin with https://'],
    ['javascript:alert(1)', 'is not a URL'],
    ['file:///etc/passwd', 'is not a URL'],
    ['https://issuer.example.com?tenant=a', 'must not have a query'],
    ['https://issuer.example.com/?', 'must not have a query'],
    ['https://issuer.example.com#a', 'must not have a fragment'],
    ['https://issuer.example.com/#', 'must not have a fragment'],
    ['https://ann:pw@issuer.example.com', 'must not hold a user name or password'],
    ['https://ann@issuer.example.com', 'must not hold a user name or password'],
    ['https://issuer.example.com/\n', 'is not a URL'],
    [' https://issuer.example.com', 'is not a URL'],
    ['https:\\\\issuer.example.com', 'is not a URL'],
    ['https://issuer.exa\u00admple.com', 'is not a URL'],
  ])('%j is refused', (issuer, problem) => {
    expect(fault({ issuer })).toBe(`issuer ${problem}${problem === 'is not a URL' ? ' such as https://issuer.example.com' : problem === 'must begin with https://' && issuer.startsWith('http:') ? '; http is allowed for the literal hosts 127.0.0.1 and [::1] only' : ''}`);
  });

  it.each(['http://127.0.0.1', 'http://127.0.0.1:9000', 'http://127.0.0.1:9000/path', 'http://[::1]:9000'])('%s needs the word of the profile', (issuer) => {
    expect(fault({ issuer })).toMatch(/^issuer uses http on this machine; set allow_loopback_http = true/);
    expect(made({ issuer, allow_loopback_http: true })).toMatchObject({ issuer, allowLoopbackHttp: true });
  });

  it.each([
    'http://localhost:9000', 'http://127.0.0.1.example.com', 'http://127.0.0.2', 'http://127.1', 'http://2130706433', 'http://0x7f.0.0.1', 'http://127.0.0.1@evil.example.com',
    'http://[::ffff:127.0.0.1]', 'http://0.0.0.0', 'http://[::]', 'http://[0:0:0:0:0:0:0:1]', 'http://127.0.0.1%2eexample.com', 'http://issuer.example.com', 'HTTP://127.0.0.1',
  ])('%s is not this machine to the letter, and is refused all the same', (issuer) => {
    expect(fault({ issuer, allow_loopback_http: true })).toMatch(/^issuer (must|is not)/);
  });

  it('comes from the tenant where the preset says how', () => {
    expect(fault({ issuer: undefined, preset: 'entra' })).toMatch(/^tenant is missing: the directory \(tenant\) ID/);
    for (const tenant of ['common', 'organizations', 'consumers', 'contoso.onmicrosoft.com', '../../evil', '11111111-2222-3333-4444-555555555555/../x']) {
      expect(fault({ issuer: undefined, preset: 'entra', tenant })).toMatch(/^tenant must be the directory/);
    }
    for (const tenant of ['example.okta.com/x', 'example.okta.com@evil.example.com', 'https://example.okta.com', 'okta']) {
      expect(fault({ issuer: undefined, preset: 'okta', tenant })).toMatch(/^tenant must be the Okta domain/);
    }
    expect(made({ preset: 'okta', issuer: 'https://example.okta.com/oauth2/default' }).issuer).toBe('https://example.okta.com/oauth2/default');
    expect(fault({ preset: 'okta', tenant: 'example.okta.com' })).toMatch(/^tenant and issuer say the same thing twice/);
    expect(fault({ tenant: 'x' })).toBe('tenant means nothing to this preset');
  });

  it('is fixed where there is but one', () => {
    expect(fault({ preset: 'google' })).toMatch(/^issuer of this preset is always https:\/\/accounts\.google\.com/);
    expect(made({ preset: 'google', issuer: 'https://accounts.google.com' }).issuer).toBe('https://accounts.google.com');
    expect(made({ preset: 'gitlab', issuer: 'https://git.example.com' }).issuer).toBe('https://git.example.com');
    expect(fault({ preset: 'keycloak', issuer: undefined })).toMatch(/^issuer is missing/);
  });

  it('of an unknown preset is not guessed', () => {
    expect(fault({ preset: 'gogle' })).toMatch(/^preset is not the name of a preset; did you mean "google"\? Presets: google, entra/);
    expect(fault({ preset: 'constructor' })).toMatch(/^preset is not the name/);
  });
});

describe('endpoints', () => {
  it('are written out with the preset oauth, and asserted to know S256', () => {
    expect(made({ ...WRITTEN, revocation_endpoint: `${ISSUER}/r`, device_authorization_endpoint: `${ISSUER}/d?x=1` }).endpoints).toEqual({
      authorization: `${ISSUER}/a`, token: `${ISSUER}/t`, revocation: `${ISSUER}/r`, deviceAuthorization: `${ISSUER}/d?x=1`,
    });
    expect(made(WRITTEN).traits).toMatchObject({ metadata: 'none', pkce: 'asserted' });
    expect(fault({ ...WRITTEN, pkce: undefined })).toMatch(/^pkce must be "asserted"/);
    expect(fault({ ...WRITTEN, pkce: 'listed' })).toMatch(/^pkce must be "asserted"/);
    expect(fault({ ...WRITTEN, authorization_endpoint: undefined })).toMatch(/^authorization_endpoint is missing; .*"oidc"/);
    expect(fault({ ...WRITTEN, token_endpoint: undefined })).toBe('token_endpoint is missing');
  });

  it.each(['authorization_endpoint', 'token_endpoint', 'revocation_endpoint', 'device_authorization_endpoint'])('%s is held to the same rules as the issuer', (key) => {
    for (const url of ['http://issuer.example.com/x', 'https://a:b@issuer.example.com/x', 'https://issuer.example.com/x#y', 'javascript:x', '/x']) {
      expect(fault({ ...WRITTEN, [key]: url })).toMatch(new RegExp(`^${key} `));
    }
    expect(fault({ ...WRITTEN, [key]: 'http://127.0.0.1:9000/x' })).toMatch(/set allow_loopback_http = true/);
    expect(fault({ ...WRITTEN, [key]: 'http://127.0.0.1:9000/x', allow_loopback_http: true })).toBe('no fault');
    expect(fault({ [key]: `${ISSUER}/x` })).toMatch(new RegExp(`^${key} cannot be written with this preset`));
  });
});

describe('the proxy', () => {
  it.each(['http://proxy.example.com:3128', 'https://proxy.example.com', 'http://10.0.0.1:8080/'])('%s is taken', (proxy) => {
    expect(made({ proxy }).proxy).toBe(proxy);
  });

  it.each([
    ['socks5://127.0.0.1:1080', 'SOCKS'], ['socks://h', 'SOCKS'], ['proxy.example.com:3128', 'must begin with http:// or https://'], ['3128', 'is not a URL'], ['ftp://proxy', 'must begin with'],
    ['http://ann:pw@proxy.example.com', 'must not hold a user name or password'], ['http://proxy.example.com/path', 'must end after the port'], ['http://proxy.example.com?x', 'must end after the port'],
  ])('%s is refused', (proxy, problem) => {
    expect(fault({ proxy })).toContain(`proxy `);
    expect(fault({ proxy })).toContain(problem);
  });
});

describe('the browser', () => {
  it.each([[['firefox']], [['/usr/bin/firefox', '--new-window', '{url}']], [['x-www-browser', '--profile', 'work profile']], [['chromium-browser']]])('%j is taken', (browser) => {
    expect(made({ browser }).browser).toEqual(browser);
  });

  it.each([[['']], [['firefox', '']], [['./firefox']], [['bin/firefox']], [['../firefox']], [['-e']], [['firefox --new-window']], [['sh;ls']], [['$BROWSER']], [['~/firefox']], [['{url}']], [['fire\0fox']], [['firefox', 'a\0b']]])('%j is refused', (browser) => {
    expect(fault({ browser })).toMatch(/^browser must /);
  });
});

describe('what else a profile says', () => {
  it('stands above the preset, which stands above the defaults', () => {
    expect(made({})).toMatchObject({ preset: 'oidc', scopes: ['openid'], resource: null, flow: 'auto', browser: null, proxy: null, caFile: null, caPem: null, clientAuth: 'none', allowLoopbackHttp: false });
    expect(made({
      scopes: ['a', 'b', 'a'], resource: 'https://api.example.com', resource_style: 'audience', flow: 'pkce', client_auth: 'client_secret_basic', redirect_ports: [9001], redirect_path: '/callback',
      pkce: 'asserted', extra_scopes: 'allow', default_expires_in_s: 60, refresh_grace_s: 30, device_verification_hosts: ['device.example.com', 'device.example.com:8443'], authorization_params: { prompt: 'login' },
    })).toMatchObject({
      scopes: ['a', 'b'], resource: 'https://api.example.com', flow: 'pkce', clientAuth: 'client_secret_basic', redirectPath: '/callback',
      traits: {
        resourceStyle: 'audience', redirectPorts: [9001], redirectPath: '/callback', pkce: 'asserted', extraScopes: 'allow', defaultExpiresInS: 60, refreshGraceS: 30,
        deviceVerificationHosts: ['device.example.com', 'device.example.com:8443'], authorizationParams: { prompt: 'login' }, clientSecret: 'required', offlineScope: 'offline_access',
      },
    });
    expect(made({ scopes: [] }).scopes).toEqual([]);
  });

  it('cannot undo what the daemon sends', () => {
    for (const name of ['state', 'nonce', 'code_challenge', 'code_challenge_method', 'redirect_uri', 'response_type', 'response_mode', 'client_id', 'scope', 'request_uri', 'request']) {
      expect(fault({ authorization_params: { [name]: 'x' } })).toBe(`authorization_params.${name} is set by the daemon itself and cannot be set here`);
    }
  });

  it.each(['https://device.example.com', 'Device.example.com', 'device.example.com/x', '', '*.example.com/', 'a b', 'ann@device.example.com', '//x'])('does not take %j for the host of a device page', (host) => {
    expect(fault({ device_verification_hosts: [host] })).toMatch(/^device_verification_hosts must hold bare host names/);
  });

  it('does not prefer a device flow that the issuer does not have', () => {
    expect(fault({ preset: 'atlassian', issuer: undefined, flow: 'device' })).toMatch(/^flow is "device", but/);
    expect(fault({ ...WRITTEN, flow: 'device' })).toMatch(/^flow is "device", but/);
    expect(fault({ ...WRITTEN, flow: 'device', device_authorization_endpoint: `${ISSUER}/d` })).toBe('no fault');
    expect(fault({ flow: 'device' })).toBe('no fault');
  });

  it('has no empty client id', () => {
    for (const client_id of ['', ' ', ' cli', 'cli\n']) expect(fault({ client_id })).toMatch(/^client_id must not be empty/);
  });
});

describe('the redirect URI', () => {
  it('has a path of its own for each issuer, the same at each start', () => {
    expect(redirectUris(made({}))).toEqual(['http://127.0.0.1:{port}/cb/605ec2f11533']);
    expect(made({ issuer: 'https://other.example.com' }).redirectPath).not.toBe(made({}).redirectPath);
    expect(made({ issuer: `${ISSUER}/` }).redirectPath).not.toBe(made({}).redirectPath);
  });

  it('shows each fixed port', () => {
    expect(redirectUris(made({ redirect_ports: [9001, 9002], redirect_path: '/x' }))).toEqual(['http://127.0.0.1:9001/x', 'http://127.0.0.1:9002/x']);
  });
});
