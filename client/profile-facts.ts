import type { ProfileView } from '../shared/profile-schemas.ts';

/** @param signedIn - null where nobody can tell */
export function profileFacts(profile: ProfileView, signedIn: boolean | null): readonly (readonly [string, string])[] {
  return [
    ['Profile', profile.name],
    ['Issuer', profile.issuer],
    ['Client', profile.client_id],
    ['Confidential', profile.confidential ? 'yes, with a client secret (which is none to whoever has this machine)' : 'no, a public client'],
    ['Preset', profile.preset],
    ['Scopes', profile.scopes.join(' ') || '(none)'],
    ['Resource', profile.resource ?? '(none)'],
    ['Flow', profile.flow],
    ['Tier', profile.tier],
    ['Browser', profile.browser === null ? 'the system\'s default' : JSON.stringify(profile.browser)],
    ...(profile.ca_file === null ? [] : [['CA file', profile.ca_file] as const]),
    ...(profile.proxy === null ? [] : [['Proxy', profile.proxy] as const]),
    ['Signed in', signedIn === null ? 'not known while the vault is locked' : signedIn ? 'yes' : 'no'],
    ...profile.redirect_uris.map((uri) => ['Redirect URI', uri] as const),
  ];
}
