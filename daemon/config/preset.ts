/**
 * What a preset is: how one kind of issuer behaves, as data. A preset holds no code and no secret; every
 * value in it follows the vendor pages that it names, and a profile may override each trait.
 */
import type { ClientAuth, IssuerTraits, WrittenEndpoints } from '../core/domain.ts';

/** Where the issuer identifier comes from. */
export type PresetIssuer =
  /** One issuer. `replaceable`: the same software runs elsewhere too, so the profile may name its own. */
  | { readonly kind: 'fixed'; readonly url: string; readonly replaceable: boolean }
  /** `{tenant}` in the template stands for the profile's tenant. */
  | { readonly kind: 'tenant'; readonly template: string; readonly tenant: TenantRule }
  /** The profile has to name it. */
  | { readonly kind: 'named'; readonly example: string };

export type TenantRule = {
  readonly pattern: RegExp;
  readonly example: string;
  /** What a tenant is here, for the error message. */
  readonly meaning: string;
};

/**
 * `metadata`: fetched. `written`: the profile writes them out. Else templates, where `{issuer}` and
 * `{origin}` stand for the issuer and its origin.
 */
export type PresetEndpoints = 'metadata' | 'written' | WrittenEndpoints;

/** The traits that a preset states; the rest follows from `endpoints` and `clientAuth`. */
export type PresetTraits = Omit<IssuerTraits, 'metadata' | 'clientSecret' | 'offlineScope' | 'redirectPath'> & {
  readonly offlineScope: string | null;
};

export type Preset = {
  readonly title: string;
  /** The vendor's own documents that the values follow. */
  readonly vendorPages: readonly string[];
  readonly issuer: PresetIssuer;
  readonly endpoints: PresetEndpoints;
  /** Scopes of a profile that names none. */
  readonly scopes: readonly string[];
  /** Other than `none`: the vendor demands a client secret of installed apps. */
  readonly clientAuth: ClientAuth;
  readonly traits: PresetTraits;
  /** What a person should know before registering a client; shown by `profile add`. */
  readonly caveats: readonly string[];
};
