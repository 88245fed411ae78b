import { describe, expect, it } from 'vitest';
import { wellKnownUrls } from '../../../../daemon/issuer/discover.ts';
import { grantedScopes, refreshScopes, resourceParams, signInScopes } from '../../../../daemon/issuer/request-params.ts';
import { scopes, someProfile, someServer, someTraits } from '../../../support/builders.ts';

const RESOURCE = 'https://graph.example';
const at = (resourceStyle: 'resource' | 'audience' | 'scope_prefix' | 'none') => someProfile({ resource: RESOURCE, traits: someTraits({ resourceStyle, offlineScope: null }) });
const want = (text: string, resource: string | null = null) => ({ scopes: scopes(text), resource });

describe('the resource of a request', () => {
  it.each([
    ['resource', { resource: RESOURCE }], ['audience', { audience: RESOURCE }], ['scope_prefix', {}], ['none', {}],
  ] as const)('goes by %s', (style, expected) => {
    expect(resourceParams(at(style), want('a', RESOURCE))).toEqual(expected);
    expect(resourceParams(at(style), want('a'))).toEqual({});
  });

  it('stands before each scope of its own, where that is the style', () => {
    const scope = (text: string, resource: string | null = RESOURCE) => signInScopes(at('scope_prefix'), someServer(), want(text, resource))['scope'];
    expect(scope('openid User.Read https://other.example/X')).toBe(`openid ${RESOURCE}/User.Read https://other.example/X`);
    expect(scope('openid profile')).toBe(`openid profile ${RESOURCE}/.default`);
    expect(scope(`${RESOURCE}/User.Read`)).toBe(`${RESOURCE}/User.Read`);
    expect(scope('openid User.Read', null)).toBe('openid User.Read');
    expect(grantedScopes(at('scope_prefix'), want('User.Read', RESOURCE), `openid ${RESOURCE}/User.Read`)).toEqual(['openid', 'User.Read']);
  });
});

describe('the scopes of a request', () => {
  it('hold the one for a refresh token, unless the server lists its scopes and not this one', () => {
    const scope = (supported: readonly string[] | null, text = 'openid api') => signInScopes(someProfile(), someServer({ scopesSupported: supported }), want(text))['scope'];
    expect(scope(null)).toBe('openid api offline_access');
    expect(scope(['openid', 'offline_access'])).toBe('openid api offline_access');
    expect(scope(['openid'])).toBe('openid api');
    expect(scope(null, 'openid offline_access')).toBe('openid offline_access');
  });

  it('are left out of a request that asks for none', () => {
    expect(signInScopes(at('resource'), someServer(), want(''))).toEqual({});
  });

  it('are left out of a refresh that asks for what the sign-in granted', () => {
    expect(refreshScopes(at('resource'), want('', RESOURCE))).toEqual({});
    expect(refreshScopes(at('resource'), want('', 'https://other.example'))).toEqual({});
    expect(refreshScopes(at('resource'), want('a b', RESOURCE))).toEqual({ scope: 'a b' });
    expect(refreshScopes(at('scope_prefix'), want('', RESOURCE))).toEqual({});
    expect(refreshScopes(at('scope_prefix'), want('', 'https://other.example'))).toEqual({ scope: 'https://other.example/.default' });
  });

  it('come back as they were said', () => {
    expect(grantedScopes(someProfile(), want('a b'), null)).toBeNull();
    expect(grantedScopes(someProfile(), want('a b'), '')).toEqual([]);
    expect(grantedScopes(someProfile(), want('a b'), 'a  b')).toEqual(['a', 'b']);
    expect(grantedScopes(someProfile(), want('repo'), 'repo,gist')).toEqual(['repo', 'gist']);
    expect(grantedScopes(someProfile(), want('repo,gist'), 'repo,gist')).toEqual(['repo,gist']);
    expect(grantedScopes(someProfile(), want('a'), 'a "b" \u0007')).toEqual(['a']);
  });
});

describe('well-known places', () => {
  it.each([
    ['https://as.example', ['https://as.example/.well-known/openid-configuration', 'https://as.example/.well-known/oauth-authorization-server']],
    ['https://as.example/', ['https://as.example/.well-known/openid-configuration', 'https://as.example/.well-known/oauth-authorization-server']],
    ['https://as.example/t/', ['https://as.example/t/.well-known/openid-configuration', 'https://as.example/.well-known/openid-configuration/t', 'https://as.example/.well-known/oauth-authorization-server/t']],
  ])('of %s', (issuer, places) => {
    expect(wellKnownUrls(issuer, 'oidc').map(({ url }) => url)).toEqual(places);
    expect(wellKnownUrls(issuer, 'oauth').map(({ url }) => url)).toEqual(places.toReversed());
  });
});
