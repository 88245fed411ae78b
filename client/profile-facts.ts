import type { ProfileView } from '../shared/schemas.ts';

export function profileFacts(profile: ProfileView): readonly (readonly [string, string])[] {
  return [
    ['Profile', profile.name],
    ['Issuer', profile.issuer],
    ['Client', `${profile.client_id}${profile.confidential ? ', with a client secret (not confidential on a laptop)' : ''}`],
    ['Preset', profile.preset],
    ['Scopes', profile.scopes.join(' ') || '(none)'],
    ['Resource', profile.resource ?? '(none)'],
    ['Flow', profile.flow],
    ['Browser', profile.browser === null ? 'the system\'s default' : JSON.stringify(profile.browser)],
    ...(profile.ca_file === null ? [] : [['CA file', profile.ca_file] as const]),
    ...(profile.proxy === null ? [] : [['Proxy', profile.proxy] as const]),
    ['Signed in', profile.signed_in ? 'yes' : 'no'],
    ['Written in', profile.source],
    ...profile.redirect_uris.map((uri) => ['Redirect URI', uri] as const),
  ];
}
