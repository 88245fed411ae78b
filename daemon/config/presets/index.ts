/** The presets by the name that `preset = "…"` takes. The order is that of help and documents. */
import type { Preset } from '../preset.ts';
import { atlassian } from './atlassian.ts';
import { auth0 } from './auth0.ts';
import { entra } from './entra.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import { google } from './google.ts';
import { keycloak } from './keycloak.ts';
import { oauth } from './oauth.ts';
import { oidc } from './oidc.ts';
import { okta } from './okta.ts';

/** The preset of a profile that names none. */
export const DEFAULT_PRESET = 'oidc';

export const PRESETS: ReadonlyMap<string, Preset> = new Map(
  Object.entries({ google, entra, github, gitlab, okta, auth0, keycloak, atlassian, oidc, oauth }),
);
